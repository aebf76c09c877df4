"""What every ranker promises; the rankers are found in the table that loads them."""

import json
import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from scipy import sparse

from pipeline import config as cfg
from pipeline.errors import StorageError
from pipeline.models.baselines import BASELINES, candidates, fit_baseline
from pipeline.models.blends import LaneBlendRanker
from pipeline.models.build import ENCODERS, build_network
from pipeline.models.items import Catalogue
from pipeline.models.load import RANKERS, load_ranker
from pipeline.models.network_ranker import NetworkRanker
from pipeline.models.ranker import Ranker
from pipeline.past import BANDS, Past
from pipeline.transfer.methods import build_tune
from tests.views import labelled_views, titled

USERS, NEAR, FAR = 24, 15, 11  # fewer users than items of both, more than of the target: EASE in both forms
FILES = {"ranker.json", "weights.safetensors"}


NETWORKS = {
    "network": cfg.HistoryModel(dim=4, text_buckets=16),
    "mapped": cfg.HistoryModel(dim=4, text_buckets=16),
    "sequence": cfg.SequenceModel(kind="sequence", dim=4, text_buckets=16, length=6),
}


def histories(users: int = USERS, seed: int = 0) -> Past:
    """Two domains whose users like every third item; the first user is empty, the second has the source alone."""
    random = np.random.default_rng(seed)
    made, when = {}, {}
    for name, items in (("far", FAR), ("near", NEAR)):
        kinds = np.arange(users)[:, None] % 3 == np.arange(items)[None, :] % 3
        dense = (random.random((users, items)) < np.where(kinds, 0.6, 0.1)).astype(np.float32)
        dense[0] = 0
        if name == "near":
            dense[1] = 0
        made[name] = sparse.csr_matrix(dense)
        when[name] = made[name].copy()
        when[name].data = 1 + random.permutation(made[name].nnz).astype(np.float64)
    return Past(made, when)


def network(kind: str) -> Ranker:
    """A network as it is before training."""
    torch.manual_seed(0)
    catalogues = {name: Catalogue(np.asarray(matrix.sum(axis=0)).ravel()) for name, matrix in histories().items()}
    model = build_network(NETWORKS[kind], catalogues, "near")
    if kind == "mapped":
        build_tune(cfg.Mapping(kind="mapping", hidden=3), 4).initialise(model, None)
    return NetworkRanker.of(model, "near")


def build(kind: str, domains: str = "all") -> Ranker:
    """A ranker of the kind, fitted on the toy; what is no baseline is a trained model, or a blend."""
    if kind == LaneBlendRanker.kind:
        shares = np.linspace(0, 1, len(BANDS)).tolist()
        return LaneBlendRanker(build("network"), build("item_knn", domains), "near", shares)
    configs = {get_args(config.model_fields["kind"].annotation)[0]: config for config in BASELINES}
    if kind not in configs:
        assert kind in NETWORKS, f"{kind}: say here how a ranker of this kind is made"
        return network(kind)
    small = {"factors": 4, "alpha": (10.0,), "regularization": (10.0,)}  # the defaults are for thousands of users
    values = {name: value for name, value in small.items() if name in configs[kind].model_fields}
    config = configs[kind](kind=kind, domains="target" if kind == "popularity" else domains, **values)
    return fit_baseline(config, titled(labelled_views(histories())), "near", next(candidates(config)), 0)


# the others: test_estimators
RANKING = sorted({name for name, load in RANKERS.items() if issubclass(load(), Ranker)} | NETWORKS.keys())


def test_every_model_is_checked():
    """A model that ranks has a network above, and with it all of these tests."""
    assert {type(model) for model in NETWORKS.values()} == ENCODERS.keys()


@pytest.fixture(params=RANKING)
def kind(request) -> str:
    return request.param


@pytest.fixture
def saved(kind, tmp_path) -> Path:
    build(kind).save(tmp_path)
    return tmp_path


@pytest.mark.parametrize("domains", ["target", "all"])
def test_what_was_saved_scores_the_same(kind, domains, tmp_path):
    """A loaded ranker gives equal scores to known users and to new ones, to the last bit."""
    ranker = build(kind, domains)
    ranker.save(tmp_path)
    loaded = load_ranker(tmp_path)
    assert type(loaded) is type(ranker)
    for asked in (histories(), histories(7, seed=5)):
        np.testing.assert_array_equal(loaded.scores(asked), ranker.scores(asked))


def test_saving_again_gives_the_same_bytes(kind, saved, tmp_path):
    """Fitting and saving repeat, and so does saving what was loaded: manifests depend on it."""
    again, from_disk = tmp_path / "again", tmp_path / "from_disk"
    for folder, ranker in ((again, build(kind)), (from_disk, load_ranker(saved))):
        folder.mkdir()
        ranker.save(folder)
        for name in FILES:
            assert (folder / name).read_bytes() == (saved / name).read_bytes(), name


def test_a_folder_holds_plain_values_only(saved):
    """JSON and safetensors, nothing that would have to be unpickled."""
    assert {path.name for path in saved.iterdir()} == FILES
    assert set(json.loads((saved / "ranker.json").read_text())) == {"kind", "settings"}
    head = int.from_bytes((saved / "weights.safetensors").read_bytes()[:8], "little")
    assert json.loads((saved / "weights.safetensors").read_bytes()[8 : 8 + head])


@pytest.mark.parametrize("users", [1, USERS])
def test_scores_are_one_finite_row_for_each_history(kind, users):
    """Float32 [n, catalogue], finite, also for a user who did nothing and for one known to the source alone."""
    asked = histories(users) if users > 1 else histories().of([0])
    scores = build(kind).scores(asked)
    assert scores.shape == (users, NEAR)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_scoring_repeats_and_leaves_its_input_alone(kind):
    """The same histories give the same scores, whoever was asked about before; they are not changed."""
    ranker, asked = build(kind), histories()
    first = ranker.scores(asked).copy()
    ranker.scores(histories(9, seed=3))
    np.testing.assert_array_equal(ranker.scores(asked), first)
    for name, matrix in histories().items():
        np.testing.assert_array_equal(asked[name].toarray(), matrix.toarray())


def test_a_user_s_scores_do_not_hang_on_the_others(kind):
    """Scores in a block and alone agree, so that evaluation in blocks and serving one user give one answer."""
    ranker, asked = build(kind), histories()
    together = ranker.scores(asked)
    for user in (0, 1, 7):
        alone = ranker.scores(asked.of([user]))
        np.testing.assert_allclose(alone[0], together[user], atol=1e-4, rtol=1e-4)


def test_an_absent_domain_counts_as_empty(kind):
    """Leaving the source out equals a source in which nothing was done, and an unknown domain is not looked at."""
    ranker, asked = build(kind), histories()
    near = asked.only(["near"])
    empty = {"moon": sparse.csr_matrix((USERS, FAR), dtype=np.float32)}
    expected = ranker.scores(asked.without("far"))
    np.testing.assert_array_equal(ranker.scores(near), expected)
    np.testing.assert_array_equal(ranker.scores(Past({**near, **empty}, {**near.when, **empty})), expected)


def test_the_target_may_be_absent(kind):
    """A user known in the source only is served without naming the target's history."""
    ranker, asked = build(kind), histories()
    np.testing.assert_array_equal(ranker.scores(asked.only(["far"])), ranker.scores(asked.without("near")))


@pytest.mark.parametrize("personal", sorted(set(RANKING) - {"popularity"} - NETWORKS.keys()))  # not trained here
def test_similar_users_get_their_kind(personal):
    """On a toy with three kinds of items every personal ranker puts a user's own kind first."""
    scores = build(personal).scores(histories())
    own = np.arange(USERS)[:, None] % 3 == np.arange(NEAR)[None, :] % 3
    active = np.diff(histories()["near"].indptr) > 1
    gap = np.mean(scores, axis=1, where=own) - np.mean(scores, axis=1, where=~own)
    assert (gap[active] > 0).mean() > 0.9


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "garbage"])
def test_a_damaged_folder_is_named(saved, name, damage):
    """A missing or broken file is an error that says which folder and what it should hold."""
    path = saved / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        broken = {"empty": b"", "truncated": content[: len(content) // 2], "garbage": b"\x80\x04]\x00" + bytes(200)}
        path.write_bytes(broken[damage])
    with pytest.raises(StorageError, match=rf"{saved}: expected a saved ranker \(ranker.json, weights.safetensors\): "):
        load_ranker(saved)


def test_an_unknown_kind_is_an_error(saved):
    """A folder of a later version does not load as something else."""
    (saved / "ranker.json").write_text(json.dumps({"kind": "oracle", "settings": {}}))
    with pytest.raises(StorageError, match=r"expected a saved ranker .*oracle"):
        load_ranker(saved)


def test_weights_of_another_kind_are_an_error(kind, saved, tmp_path):
    """Settings and weights that do not belong together do not load."""
    other = tmp_path / "other"
    other.mkdir()
    build("popularity" if kind != "popularity" else "ease").save(other)
    shutil.copy(other / "weights.safetensors", saved)
    with pytest.raises(StorageError, match="expected a saved ranker"):
        load_ranker(saved)


@pytest.mark.parametrize("value", ["[]", "3", '{"kind": "ease", "settings": []}', '{"kind": ["ease"]}'])
def test_json_of_another_shape_is_an_error(tmp_path, value):
    """Valid JSON that is no ranker is told as such."""
    build("ease").save(tmp_path)
    (tmp_path / "ranker.json").write_text(value)
    with pytest.raises(StorageError, match="expected a saved ranker"):
        load_ranker(tmp_path)
