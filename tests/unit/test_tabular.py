"""The tabular network's parts: bins, heads, batches, and what each phase of a transfer reads."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline import config as cfg
from pipeline.models.encoders.tabular import TabularEncoder, piecewise, quantiles
from pipeline.models.example_batches import ExampleRows
from pipeline.models.feature_values import Values
from pipeline.models.label_heads import ClassHead, NumberHead, _key
from pipeline.models.load import load_ranker
from pipeline.models.sides import Outputs, Side
from pipeline.models.tabular import TabularLearner
from pipeline.transfer.distances import coral
from pipeline.transfer.methods import build_tune
from pipeline.views import FEATURES, ClassLabel
from tests.examples import TYPES, class_view, make_features, number_view

MODEL = cfg.TabularModel(kind="tabular", dim=8, buckets=64, bins=4, words=64, weight_decay=0.2)


def test_piecewise_is_the_formula_of_its_paper():
    """Component t of x is (x - b_t) / (b_t+1 - b_t), cut to [0, 1]; missing says so, and equal edges are a step."""
    edges = torch.tensor([[0.0, 1.0, 3.0, 7.0], [2.0, 2.0, 2.0, 4.0]])
    numbers = torch.tensor([[2.0, 2.0], [-9.0, 2.5], [99.0, 1.0], [float("nan"), 9.0]])
    expected = np.zeros((4, 2, 4))
    for row in range(4):
        for column in range(2):
            x = float(numbers[row, column])
            for t in range(3):
                low, high = (float(edges[column, t + shift]) for shift in (0, 1))
                if not np.isnan(x):
                    expected[row, column, t] = np.clip((x - low) / (high - low), 0, 1) if high > low else x > low
            expected[row, column, 3] = np.isnan(x)
    np.testing.assert_allclose(piecewise(numbers, edges).numpy(), expected, atol=1e-7)


def test_edges_are_quantiles_of_what_is_known():
    """Of the rows of all domains together; a column that is always missing has no bins that say anything."""
    several = [Values.of(make_features(50, seed)) for seed in (1, 2)]
    edges = quantiles(several, 4)
    size = np.concatenate([one.numbers[:, 0] for one in several])
    np.testing.assert_allclose(edges[0], np.nanquantile(size, [0, 0.25, 0.5, 0.75, 1]))
    assert edges[2].tolist() == [3.0] * 5
    assert edges[3].tolist() == [0.0] * 5


@pytest.mark.parametrize("lacking", [False, True])
def test_a_number_that_no_row_lacked_is_usual_where_it_is_missing(lacking, tmp_path):
    """Its lack taught nothing; where rows lacked it, what that taught counts. So it is after loading."""
    view = class_view("near", 60)
    table = view.fields[FEATURES].table
    sizes = np.where(np.isnan(table["size"]), 0.5, table["size"])
    sizes[:5] = np.nan if lacking else sizes[:5]
    taught = replace(view, fields={FEATURES: replace(view.fields[FEATURES], table=table.assign(size=sizes))})
    learner = learner_of()
    network, _ = learner.tune({"near": taught, "far": taught}, strategy("scratch"))
    predictor = learner.predictor(network, {})
    predictor.save(tmp_path)
    one = replace(view.fields[FEATURES], table=table.iloc[:1])
    middle = float(np.quantile(sizes[~np.isnan(sizes)], 0.5))
    missing, usual = (replace(one, table=one.table.assign(size=[told])) for told in (np.nan, middle))
    for told in (predictor, load_ranker(tmp_path)):
        same = np.allclose(told.raw(missing), told.raw(usual), atol=1e-6)
        assert same is not lacking


def test_dropout_is_off_while_predicting():
    """In training two passes differ; what predicts is a copy that does not, and training goes on as before."""
    learner = learner_of(dropout=0.5)
    network, _ = learner.pretrain({"far": class_view("far", 60)})
    features = make_features(20)
    read = network.encoder.read(features)
    assert not torch.equal(network.encode(read), network.encode(read))
    predictor = learner.as_trained(network, class_view("far", 10))
    assert network.training
    np.testing.assert_array_equal(predictor.probabilities(features), predictor.probabilities(features))
    with torch.no_grad():
        network.head.rows[next(iter(network.head.rows))] += 5
    np.testing.assert_array_equal(
        learner.predictor(network, {}).probabilities(features)[:, 0] == predictor.probabilities(features)[:, 0],
        np.zeros(20, dtype=bool),
    )


def test_the_class_head_is_softmax_regression():
    """Logits and losses by PyTorch's own functions; names may be anything."""
    torch.manual_seed(0)
    head, features = ClassHead(8, ("a.b", "", "naïve/ü")), torch.randn(5, 8)
    rows = torch.stack([head.rows[_key(name)] for name in head.classes])
    logits = features @ rows[:, :8].T + rows[:, 8]
    torch.testing.assert_close(head(features), logits)
    labels = torch.tensor([0, 1, 2, 1, 0])
    output = Outputs(Side("d", "target", {}, labels, torch.ones(5)), features)
    torch.testing.assert_close(head.losses(output), functional.cross_entropy(logits, labels, reduction="none"))


def test_the_number_head_speaks_in_units_of_the_spread():
    """(prediction - value)^2 / spread^2, whatever the label's own units."""
    torch.manual_seed(0)
    head, features = NumberHead(8, 1000.0, 50.0), torch.randn(5, 8)
    labels = torch.tensor([1000.0, 900.0, 1100.0, 2000.0, 0.0], dtype=torch.float64)
    output = Outputs(Side("d", "target", {}, labels, torch.ones(5)), features)
    expected = ((head(features)[:, 0] - labels) / 50).square()
    torch.testing.assert_close(head.losses(output).double(), expected, rtol=1e-5, atol=1e-6)
    assert head(features)[:, 0].mean().item() == pytest.approx(1000, abs=100)


@pytest.mark.parametrize(("count", "size"), [(1, 4), (2, 1), (5, 2), (33, 16), (200, 64), (1000, 256)])
def test_an_epoch_goes_once_over_the_rows(count, size):
    """Every row once, in batches of at least two, in an order of each epoch's own; another seed has another one."""
    rows = ExampleRows("d", "target", {"x": torch.arange(count)}, torch.arange(count), size, seed=0)
    epochs = []
    for epoch in range(2):
        sides = [rows.batch(epoch, step) for step in range(rows.steps)]
        assert min(len(side.labels) for side in sides) >= 2
        assert all(torch.equal(side.inputs["x"], side.labels) for side in sides)
        epochs.append(torch.cat([side.labels for side in sides]).tolist())
    assert all(sorted(set(epoch)) == list(range(count)) for epoch in epochs)
    assert all(len(epoch) == max(count, 2) for epoch in epochs)
    if count > 5:
        assert epochs[0] != epochs[1]
        assert rows.batch(0, 0).labels.tolist() == epochs[0][: len(rows.batch(0, 0).labels)]


@pytest.mark.parametrize(
    ("count", "size", "steps"),
    [(12, 1024, 1), (120, 1024, 7), (1600, 1024, 16), (8000, 1024, 16), (800, 64, 16), (800, 20, 40)],
)
def test_an_epoch_has_several_steps(count, size, steps):
    """Where there are rows for it: batches are made smaller, down to 16 rows, and never larger than asked for."""
    assert ExampleRows("d", "target", {"x": torch.arange(count)}, None, size, seed=0).steps == steps


def test_the_shorter_side_begins_again():
    """Where another domain takes longer, a row comes again only after all others came."""
    rows = ExampleRows("d", "target", {"x": torch.arange(48)}, None, 16, seed=0)
    rows.steps = 7
    seen = [rows.batch(place // 7, place % 7).inputs["x"].tolist() for place in range(12)]
    turns = [sorted(one for batch in seen[turn : turn + 3] for one in batch) for turn in range(0, 12, 3)]
    assert turns == [list(range(48))] * 4


def learner_of(**model) -> TabularLearner:
    """Far teaches, near is taught."""
    training = cfg.Training(batch_size=32)
    return TabularLearner(
        SimpleNamespace(
            model=MODEL.model_copy(update=model), training=training, seed=0, target="near", sources=("far",),
            domains=("far", "near"),
        )
    )  # fmt: skip


def strategy(tune: str, **more) -> cfg.Strategy:
    return cfg.Strategy(tune={"kind": tune, **more})


VIEWS = {"far": class_view("far", 300, shift=3.0), "near": class_view("near", 80, 1)}


@pytest.mark.parametrize(
    ("tune", "reads", "learns"),
    [("scratch", ("near",), ["near"]), ("direct", ("far",), []), ("frozen", ("far", "near"), ["near"]),
     ("fine_tune", ("far", "near"), ["near"]), ("joint", ("far", "near"), ["far", "near"])],
)  # fmt: skip
def test_bins_come_from_what_a_strategy_learns_from(tune, reads, learns):
    """And labels from those that its tuning looks at; an epoch is as long for each."""
    network, rows = learner_of().tune(VIEWS, strategy(tune))
    expected = quantiles([Values.of(VIEWS[name].fields[FEATURES]) for name in reads], 4)
    np.testing.assert_allclose(network.encoder.edges.numpy(), expected, rtol=1e-6)
    assert [side.domain for side in rows.labelled] == learns
    assert len({side.steps for side in rows.labelled}) <= 1
    assert rows.inputs is None


def test_what_starts_from_the_source_reads_with_its_bins():
    """A feature means what it meant when its weights were learnt."""
    learner = learner_of()
    source, _ = learner.pretrain({"far": VIEWS["far"]})
    network, _ = learner.tune(VIEWS, strategy("fine_tune"))
    assert not torch.equal(network.encoder.edges, source.encoder.edges)
    build_tune(strategy("fine_tune").tune, 8).initialise(network, source.shared_state())
    assert torch.equal(network.encoder.edges, source.encoder.edges)
    features = make_features(20)
    np.testing.assert_array_equal(
        learner.predictor(network, {}).probabilities(features), learner.predictor(source, {}).probabilities(features)
    )


def test_classes_that_both_know_are_carried():
    """By name: the source's `b` is the target's `b`, at another place; `c` is new and `a` stays."""
    far = replace(VIEWS["far"], labels=(replace(VIEWS["far"].label, classes=("a", "b")),))
    value = VIEWS["near"].label.value
    near = replace(VIEWS["near"], labels=(ClassLabel(np.where(value < 0, -1, 1 - value), ("b", "c"), "sold"),))
    learner = learner_of()
    source, _ = learner.pretrain({"far": far})
    network, _ = learner.tune({"far": far, "near": near}, strategy("fine_tune"))
    drawn = rows_of(network)
    network.load_known(source.shared_state())
    before, after = rows_of(source), rows_of(network)
    assert network.head.classes == ("a", "b", "c")
    assert torch.equal(after["b"], before["b"])
    assert torch.equal(after["a"], before["a"])
    assert torch.equal(after["c"], drawn["c"])


def rows_of(network) -> dict[str, torch.Tensor]:
    return {name: network.head.rows[_key(name)].detach().clone() for name in network.head.classes}


def test_frozen_trains_the_head_alone():
    """Everything that makes features stays."""
    network, _ = learner_of().tune(VIEWS, strategy("frozen"))
    build_tune(strategy("frozen").tune, 8).initialise(network, None)
    training = {name.partition(".")[0] for name, one in network.named_parameters() if one.requires_grad}
    assert training == {"head"}


def test_inputs_are_all_rows_of_the_target():
    """Also those without a label; one row is enough for a covariance that is a number."""
    learner = learner_of()
    network, rows = learner.adapt(VIEWS)
    assert [side.domain for side in rows.labelled] == ["far"]
    assert rows.inputs.count == 80
    assert network.head.classes == ("no", "yes")
    _, aligned = learner.tune(VIEWS, strategy("joint", align={"kind": "coral"}))
    assert aligned.inputs.count == 80
    assert aligned.labelled[1].count == 72
    alone = {**VIEWS, "near": VIEWS["near"].take(np.array([1]))}
    network, rows = learner.adapt(alone)
    seen = [network.encode(side.inputs) for side in (rows.labelled[0].batch(0, 0), rows.inputs.batch(0, 0))]
    assert torch.isfinite(coral(*seen))
    seen[0].sum().backward()


def test_the_optimizer_is_adamw_with_the_model_s_decay():
    """After one step on one weight, the numbers are those of the formula."""
    encoder = TabularEncoder(MODEL, TYPES, None)
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    optimizer = encoder.optimizer([weight], 0.1)
    weight.grad = torch.tensor([3.0])
    optimizer.step()
    assert weight.item() == pytest.approx(2.0 * (1 - 0.1 * 0.2) - 0.1)  # the first step is the rate itself


def test_a_number_s_head_learns_its_spread_from_the_rows():
    """Mean and deviation of the labels that are known."""
    view = number_view("near", 80)
    network, _ = learner_of().tune({"far": number_view("far", 50, 1), "near": view}, strategy("scratch"))
    known = view.label.value[view.label.known]
    assert float(network.head.mean) == pytest.approx(known.mean())
    assert float(network.head.scale) == pytest.approx(known.std())
