"""A registered model that ranks items in the place of a source: its vectors reach a shop that sells some of them."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from pipeline import config as cfg
from pipeline.errors import UserError
from pipeline.models.item_start import start_of
from pipeline.models.lanes import ItemLearner
from pipeline.models.network_ranker import NetworkRanker
from pipeline.past import Past
from pipeline.transfer.methods import build_tune
from pipeline.views import View
from tests.views import labelled_view, labelled_views

IDS = {"far": ["a", "b", "c", "d"], "near": ["b", "c", "e"]}
MINE = ["c", "e", "q", "a"]  # of which q is nobody else's
MODELS = {
    "history": cfg.HistoryModel(dim=8, text_buckets=16),
    "sequence": cfg.SequenceModel(kind="sequence", dim=8, heads=2, blocks=1, length=4, text_buckets=16),
}
TAKEN = {"far": [[1, 1, 0, 0], [0, 1, 1, 1]], "near": [[1, 0, 1], [0, 1, 1]]}
every = pytest.mark.parametrize("kind", MODELS)


def settings_of(kind: str, target: str, *sources: str, bridges: tuple[str, ...] = ("items",)) -> Any:
    return SimpleNamespace(
        model=MODELS[kind], training=cfg.Training(batch_size=4, negatives=2), seed=0, target=target, sources=sources,
        domains=(*sources, target), bridges=bridges, target_labels=True,
    )  # fmt: skip


def histories(taken: dict[str, list[list[int]]]) -> dict[str, sparse.csr_matrix]:
    return {name: sparse.csr_matrix(np.array(rows, dtype=np.float32)) for name, rows in taken.items()}


def registered(kind: str, bridge: str = "items") -> tuple[NetworkRanker, dict[str, pd.DataFrame]]:
    """What another shop, `near`, serves, drawn and not trained, and the items that it knows."""
    learner = ItemLearner(settings_of(kind, "near", "far", bridges=(bridge,)))
    network = learner._network(labelled_views(histories(TAKEN), IDS), frozenset(IDS))
    with torch.no_grad():
        for one in network.encoder.own():
            one.add_(0.5 * torch.randn_like(one))
    counts = {name: np.array(rows).sum(axis=0) for name, rows in TAKEN.items()}
    catalogues = {name: pd.DataFrame({"item_id": IDS[name], "train_count": counts[name]}) for name in ("near", "far")}
    return NetworkRanker.of(network, "near", counts=np.zeros(3), prior_weight=0.0), catalogues


def mine(kind: str, tune: str) -> tuple[ItemLearner, Any, cfg.Strategy, View]:
    """The network of a lane of my shop, as it begins."""
    ranker, catalogues = registered(kind)
    settings = settings_of(kind, "mine")
    state, known = start_of(ranker.network, catalogues, settings)
    learner, strategy = ItemLearner(settings, known), cfg.Strategy(tune={"kind": tune})
    view = labelled_view("mine", histories({"mine": [[1, 1, 0, 0], [0, 1, 1, 1]]}), MINE)
    network = learner._network({"mine": view}, frozenset({"mine"} if strategy.tune.labels else ()))
    build_tune(strategy.tune, 8).initialise(network, state)
    return learner, network, strategy, view


@every
@pytest.mark.parametrize("tune", ["direct", "frozen", "fine_tune", "l2sp"])
def test_before_a_step_it_ranks_as_the_registered_model_does(kind: str, tune: str) -> None:
    """The same history has the same scores for the items that both sell; what only I sell is not known to it."""
    ranker, _ = registered(kind)
    learner, network, strategy, view = mine(kind, tune)
    finishes = learner.finishes({"mine": view}, strategy)
    found = learner.predictor(network, {"counts": np.zeros(4), "prior_weight": 0.0})
    theirs = ranker.scores(Past.over(histories({"near": [[0, 1, 1]]})))[0]  # c and e
    own = found.scores(Past.over(histories({"mine": [[1, 1, 0, 0]]})))[0]
    np.testing.assert_allclose(own[:2], theirs[1:], rtol=1e-5, atol=1e-6)
    if tune == "direct":
        assert own[2] == 0  # q
        assert [one["prior_weight"] for one in finishes] == [*MODELS[kind].prior_weights, 0.0]
        np.testing.assert_array_equal(finishes[0]["counts"], [2, 2, 0, 1])  # in both shops together


@pytest.mark.parametrize(
    ("bridge", "ids", "counts"), [("items", "bcead", [3, 2, 2, 1, 1]), ("users", "bce", [1, 1, 2])]
)
def test_ids_that_mean_other_items_stay_there(bridge: str, ids: str, counts: list[int]) -> None:
    """Where b of `far` is not b of `near`, d of `far` is nothing that a third shop knows."""
    ranker, catalogues = registered("history", bridge)
    weights, known = start_of(ranker.network, catalogues, settings_of("history", "mine"))
    assert (known["items"], known["counts"]) == ([*ids], counts)
    assert len(weights["items.domains.Before.own.weight"]) == len(ids)


@every
def test_what_trains_is_what_the_tune_says(kind: str) -> None:
    """Frozen: the items that I alone sell; L2-SP holds all that came along."""
    _, network, _, _ = mine(kind, "frozen")
    training = {name for name, one in network.named_parameters() if one.requires_grad}
    domain = {"history": "encoder.gates.mine", "sequence": "encoder.domains.mine"}[kind]
    assert {"items.domains.mine.own.weight", domain} <= training
    assert not {"items.domains.Before.own.weight", "items.words.weight"} & training
    ranker, catalogues = registered(kind)
    _, network, _, _ = mine(kind, "fine_tune")
    state, _ = start_of(ranker.network, catalogues, settings_of(kind, "mine"))
    free = {name for name, _ in network.named_parameters()} - state.keys()
    assert free <= {"items.domains.mine.own.weight", "encoder.gates.Before", "encoder.domains.Before"}
    assert network.items.of("mine").own.num_embeddings == 1  # of q


def test_what_cannot_be_carried_is_told() -> None:
    """Another size, another kind of encoder, no item in common."""
    ranker, catalogues = registered("history")
    wide = settings_of("history", "mine")
    wide.model = cfg.HistoryModel(dim=16, text_buckets=16)
    with pytest.raises(UserError, match=r"it is of another size; write model: \{dim: 8\}"):
        start_of(ranker.network, catalogues, wide)
    with pytest.raises(UserError, match=r"write model: \{.*kind: history"):
        start_of(ranker.network, catalogues, settings_of("sequence", "mine"))
    _, known = start_of(ranker.network, catalogues, settings_of("history", "mine"))
    view = labelled_view("mine", histories({"mine": [[1, 1]]}), ["u", "v"])
    learner = ItemLearner(settings_of("history", "mine"), known)
    with pytest.raises(UserError, match=r"none of the 5 items that it knows is one of the 2 of mine; look"):
        learner.tune({"mine": view}, cfg.Strategy(tune={"kind": "direct"}))
    by_words = ItemLearner(settings_of("history", "mine", bridges=("item_features",)), known)
    network, _ = by_words.tune({"mine": view}, cfg.Strategy(tune={"kind": "direct"}))
    assert list(network.items.domains) == ["mine"]  # ids mean nothing there, and words come along
