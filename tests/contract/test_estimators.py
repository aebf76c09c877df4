"""What every predictor of a class, of tags or a number promises; they are found in the table that loads them."""

import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest

from pipeline import config as cfg
from pipeline.errors import DataError, StorageError
from pipeline.models.estimators import Estimator
from pipeline.models.example_baselines import EXAMPLE_BASELINES, candidates, fit_baseline
from pipeline.models.load import RANKERS, load_ranker
from pipeline.models.tabular import TabularLearner
from pipeline.training.fit import fit
from pipeline.transfer.methods import build_tune
from pipeline.views import FEATURES, ClassLabel, Features, View
from tests.examples import class_view, make_features, number_view, tag_view

KINDS = sorted(name for name, load in RANKERS.items() if issubclass(load(), Estimator))
LABELS = ("two classes", "three classes", "tags", "numbers")
BASELINES = {get_args(one.model_fields["kind"].annotation)[0]: one for one in EXAMPLE_BASELINES}
OF_TWO = {name for name, one in BASELINES.items() if "classes" not in one.predicts}  # and of nothing else
SEVERAL = [kind for kind in KINDS if kind not in OF_TWO]
PREDICTED = {"two classes": "classes", "three classes": "classes", "tags": "tags", "numbers": "numbers"}
BOTH = [
    (kind, label)
    for kind in KINDS
    for label in LABELS
    if (PREDICTED[label] in BASELINES[kind].predicts if kind in BASELINES and kind in SEVERAL else kind in SEVERAL)
    or (kind in OF_TWO and label == "two classes")
]
COARSE = {"frequency"}  # looks at one feature, which says little of these labels; `test_frequency.py` has the formula
every = pytest.mark.parametrize(("kind", "label"), BOTH)
several = pytest.mark.parametrize("kind", SEVERAL)
FILES = {"ranker.json", "weights.safetensors"}
SMALL: dict[str, Any] = {"msda": {"dim": 32, "layers": 2, "rounds": 1}}  # where the defaults take long
MODEL = cfg.TabularModel(kind="tabular", dim=8, buckets=64, bins=4, words=64)


def views(label: str, rows: int = 300, first: int = 0) -> dict[str, View]:
    """Two domains whose labels follow their features alike; another first seed gives fresh rows."""
    if label in ("numbers", "tags"):
        made = number_view if label == "numbers" else tag_view
        return {name: made(name, rows, seed) for seed, name in enumerate(("far", "near"), first)}
    three: dict[str, Any] = {"cuts": (-1.0, 1.0), "classes": ("high", "low", "mid")} if "three" in label else {}
    return {name: class_view(name, rows, seed, **three) for seed, name in enumerate(("far", "near"), first)}


def train(given: dict[str, View], work: Path, tune: str = "joint") -> Estimator:
    """A network after a few epochs."""
    training = cfg.Training(epochs=12, batch_size=32, learning_rate=0.01)
    settings = SimpleNamespace(
        model=MODEL, training=training, seed=0, target="near", sources=("far",), domains=("far", "near")
    )
    learner, strategy = TabularLearner(settings), cfg.Strategy(tune={"kind": tune})
    network, rows = learner.tune(given, strategy)
    fit(network, build_tune(strategy.tune, MODEL.dim), rows, training, work, seed=0)
    return learner.predictor(network, {})


def make(kind: str, given: dict[str, View], work: Path, domains: str = "all") -> Estimator:
    """A fitted one of the kind."""
    if kind == "tabular":
        return train(given, work / "fit", "joint" if domains == "all" else "scratch")
    config = BASELINES[kind](kind=kind, domains=domains, **SMALL.get(kind, {}))
    return fit_baseline(config, given, "near", next(candidates(config)), 0)


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


def said(estimator: Estimator, features: Features) -> np.ndarray:
    return estimator.probabilities(features) if estimator.classes else estimator.values(features)


def unseen(rows: int = 50) -> Features:
    """Rows with values that no training row has."""
    features = make_features(rows, seed=9)
    table = features.table.assign(colour="mauve")
    table.loc[:5, ["size", "skewed", "new"]] = np.nan
    table.loc[6:9, "size"] = [1e300, -1e300, 1e12, -1e12]
    table.loc[:3, ["colour", "shop"]] = None
    return replace(features, table=table)


@every
def test_what_was_saved_says_the_same(kind, label, tmp_path):
    """To the last bit, with temperature and threshold; JSON and safetensors, nothing that would be unpickled."""
    estimator = make(kind, views(label), tmp_path)
    threshold = [0.2, 0.7, 0.4] if label == "tags" else 0.3
    chosen = {} if label == "numbers" else {"temperature": 1.7, "threshold": threshold}
    estimator = estimator.settled(chosen)
    (folder := tmp_path / "saved").mkdir()
    estimator.save(folder)
    loaded = load_ranker(folder)
    assert type(loaded) is type(estimator)
    for features in (make_features(40, seed=7), unseen()):
        np.testing.assert_array_equal(said(loaded, features), said(estimator, features))
        assert np.isfinite(said(loaded, features)).all()
    if estimator.classes:
        odds = said(estimator, unseen())
        np.testing.assert_array_equal(loaded.decided(odds), estimator.decided(odds))
    assert {path.name for path in folder.iterdir()} == FILES
    (again := tmp_path / "again").mkdir()
    loaded.save(again)
    assert all((again / name).read_bytes() == (folder / name).read_bytes() for name in FILES)


@every
def test_fitting_repeats(kind, label, tmp_path):
    """Equal rows and seed, equal bytes: manifests depend on it."""
    for name in ("one", "two"):
        (tmp_path / name / "saved").mkdir(parents=True)
        make(kind, views(label), tmp_path / name).save(tmp_path / name / "saved")
    assert all((tmp_path / "one/saved" / name).read_bytes() == (tmp_path / "two/saved" / name).read_bytes()
               for name in FILES)  # fmt: skip


@pytest.mark.parametrize(("kind", "label"), [one for one in BOTH if one[0] in SEVERAL and one[0] not in COARSE])
def test_what_is_there_is_learnt(kind, label, tmp_path):
    """Rows that none was fitted on: near what the signal allows, and the constant says the same of all."""
    estimator, fresh = make(kind, views(label), tmp_path), views(label, 400, first=50)["near"]
    answer, known = fresh.label.value, fresh.label.known
    out = said(estimator, fresh.fields[FEATURES])[known]
    if kind == "constant":
        assert (out == out[0]).all()
    elif label == "tags":
        assert ((estimator.decided(out) == answer[known]).mean(axis=0) > [0.75, 0.75, 0.9]).all()
    elif label == "numbers":
        assert np.corrcoef(out, answer[known])[0, 1] > 0.8
    else:
        names = np.array(estimator.classes)[estimator.decided(out)]
        assert (names == np.array(fresh.label.classes)[answer[known]]).mean() > (0.6 if "three" in label else 0.75)


@every
def test_the_parts_of_features_add_up(kind, label, tmp_path):
    """To what is told, beside one value that is the same for all rows; a feature that never changes adds nothing."""
    estimator, features = make(kind, views(label), tmp_path), make_features(60, seed=7)
    parts, raw = estimator.explained(features).features, estimator.raw(features)
    assert parts.shape == (60, len(features.types))
    assert np.isfinite(estimator.explained(unseen()).features).all()
    assert estimator.explained(features.take(np.array([], dtype=np.int64))).features.shape == (0, len(features.types))
    told, group = raw.max(axis=1), raw.argmax(axis=1)  # the start is that of the class that is told
    if label == "two classes":
        told, group = raw[:, 1] - raw[:, 0], np.zeros(60)
    elif label == "three classes":
        told = told - raw.mean(axis=1)
    np.testing.assert_allclose(parts[:, list(features.types).index("constant")], 0, atol=1e-6)
    if kind == "constant":
        assert not parts.any()
    elif kind not in OF_TWO:  # what is unusual is no sum
        left = told - parts.sum(axis=1)
        assert max(np.ptp(left[group == one]) for one in np.unique(group)) < 0.03 * np.ptp(told)
        assert np.abs(parts).max() > 0.1 * np.ptp(told)


@several
def test_probabilities_are_softened_and_decided(kind, tmp_path):
    """softmax(ln p / T); of two classes the second is told from its threshold on, of three the most probable."""
    two = make(kind, views("two classes"), tmp_path / "two")
    three = make(kind, views("three classes"), tmp_path / "three")
    for estimator in (two, three):
        plain = estimator.probabilities(features := make_features(60, seed=3))
        np.testing.assert_allclose(plain.sum(axis=1), 1)
        powered = plain ** (1 / 2.5)
        softened = estimator.settled({"temperature": 2.5}).probabilities(features)
        np.testing.assert_allclose(softened, powered / powered.sum(axis=1, keepdims=True), rtol=1e-9)
    odds = np.array([[0.8, 0.2], [0.7, 0.3], [0.2, 0.8]])
    assert two.classes == ("no", "yes")
    assert two.decided(odds).tolist() == [0, 0, 1]
    assert two.settled({"threshold": 0.3}).decided(odds).tolist() == [0, 1, 1]
    assert two.threshold == 0.5  # a copy was settled
    assert three.decided(np.array([[0.2, 0.3, 0.5], [0.4, 0.3, 0.3]])).tolist() == [2, 0]


@every
@pytest.mark.parametrize("rows", [1, 2, 10])
def test_few_rows_are_enough(kind, label, rows, tmp_path):
    """Also one, whose label is known."""
    given = {name: view.take(np.arange(11, 11 + rows)) for name, view in views(label, 60).items()}
    estimator = make(kind, {name: view.take(view.label.known) for name, view in given.items()}, tmp_path, "target")
    assert np.isfinite(said(estimator, unseen())).all()


def test_one_class_alone_is_always_told(kind, tmp_path):
    """What has only ever been seen is certain."""
    given = {
        name: replace(view, labels=(replace(view.label, value=np.ones(len(view), dtype=np.int64)),))
        for name, view in views("two classes", 40).items()
    }
    estimator = make(kind, given, tmp_path)
    assert estimator.classes == ("yes",)
    odds = estimator.probabilities(unseen())
    assert (odds == 1).all()
    assert set(estimator.decided(odds)) == {0}


@several
def test_classes_are_met_by_name(kind, tmp_path):
    """A class stands at another place in the other domain, and one is in the source alone."""
    given = views("three classes")
    far = given["far"]
    swapped = ClassLabel(np.array([2, 0, 1, -1])[far.label.value], ("low", "mid", "high"), far.label.name)
    moved = {"far": replace(far, labels=(swapped,)), "near": given["near"].take(given["near"].label.value != 1)}
    estimator = make(kind, moved, tmp_path)
    assert sorted(estimator.classes) == ["high", "low", "mid"]
    if kind not in ("constant", *COARSE):
        fresh = views("three classes", 400, first=50)["far"]
        names = np.array(estimator.classes)[estimator.decided(estimator.probabilities(fresh.fields[FEATURES]))]
        known = fresh.label.known
        assert (names == np.array(fresh.label.classes)[fresh.label.value])[known].mean() > 0.6
    assert sorted(make(kind, moved, tmp_path / "own", "target").classes) == ["high", "mid"]


def test_rows_without_labels_alone_teach_nothing(kind, tmp_path):
    """The message names domain and label and says what to do."""
    given = {
        name: replace(view, labels=(replace(view.label, value=np.full(len(view), -1)),))
        for name, view in views("two classes", 40).items()
    }
    with pytest.raises(DataError, match=r"near: no row for training has a sold, .*; bring rows with labels"):
        make(kind, given, tmp_path, "target")


@every
def test_a_row_s_answer_does_not_hang_on_the_others(kind, label, tmp_path):
    """Many rows and one give the same."""
    estimator, features = make(kind, views(label), tmp_path), unseen()
    together = said(estimator, features)
    alone = np.concatenate([said(estimator, features.take(np.array([row]))) for row in range(10)])
    np.testing.assert_allclose(alone, together[:10], rtol=1e-4, atol=1e-6)
    assert len(said(estimator, features.take(np.array([], dtype=np.int64)))) == 0


def test_ten_thousand_rows_are_quick(kind, tmp_path):
    """Well under what a person notices; the bound is for a busy machine."""
    estimator, features = make(kind, views("two classes"), tmp_path), make_features(10_000)
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        estimator.probabilities(features)
        took.append(time.perf_counter() - begun)
    assert min(took) < 2.0


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "garbage"])
def test_a_damaged_folder_is_named(kind, name, damage, tmp_path):
    """A missing or broken file is an error that says which folder and what it should hold."""
    (folder := tmp_path / "saved").mkdir()
    make(kind, views("two classes", 40), tmp_path).save(folder)
    path = folder / name
    content = path.read_bytes()
    broken = {"empty": b"", "truncated": content[: len(content) // 2], "garbage": b"\x80\x04]\x00" + bytes(200)}
    path.unlink()
    if damage != "missing":
        path.write_bytes(broken[damage])
    with pytest.raises(StorageError, match=r"expected a saved ranker \(ranker.json, weights.safetensors\): "):
        load_ranker(folder)


def test_weights_of_another_kind_are_an_error(kind, tmp_path):
    """Settings and weights that do not belong together do not load."""
    for name, of in (("own", kind), ("other", "constant" if kind != "constant" else "linear")):
        (tmp_path / name).mkdir()
        make(of, views("two classes", 40), tmp_path / f"{name} fit").save(tmp_path / name)
    settings = json.loads((tmp_path / "other" / "ranker.json").read_text())
    settings["kind"] = kind
    (tmp_path / "other" / "ranker.json").write_text(json.dumps(settings))
    with pytest.raises(StorageError, match="expected a saved ranker"):
        load_ranker(tmp_path / "other")
