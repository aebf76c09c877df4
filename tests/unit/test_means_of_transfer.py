"""Conditional alignment, weights of rows, told classes, low rank and amounts moved, against NumPy."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from pipeline import config as cfg
from pipeline.models.load import load_ranker
from pipeline.models.ragged import Ragged
from pipeline.models.sides import Outputs, Rows
from pipeline.models.tabular import TabularLearner
from pipeline.models.tabular_estimator import TabularEstimator, TabularNetwork
from pipeline.transfer.amount import a_distance, domains_apart, weights_moved
from pipeline.transfer.distances import mmd
from pipeline.transfer.methods import build_adapt, build_tune
from pipeline.transfer.self_training import surest
from pipeline.transfer.weighting import importance
from pipeline.views import FEATURES
from tests.examples import class_view

MODEL = cfg.TabularModel(kind="tabular", dim=8, buckets=64, bins=4, blocks=1)
VIEWS = {"far": class_view("far", 120), "near": class_view("near", 90, 1, shift=1.5)}


def adapting() -> tuple[TabularNetwork, Rows]:
    """A network that reads both domains, and rows of the source with inputs of the target."""
    settings = SimpleNamespace(
        model=MODEL, training=cfg.Training(batch_size=32), seed=0, target="near", sources=("far",),
        domains=("far", "near"),
    )  # fmt: skip
    network, rows = TabularLearner(settings).adapt(VIEWS)
    return network.eval(), rows


def features(network: TabularNetwork, name: str) -> np.ndarray:
    """Of all labelled rows of a domain, or of all rows of the target."""
    view = VIEWS[name] if name == "near" else VIEWS[name].take(VIEWS[name].label.known)
    with torch.no_grad():
        return network.encode(network.encoder.read(view.fields[FEATURES])).double().numpy()


def softmax(said: np.ndarray) -> np.ndarray:
    odds = np.exp(said - said.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def told(network: TabularNetwork, rows: np.ndarray) -> np.ndarray:
    """The probabilities of the head, by NumPy."""
    keys = [hashlib.sha256(name.encode()).hexdigest()[:32] for name in network.head.classes]
    weights = np.stack([network.head.rows[key].detach().double().numpy() for key in keys])
    return softmax(rows @ weights[:, :-1].T + weights[:, -1])


def test_cdan_is_the_published_loss_on_features_times_probabilities():
    """It is weight / 2 (mean_s w_s softplus(-d) + mean_t w_t softplus(d)), w = 1 + exp(-entropy) of mean one."""
    network, rows = adapting()
    method = build_adapt(cfg.Cdan(kind="cdan", weight=3.0), MODEL.dim)
    method.initialise(network, None)
    sides = [rows.labelled[0].batch(0, 0), rows.inputs.batch(0, 0)]
    seen = [Outputs(side, network.encode(side.inputs)) for side in sides]
    first, _, last = (layer for layer in method.classifier.layers)
    parts = []
    for output, sign in zip(seen, (-1, 1), strict=True):
        rows_BD = output.features_BD.detach().double().numpy()
        odds = told(network, rows_BD)
        outer = np.einsum("bd,bk->bdk", rows_BD, odds).reshape(len(odds), -1)
        hidden = np.maximum(outer @ first.weight.detach().numpy().T + first.bias.detach().numpy(), 0)
        said = (hidden @ last.weight.detach().numpy().T + last.bias.detach().numpy())[:, 0]
        sure = 1 + np.exp((odds * np.log(odds)).sum(axis=1))
        parts.append((sure / sure.mean() * np.log1p(np.exp(sign * said))).mean())
    assert method.penalty(network, seen).item() == pytest.approx(3.0 * sum(parts) / 2, rel=1e-5)


def test_cdan_teaches_the_classifier_and_not_the_head():
    """The gradient reaches the features reversed, and what predicts not at all."""
    network, rows = adapting()
    method = build_adapt(cfg.Cdan(kind="cdan"), MODEL.dim)
    method.initialise(network, None)
    sides = [rows.labelled[0].batch(0, 0), rows.inputs.batch(0, 0)]
    method.penalty(network, [Outputs(side, network.encode(side.inputs)) for side in sides]).backward()
    assert all(parameter.grad is None for parameter in network.head.parameters())
    assert all(parameter.grad.abs().sum() > 0 for parameter in method.classifier.parameters())
    assert network.encoder.numbers.weight.grad.abs().sum() > 0


def test_importance_weights_are_clipped_odds_of_mean_one():
    """By scikit-learn's probabilities in the place of its decision, and larger where the target is."""
    random = np.random.default_rng(0)
    source, target = random.normal(0, 1, (300, 2)), random.normal([1.5, 0], 1, (100, 2))
    found = importance(source, target, most=4.0)
    domain = np.repeat([0, 1], [300, 100])
    chance = LogisticRegression(max_iter=500).fit(np.concatenate([source, target]), domain).predict_proba(source)
    odds = np.minimum(chance[:, 1] / chance[:, 0] * 3, 4.0)
    np.testing.assert_allclose(found, odds / odds.mean(), rtol=1e-8)
    assert (odds == 4.0).sum() > 5
    assert np.corrcoef(found, source[:, 0])[0, 1] > 0.8
    weighted = np.average(source[:, 0], weights=found)
    assert 0.7 < weighted < 1.8  # the weighted source is about where the target is


def tensors(inputs: torch.Tensor | Ragged) -> list[torch.Tensor]:
    return [inputs] if isinstance(inputs, torch.Tensor) else [inputs.places, inputs.weights, inputs.starts]


def test_reweighting_gives_each_row_its_weight_and_says_what_is_left():
    """Rows keep inputs and labels; the effective sample size is Kish's."""
    network, rows = adapting()
    method = build_adapt(cfg.Reweight(kind="reweight", most=5.0), MODEL.dim)
    method.initialise(network, None)
    [chosen] = method.choose(network, rows).labelled
    expected = importance(features(network, "far"), features(network, "near"), 5.0)
    np.testing.assert_allclose(chosen.weights, expected, rtol=1e-3)
    assert method.told == {
        "source_rows": 108, "effective_source_rows": pytest.approx(expected.sum() ** 2 / (expected**2).sum(), rel=1e-2),
    }  # fmt: skip
    assert method.told["effective_source_rows"] < 100
    plain, weighted = rows.labelled[0].batch(3, 1), chosen.batch(3, 1)
    assert torch.equal(plain.labels, weighted.labels)
    for name, read in plain.inputs.items():
        for one, same in zip(tensors(weighted.inputs[name]), tensors(read), strict=True):
            torch.testing.assert_close(one, same, rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(plain.weights_B, weighted.weights_B)


def test_of_each_class_the_surest_share_is_told():
    """By hand: half of those told to be of a class, rounded up, and none below the bound."""
    second = np.array([0.1, 0.2, 0.3, 0.45, 0.9, 0.55, 0.8])
    odds = np.stack([1 - second, second], axis=1)
    assert surest(odds, 0.5, 0.0).tolist() == [0, 1, 4, 6]
    assert surest(odds, 1.0, 0.75).tolist() == [0, 1, 4, 6]
    assert surest(odds, 0.3, 0.0).tolist() == [0, 1, 4]
    assert surest(odds, 1.0, 0.95).tolist() == []


def test_self_training_learns_from_what_the_start_says():
    """The chosen rows of the target carry the class and the confidence that the network gives them."""
    network, rows = adapting()
    config = cfg.SelfTraining(kind="self_training", share=0.4, confidence=0.0, rounds=3)
    method = build_adapt(config, MODEL.dim)
    method.initialise(network, None)
    source, chosen = method.choose(network, rows).labelled
    odds = told(network, features(network, "near"))
    places = surest(odds, 0.4, 0.0)
    np.testing.assert_array_equal(chosen.labels, odds[places].argmax(axis=1))
    np.testing.assert_allclose(chosen.weights, odds[places].max(axis=1), rtol=1e-4)
    assert (source is rows.labelled[0], chosen.role, chosen.steps) == (True, "inputs", source.steps)
    assert (method.rounds, method.share("inputs"), method.told) == (
        3, 0.3, {"target_rows": 90, "told_rows": len(places), "told_classes": 2},
    )  # fmt: skip
    sure = build_adapt(config.model_copy(update={"confidence": 0.999}), MODEL.dim)
    assert sure.choose(network, rows).labelled == rows.labelled  # nobody is so sure


def test_low_rank_starts_as_the_start_and_trains_little():
    """W + U V with U zero says the same; W is frozen, and the sum is what a copy has as its weight."""
    network, rows = adapting()
    side = rows.labelled[0].batch(0, 0)
    before = network.encode(side.inputs).detach()
    plain = {name: one.clone() for name, one in network.shared_state().items()}
    build_tune(cfg.Lora(kind="lora", rank=2), MODEL.dim).initialise(network, plain)
    assert torch.equal(network.encode(side.inputs), before)
    trains = {name for name, one in network.named_parameters() if one.requires_grad}
    products = {name for name in trains if name.startswith("encoder.")}
    assert {name.rpartition(".")[2] for name in products} == {"up", "down"}
    assert trains - products == {name for name, _ in network.named_parameters() if name.startswith("head.")}
    layer = network.encoder.numbers
    up, down = layer.up, layer.down
    with torch.no_grad():
        up.normal_()
    merged = network.merged()
    assert merged.state_dict().keys() == plain.keys()
    expected = plain["encoder.numbers.weight"].numpy() + up.detach().numpy() @ down.detach().numpy()
    np.testing.assert_allclose(merged.encoder.numbers.weight.detach(), expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(merged.encode(side.inputs), network.encode(side.inputs))
    moved = weights_moved(plain, network)
    layer_moved = np.linalg.norm(up.detach().numpy() @ down.detach().numpy())
    length = np.sqrt(sum(float((plain[f"encoder.numbers.{one}"] ** 2).sum()) for one in ("weight", "bias")))
    assert moved["encoder.numbers"] == pytest.approx(layer_moved / length, rel=1e-4)
    assert {value for layer, value in moved.items() if layer != "encoder.numbers"} == {0.0}
    assert "encoder" not in moved  # the edges of the bins are no weights


def test_bottlenecks_start_as_the_start_and_are_saved(tmp_path):
    """It is h + U relu(V h + b) + c behind each block, by NumPy; they and the head train, and a folder has them."""
    network, rows = adapting()
    side = rows.labelled[0].batch(0, 0)
    before = network.encode(side.inputs).detach()
    build_tune(cfg.Adapter(kind="adapter", width=3), MODEL.dim).initialise(network, network.shared_state())
    assert torch.equal(network.encode(side.inputs), before)
    trains = {name for name, one in network.named_parameters() if one.requires_grad}
    assert {name for name in trains if "head" not in name} == {
        f"encoder.blocks.0.adapter.{one}.{what}" for one in ("down", "up") for what in ("weight", "bias")
    }
    assert any(name.startswith("head.") for name in trains)
    adapter, hidden = network.encoder.blocks[0].adapter, torch.randn(5, 8)
    torch.nn.init.normal_(adapter.up.weight)
    down, up = (
        {name: one.detach().numpy() for name, one in layer.named_parameters()} for layer in (adapter.down, adapter.up)
    )
    inner = np.maximum(hidden.numpy() @ down["weight"].T + down["bias"], 0)
    expected = hidden.numpy() + inner @ up["weight"].T + up["bias"]
    np.testing.assert_allclose(adapter(hidden).detach(), expected, rtol=1e-4, atol=1e-6)
    (folder := tmp_path / "saved").mkdir()
    (saved := TabularEstimator.of(network)).save(folder)
    given = VIEWS["near"].fields[FEATURES]
    np.testing.assert_array_equal(load_ranker(folder).probabilities(given), saved.probabilities(given))


def test_the_a_distance_is_two_where_domains_are_apart_and_zero_where_not():
    """By what a classifier on other rows can do, whatever the domains' sizes."""
    random = np.random.default_rng(0)
    one, other = random.normal(size=(200, 3)), random.normal(size=(80, 3))
    assert a_distance(one, other) < 0.3
    assert a_distance(one, other + 20) == pytest.approx(2.0)
    half = a_distance(one, other + np.array([1.35, 0, 0]))  # a cut in the middle errs in a quarter of each: Phi(-0.675)
    assert half == pytest.approx(1.0, abs=0.25)


def test_the_domains_are_compared_by_the_features_of_their_rows():
    """MMD of the first batches, some rows twice where there are few; shifted domains are apart."""
    network, rows = adapting()
    found = domains_apart(network, rows)
    batches = [[one.batch(0, step) for step in range(64)] for one in (rows.labelled[0], rows.inputs)]
    with torch.no_grad():
        both = [torch.cat([network.encode(side.inputs).double() for side in sides])[:512] for sides in batches]
    assert found["mmd"] == pytest.approx(mmd(*both).item(), rel=1e-6)
    assert found["mmd"] > 0.01
    assert 0.2 < found["a_distance"] < 2
