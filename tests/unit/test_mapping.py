"""EMCDR: a map from what the source says of a user to what the target would."""

import numpy as np
import pytest
import torch
from scipy import sparse

from pipeline import config as cfg
from pipeline.models.build import build_network
from pipeline.models.encoders.history import HistoryEncoder, HistoryTable
from pipeline.models.item_network import ItemNetwork
from pipeline.models.items import Catalogue
from pipeline.models.mapping import FeatureMap
from pipeline.models.sides import Outputs, Side
from pipeline.scenarios import load_scenario
from pipeline.transfer.methods import build_tune

DIM = 4
TAKEN = {  # both, the source alone, the target alone, nothing
    "far": np.array([[1, 1, 0], [0, 1, 1], [0, 0, 0], [0, 0, 0]], np.float32),
    "near": np.array([[1, 0], [0, 0], [1, 1], [0, 0]], np.float32),
}


def network() -> ItemNetwork:
    torch.manual_seed(0)
    catalogues = {name: Catalogue(one.sum(axis=0)) for name, one in TAKEN.items()}
    return build_network(cfg.HistoryModel(dim=DIM, text_buckets=16), catalogues, "near")


def inputs() -> dict:
    return {name: HistoryTable(sparse.csr_matrix(one)).of(torch.arange(4)) for name, one in TAKEN.items()}


def scaled(raw: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    return np.divide(raw, lengths, out=np.zeros_like(raw), where=lengths > 0) * DIM**0.5


def sums(made: ItemNetwork) -> dict[str, np.ndarray]:
    """What each domain says of the users, by the formula."""
    found = {}
    for name, taken in TAKEN.items():
        vectors = made.items.own(name).weight.detach().numpy()
        found[name] = taken @ vectors / np.sqrt(np.maximum(taken.sum(axis=1, keepdims=True), 1))
    return found


def random_map() -> FeatureMap:
    made = FeatureMap(DIM, 3)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made


def mapped(made: FeatureMap, features: np.ndarray) -> np.ndarray:
    """W g + b + U relu(V g + c) / sqrt(D), g = h / sqrt(D), in NumPy."""
    w = {name: one.detach().numpy() for name, one in made.named_parameters()}
    short = features / DIM**0.5
    bent = np.maximum(short @ w["bent.down.weight"].T + w["bent.down.bias"], 0) @ w["bent.up.weight"].T
    return short @ w["linear.weight"].T + w["linear.bias"] + bent / DIM**0.5


def test_who_is_known_in_the_source_alone_is_read_by_the_map() -> None:
    """Others by the target alone, whatever they did in the source; who did nothing by nothing."""
    made, plain = random_map(), network()
    said = sums(plain)
    assert isinstance(plain.encoder, HistoryEncoder)
    plain.encoder.map_to("near", made)
    with torch.no_grad():
        features = plain.encode(inputs()).numpy()
    np.testing.assert_allclose(features[[0, 2]], scaled(said["near"])[[0, 2]], atol=1e-5)
    np.testing.assert_allclose(features[[1]], scaled(mapped(made, scaled(said["far"])))[[1]], atol=1e-5)
    assert not features[3].any()


@pytest.mark.parametrize("hidden", [0, 3])
def test_a_map_begins_as_the_identity(hidden: int) -> None:
    """So a map that learns nothing says what the source says."""
    features = torch.randn(5, DIM)
    torch.testing.assert_close(FeatureMap(DIM, hidden)(features), features)


def test_the_penalty_is_the_squared_distance_of_users_in_both() -> None:
    """The weight times the mean square; it moves the map and how much a source counts, and no item."""
    method, made = build_tune(cfg.Mapping(kind="mapping", hidden=3, weight=2.0), DIM), network()
    method.initialise(made, None)
    assert isinstance(made.encoder, HistoryEncoder)
    assert isinstance(made.encoder.map, FeatureMap)
    for parameter in made.encoder.map.parameters():
        torch.nn.init.normal_(parameter)
    side = Side("near", "target", inputs(), None, torch.ones(4))
    penalty = method.penalty(made, [Outputs(side, made.encode(side.inputs))])
    said = sums(made)
    expected = mapped(made.encoder.map, scaled(said["far"])) - scaled(said["near"])
    assert penalty.item() == pytest.approx(2.0 * (expected[0] ** 2).mean(), rel=1e-4)
    penalty.backward()
    moved = {name for name, one in made.named_parameters() if one.grad is not None and one.grad.abs().sum() > 0}
    assert moved - {"encoder.gates.far"} == {f"encoder.map.{name}" for name, _ in made.encoder.map.named_parameters()}


def test_the_source_stays_as_it_is() -> None:
    """The target's items, the weights of the domains and the map train."""
    made = network()
    build_tune(cfg.Mapping(kind="mapping"), DIM).initialise(made, None)
    trains = {name for name, one in made.named_parameters() if one.requires_grad}
    assert trains == {"items.domains.near.own.weight", "encoder.gates.far", "encoder.gates.near",
                      "encoder.map.linear.weight", "encoder.map.linear.bias"}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"kind": "sequence"}}, "mapping needs a model that reads each domain by itself, such as kind: hist"),
        ({"bridges": ["items"]}, "mapping needs one of the bridges users"),
    ],
)
def test_where_it_cannot_be_it_is_refused(changes: dict, message: str) -> None:
    """When the scenario is read."""
    value = load_scenario("cold_start").model_dump(mode="json")
    value |= {"strategies": [{"tune": {"kind": kind}} for kind in ("scratch", "mapping")], **changes}
    with pytest.raises(ValueError, match=message):
        cfg.Scenario.model_validate(value)
