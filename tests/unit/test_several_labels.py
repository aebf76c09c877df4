"""Several labels of the same rows: one network that sums masked losses, judged label by label, answered together."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as sk

from pipeline import config as cfg
from pipeline.evaluation.statistics import draws
from pipeline.models.example_baselines import fit_baseline
from pipeline.models.label_heads import ClassHead, NumberHead, SeveralHead, SeveralLabels, TagHead
from pipeline.models.load import load_ranker
from pipeline.models.sides import TAUGHT, Outputs, Side
from pipeline.models.tabular import TabularLearner
from pipeline.rows.examples.prepared import Examples
from pipeline.rows.examples.served import ServedExamples, ServeExamples
from pipeline.rows.learnt import NOTHING
from pipeline.tasks.labels import build_label
from pipeline.tasks.words import words_of
from pipeline.views import FEATURES, ClassLabel
from tests.examples import make_features, several_view
from tests.unit.test_examples_parting import parted, rows
from tests.unit.test_examples_served import INFO

TASK = cfg.RegressionTask(
    kind="regression", label="price", features={"size": "number"},
    also={"sold": {"kind": "binary"}, "marks": {"kind": "multilabel", "separator": "|"}},
)  # fmt: skip
NAN = float("nan")
SILENT = cfg.BinaryTask(
    kind="binary", label="sold", features={"size": "number"},
    also={"price": {"kind": "regression"}, "marks": {"kind": "multilabel", "separator": "|"},
          "brand": {"kind": "multiclass"}},
)  # fmt: skip
DISTIL = cfg.Strategy(tune={"kind": "distil"})


def settings() -> Any:
    return SimpleNamespace(
        model=cfg.TabularModel(kind="tabular", dim=8, buckets=64, bins=4, words=64),
        training=cfg.Training(batch_size=32), seed=0, target="near", sources=("far",), domains=("far", "near"),
    )  # fmt: skip


def fitted() -> Any:
    """A network of three labels that was not trained, as a predictor."""
    learner = TabularLearner(settings())
    network, _ = learner.tune({"near": several_view("near", 100)}, cfg.Strategy(tune={"kind": "scratch"}))
    return learner.predictor(network, {})


def test_the_loss_is_the_sum_of_the_labels_that_are_known() -> None:
    """By NumPy, row by row; what is missing adds nothing, and no gradient that is no number."""
    torch.manual_seed(0)
    head = SeveralHead({"n": NumberHead(4, 10.0, 2.0), "c": ClassHead(4, ("a", "b", "c")), "t": TagHead(4, ("x", "y"))})
    features = torch.randn(4, 4)
    number, place = [11.0, NAN, 7.0, NAN], [0, 2, -1, -1]
    tags = [[1.0, 0.0], [NAN, NAN], [0.0, NAN], [NAN, NAN]]
    labels = SeveralLabels((torch.tensor(number, dtype=torch.float64), torch.tensor(place),
                            torch.tensor(tags, dtype=torch.float64)))  # fmt: skip
    found = head.losses(Outputs(Side("d", "target", {}, labels, torch.ones(4)), features))

    said = {name: one(features).detach().double().numpy() for name, one in head.each.items()}
    wanted = np.zeros(4)
    for row in range(4):
        if not np.isnan(number[row]):
            wanted[row] += ((said["n"][row, 0] - number[row]) / 2.0) ** 2
        if place[row] >= 0:
            wanted[row] += np.log(np.exp(said["c"][row]).sum()) - said["c"][row, place[row]]
        each = [np.log1p(np.exp(odds)) - has * odds for odds, has in zip(said["t"][row], tags[row], strict=True)]
        if known := [one for one in each if not np.isnan(one)]:
            wanted[row] += np.mean(known)
    np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=1e-5)
    assert found[3] == 0
    found.sum().backward()
    assert all(torch.isfinite(one.grad).all() for one in head.parameters())


def test_batches_hold_every_row_that_has_a_label() -> None:
    """A row without any of them is none to learn from; what a row does not have is marked."""
    view = several_view("near", 100)
    nothing = view.labels[0].known | view.labels[1].known
    bare = replace(view, labels=(view.labels[0], view.labels[1]))
    _, rows_of = TabularLearner(settings()).tune({"near": bare}, cfg.Strategy(tune={"kind": "scratch"}))
    [side] = rows_of.labelled
    assert side.count == nothing.sum()
    number, place = side.labels.each
    np.testing.assert_array_equal(number.isnan(), np.isnan(view.labels[0].value[nothing]))
    np.testing.assert_array_equal(place, view.labels[1].value[nothing])


def test_a_source_may_say_nothing_of_a_further_label() -> None:
    """Its network has a head for it all the same, which the target's rows teach later."""
    far = several_view("far", 60)
    silent = replace(far, labels=(far.labels[0], replace(far.labels[1], value=np.full(60, -1)), *far.labels[2:]))
    network, _ = TabularLearner(settings()).pretrain({"far": silent})
    assert network.head.each["sold"].classes == ("no", "yes")


def silent(view: Any) -> Any:
    """The same rows as of a domain that says nothing of price, marks and brand, and has met no mark and no brand."""
    price, sold, marks = view.labels
    nothing = replace(marks, value=np.zeros((len(view), 0), dtype=bool), known=np.zeros(len(view), bool), classes=())
    bare = replace(price, value=np.full(len(view), np.nan))
    return replace(view, labels=(sold, bare, nothing, ClassLabel(np.full(len(view), -1), (), "brand")))


def test_what_a_source_says_nothing_of_is_the_targets_alone() -> None:
    """The start has no weights of it, nor its mean and spread; a teacher says nothing of it."""
    near, far = several_view("near", 80), silent(several_view("far", 60))
    brand = ClassLabel(np.arange(80) % 3, ("a", "b", "c"), "brand")
    near = replace(near, labels=(near.labels[1], near.labels[0], near.labels[2], brand))
    source, _ = TabularLearner(settings()).pretrain({"far": far})
    start = source.shared_state()
    assert any(name.startswith("head.heads.0.") for name in start)
    judge = build_label(SILENT)
    said = judge.predict(TabularLearner(settings()).as_trained(source, far), far)  # as it is watched while it learns
    values = judge.values([(far, said)])
    assert np.isnan([values["marks.macro_auprc"], values["brand.macro_auprc"], values["price.mse"]]).all()
    assert judge.chance(far).shape == said.shape
    tuned, rows_of = TabularLearner(settings()).tune({"far": far, "near": near}, DISTIL)
    price = near.labels[1].value
    tuned.load_known(start)
    own = tuned.head.each["price"]
    assert (float(own.mean), float(own.scale)) == pytest.approx((np.nanmean(price), np.nanstd(price)))
    told = TabularLearner(settings()).teach(rows_of, {"far": far, "near": near}, start).inputs.inputs[TAUGHT]
    assert told.isnan().any(dim=0).tolist() == [False] * 2 + [True] * 7
    features = torch.randn(len(told), 8)
    alone = tuned.head.each["sold"].divergence(features, told[:, :2], 2.0)
    torch.testing.assert_close(tuned.head.divergence(features, told, 2.0), alone)


def test_a_predictor_of_several_labels_comes_back_from_its_folder(tmp_path) -> None:
    """The same answers of each label, settled as they were, and the encoder that they share only once on disk."""
    made = fitted().settled({"sold.temperature": 2.0, "sold.threshold": 0.3, "marks.threshold": [0.1, 0.2, 0.3]})
    made.save(tmp_path)
    again, features = load_ranker(tmp_path), make_features(20, 7)
    assert again.of_label("sold").threshold == 0.3
    assert again.of_label("marks").threshold == [0.1, 0.2, 0.3]
    np.testing.assert_array_equal(again.of_label("price").values(features), made.of_label("price").values(features))
    for name in ("sold", "marks"):
        said = [one.of_label(name).probabilities(features) for one in (again, made)]
        np.testing.assert_array_equal(*said)
    alone = tmp_path / "alone"
    alone.mkdir()
    made.of_label("price").save(alone)
    one, three = ((folder / "weights.safetensors").stat().st_size for folder in (alone, tmp_path))
    assert three < 1.3 * one


@pytest.mark.parametrize("kind", ["constant", "linear"])
def test_a_baseline_learns_each_label_by_itself(kind: str) -> None:
    """The very model of a view that has that label alone."""
    view, features = several_view("near", 120), make_features(10, 3)
    config = {"constant": cfg.Constant(kind="constant"), "linear": cfg.Linear(kind="linear", words=256)}[kind]
    chosen = {} if kind == "constant" else {"regularization": 1.0, "buckets": 64, "words": 256}
    both = fit_baseline(config, {"near": view}, "near", chosen, 0)
    for label in view.labels:
        alone = fit_baseline(config, {"near": view.of_label(label.name)}, "near", chosen, 0)
        np.testing.assert_array_equal(both.of_label(label.name).raw(features), alone.raw(features))


def test_each_label_is_judged_on_the_rows_that_have_it() -> None:
    """By scikit-learn, under the label's name, on all rows and on a draw of their units; the first is gated."""
    kind, view, made = build_label(TASK), several_view("near", 100), fitted()
    view = view.take(view.label.known)
    said = kind.predict(made, view)
    found = kind.values([(view, said)])
    assert (kind.gated, kind.words.name("sold.auroc"), kind.words.sign("sold.log_loss")) == ("mse", "AUROC of sold", -1)
    assert words_of(TASK) == kind.words
    assert set(found) == set(kind.metrics)
    features, [number, sold, marks] = view.fields[FEATURES], view.labels
    assert found["mse"] == pytest.approx(sk.mean_squared_error(number.value, made.of_label("price").values(features)))
    chance = made.of_label("sold").probabilities(features)[:, 1]
    assert found["sold.auroc"] == pytest.approx(sk.roc_auc_score(sold.value[sold.known], chance[sold.known]))
    tags = made.of_label("marks").probabilities(features)
    wanted = sk.average_precision_score(marks.value[marks.known], tags[marks.known], average="macro")
    assert found["marks.macro_auprc"] == pytest.approx(wanted)

    chosen = np.arange(len(view)) % 3 > 0
    statistic = kind.statistic(view, said, chosen, ("mse", "sold.auroc"))
    counts = next(iter(draws(statistic.units, 5, 0)))[:5]
    rows_of, known = np.flatnonzero(chosen), sold.known[chosen]
    for count, (mse, auroc) in zip(counts, statistic(counts), strict=True):
        error = (number.value - made.of_label("price").values(features))[rows_of] ** 2
        assert mse == pytest.approx(np.average(error, weights=count))
        wanted = sk.roc_auc_score(sold.value[rows_of][known], chance[rows_of][known], sample_weight=count[known])
        assert auroc == pytest.approx(wanted)


def test_a_label_that_no_row_has_is_not_defined() -> None:
    """The gated one is, and nothing is chosen for the other."""
    kind, view, made = build_label(TASK), several_view("near", 60), fitted()
    view = view.take(view.label.known)
    number, sold, marks = view.labels
    bare = replace(view, labels=(number, replace(sold, value=np.full(len(view), -1)), marks))
    said = kind.predict(made, bare)
    found = kind.values([(bare, said)])
    assert np.isnan(found["sold.auprc"])
    assert not np.isnan(found["mse"])
    every = np.ones(len(bare), dtype=bool)
    assert np.isnan(kind.statistic(bare, said, every, ("sold.auprc",))(np.ones((2, len(bare))))).all()
    assert not [key for key in kind.settle([(made, bare)]) if key.startswith("sold.")]
    assert kind.chance(bare).shape == said.shape


def test_further_labels_change_neither_names_nor_parts(tmp_path) -> None:
    """So that a model of several labels is judged on the rows of the one that knows the first alone."""
    task = cfg.BinaryTask(kind="binary", label="bought", features={"pages": "number", "browser": "category"})
    frame = rows(60).assign(stars=np.arange(60.0))
    alone, _, _ = parted(frame.drop(columns="stars"), tmp_path / "a", task)
    both = cfg.BinaryTask(**{**task.model_dump(exclude={"also"}), "also": {"stars": {"kind": "regression"}}})
    found, parts, _ = parted(frame, tmp_path / "b", both)
    pd.testing.assert_frame_equal(found.drop(columns="stars"), alone)
    turned, _, _ = parted(frame.iloc[::-1].reset_index(drop=True), tmp_path / "c", both)
    pd.testing.assert_frame_equal(turned, found)
    assert parts.known["without stars"] == 0


def test_an_answer_has_the_columns_of_each_label(tmp_path) -> None:
    """Those of the first as ever, the others' under their names, with what made each."""
    task = cfg.RegressionTask(
        kind="regression", label="price", also={"sold": {"kind": "binary"}},
        features=make_features(1).types,
    )  # fmt: skip
    features = make_features(6)
    frame = features.table.assign(row_id=list("abcdef"), component=range(6), part=0, kept=True, price=1.0, sold=True)
    ServeExamples().write(tmp_path, Examples(task, {"near": frame}, "near"), NOTHING)
    package: ServedExamples = ServeExamples().read(tmp_path, INFO, fitted())
    asked = features.table.assign(seen=features.table["seen"].astype(str))
    told = package.answer(asked, {"explain": 1})
    assert [*told] == [
        "request", "price", "sold", "sold_probability", "sold_threshold", "unknown", "explanation", "sold_explanation",
    ]  # fmt: skip
    np.testing.assert_allclose(told["price"], package.predictor.of_label("price").values(package._read(asked)))


@pytest.mark.parametrize(("more", "told"), [
    ({"also": {"price": {"kind": "binary"}}}, "price stands there more than once"),
    ({"also": {"sold": {"kind": "binary", "metric": "auroc"}}}, "metric"),
    ({"also": {"sold": {"kind": "multilabel"}}}, "separator"),
])  # fmt: skip
def test_a_label_is_named_once_and_said_to_be_what_it_is(more: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        cfg.RegressionTask(kind="regression", label="price", features={"size": "number"}, **more)


def test_what_is_for_one_class_a_row_is_refused_beside_several_labels(scenario: Any) -> None:
    given = scenario(
        strategies=[{"tune": {"kind": "scratch"}}, {"adapt": {"kind": "cdan"}, "tune": {"kind": "direct"}}]
    )
    with pytest.raises(ValueError, match=r"cdan is for rows that are labelled with classes, but .* several labels"):
        cfg.Scenario(**given)
    given = scenario(baselines=[{"kind": "isolation_forest"}])
    with pytest.raises(ValueError, match=r"isolation_forest predicts one of two classes, but the task regression asks"):
        cfg.Scenario(**given)


@pytest.fixture
def scenario() -> Any:
    def made(**more: Any) -> dict[str, Any]:
        return {
            "name": "s", "title": "S", "sources": ["far"], "target": "near", "bridges": ["features"],
            "tables": {"examples": [{"path": "x.csv"}]}, "split": {"kind": "hash"}, "task": TASK.model_dump(),
            "strategies": [{"tune": {"kind": "scratch"}}], "baselines": [{"kind": "constant"}], **more,
        }  # fmt: skip

    return made
