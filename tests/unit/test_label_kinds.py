"""The kinds of label that are classes and numbers: what is judged of a predictor, by hand-made ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn import metrics as sk

from pipeline.config import BinaryTask, Costs, MulticlassTask, RegressionTask
from pipeline.errors import CrossliftError
from pipeline.evaluation.statistics import draws, resample
from pipeline.labels.class_kind import Classes, TwoClasses
from pipeline.labels.number_kind import Numbers
from pipeline.labels.settling import cheapest, temperature, threshold
from pipeline.tasks.labels import build_label
from pipeline.views import FEATURES, ROW, UNIT, ClassLabel, Features, FloatArray, Mask, NumberLabel, View

BINARY = BinaryTask(kind="binary", label="y", features={"x": "number"})
SEVERAL = MulticlassTask(kind="multiclass", label="y", features={"x": "number"})
NUMBER = RegressionTask(kind="regression", label="y", features={"x": "number"})
NAMES = ("no", "yes")


@dataclass(frozen=True)
class Told:
    """Says what a table holds for the place that a row's feature names."""

    table: np.ndarray
    classes: tuple[str, ...] = NAMES
    temperature: float = 1.0
    threshold: float = 0.5

    def probabilities(self, features: Features) -> np.ndarray:
        with np.errstate(divide="ignore"):
            logs = np.log(self.table[features.table["x"].to_numpy().astype(int)])
        return softmax(logs / self.temperature, axis=1)

    def decided(self, probabilities: np.ndarray) -> np.ndarray:
        if len(self.classes) == 2:
            return (probabilities[:, 1] >= self.threshold).astype(np.int64)
        return probabilities.argmax(axis=1)

    def values(self, features: Features) -> np.ndarray:
        return self.table[features.table["x"].to_numpy().astype(int)]

    def settled(self, chosen: dict[str, float]) -> "Told":
        return replace(self, **chosen)


def view_of(label: Any, units: Sequence[int] | None = None) -> View:
    places = np.arange(len(label.value))
    rows = pd.DataFrame({ROW: places, UNIT: places if units is None else units})
    features = Features(pd.DataFrame({"x": places.astype(float)}), {"x": "number"})
    return View("b", rows, {FEATURES: features}, (label,))


def binary(rows: int = 300, seed: int = 0, signal: float = 1.5) -> tuple[View, Told]:
    random = np.random.default_rng(seed)
    value = (random.random(rows) < 0.2).astype(np.int64)
    score = 1 / (1 + np.exp(2 - signal * value - random.normal(size=rows)))
    return view_of(ClassLabel(value, NAMES, "y")), Told(np.stack([1 - score, score], axis=1))


def every(view: View) -> np.ndarray:
    return np.ones(len(view), dtype=np.bool_)


def test_two_classes_are_judged_as_scikit_learn_does() -> None:
    """All ten metrics, the threshold's among them."""
    view, predictor = binary()
    said = TwoClasses(BINARY).predict(predictor.settled({"threshold": 0.3}), view)
    value, score = view.label.value, predictor.table[:, 1]
    found = TwoClasses(BINARY).values([(view, said)])
    wanted = {
        "auprc": sk.average_precision_score(value, score), "auroc": sk.roc_auc_score(value, score),
        "log_loss": sk.log_loss(value, score), "brier": sk.brier_score_loss(value, score),
        "f1": sk.f1_score(value, score >= 0.3), "precision": sk.precision_score(value, score >= 0.3),
        "recall": sk.recall_score(value, score >= 0.3), "accuracy": sk.accuracy_score(value, score >= 0.3),
        "balanced_accuracy": sk.balanced_accuracy_score(value, score >= 0.3),
    }  # fmt: skip
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)
    assert set(found) == {*wanted, "ece"}
    assert TwoClasses(BINARY).told(view) == f"300 rows are judged; y is yes in {value.sum()} of them."
    assert TwoClasses(BINARY).positives(view, view.rows[ROW].to_numpy() < 50) == value[:50].sum()


def test_the_rows_of_a_component_are_drawn_together() -> None:
    """Each resample is scikit-learn's value of the rows of the drawn components, numbered as they come."""
    view, predictor = binary(120)
    units = np.random.default_rng(1).integers(100, 130, 120)
    view = replace(view, rows=view.rows.assign(unit=units))
    chosen = view.rows[ROW].to_numpy() >= 20
    kind = TwoClasses(BINARY)
    statistic = kind.statistic(view, kind.predict(predictor, view), chosen, ("auprc", "log_loss"))
    names, place = np.unique(units[chosen], return_inverse=True)
    assert statistic.units == len(names)
    found = resample({"a": statistic}, 30, 5)["a"]
    value, score = view.label.value[chosen], predictor.table[chosen, 1]
    for drawn, count in zip(found.drawn, np.concatenate(list(draws(len(names), 30, 5))).astype(int), strict=True):
        own = np.repeat(np.arange(len(value)), count[place])
        assert drawn == pytest.approx(
            [sk.average_precision_score(value[own], score[own]), sk.log_loss(value[own], score[own], labels=[0, 1])]
        )


def test_classes_are_matched_by_name() -> None:
    """In another order, with one that the view lacks, and without one that it has."""
    value = np.array([0, 1, 2, 1])
    view = view_of(ClassLabel(value, ("a", "b", "c"), "y"))
    said = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    found = Classes(SEVERAL).predict(Told(said, ("c", "a", "z")), view)
    np.testing.assert_allclose(found[:, :3], [[0.7, 0, 0.1], [0.3, 0, 0.6], [0.5, 0, 0.2], [0.1, 0, 0.1]])
    np.testing.assert_array_equal(found[:, 3], [0, 2, 0, -1])  # `z` is no class of the view: it is never right
    values = Classes(SEVERAL).values([(view, found)])
    assert values["accuracy"] == 0.25
    assert values["balanced_accuracy"] == pytest.approx(1 / 3)
    assert np.isfinite(values["log_loss"])
    assert Classes(SEVERAL).told(view) == "4 rows of 3 classes are judged."


def calibration_error(right: np.ndarray, sure: np.ndarray) -> float:
    """Guo et al., 2017, equation 3, bin by bin: (0, 1/15], (1/15, 2/15] and so on."""
    edges, gaps = np.linspace(0, 1, 16), []
    for low, high in pairwise(edges):
        mine = (sure > low) & (sure <= high)
        gaps.append(abs(right[mine].mean() - sure[mine].mean()) * mine.mean() if mine.any() else 0.0)
    return float(sum(gaps))


def test_several_classes_are_judged_as_scikit_learn_does() -> None:
    """On all rows, of two views together."""
    random = np.random.default_rng(3)
    labels = [ClassLabel(random.integers(0, 3, rows), ("a", "b", "c"), "y") for rows in (50, 70)]
    views = [view_of(label) for label in labels]
    tables = [random.dirichlet(np.ones(3), len(view)) for view in views]
    kind = Classes(SEVERAL)
    found = kind.values([(view, kind.predict(Told(table, ("a", "b", "c")), view))
                         for view, table in zip(views, tables, strict=True)])  # fmt: skip
    value, table = np.concatenate([label.value for label in labels]), np.concatenate(tables)
    told = table.argmax(axis=1)
    assert found == pytest.approx({
        "balanced_accuracy": sk.balanced_accuracy_score(value, told), "log_loss": sk.log_loss(value, table),
        "accuracy": sk.accuracy_score(value, told), "f1": sk.f1_score(value, told, average="macro"),
        "macro_auprc": np.mean([sk.average_precision_score(value == k, table[:, k]) for k in range(3)]),
        "ece": calibration_error(value == told, table.max(axis=1)),
    })  # fmt: skip


def test_numbers_are_judged_as_scikit_learn_does() -> None:
    """By squared and absolute error, and R2."""
    random = np.random.default_rng(0)
    view = view_of(NumberLabel(random.normal(size=80), "y"))
    said = view.label.value + random.normal(size=80)
    found = Numbers(NUMBER).values([(view, Numbers(NUMBER).predict(Told(said), view))])
    value = view.label.value
    wanted = sk.mean_squared_error(value, said), sk.mean_absolute_error(value, said), sk.r2_score(value, said)
    assert found == pytest.approx(dict(zip(("mse", "mae", "r2"), wanted, strict=True)))
    statistic = Numbers(NUMBER).statistic(view, said, every(view), ("mae", "r2"))
    assert statistic(np.ones((1, 80)))[0] == pytest.approx([found["mae"], found["r2"]])


def test_chance_knows_the_shares_alone() -> None:
    """AUPRC is the rate of positives, AUROC a half, balanced accuracy one of the classes; R2 is nothing."""
    view, _ = binary()
    found = TwoClasses(BINARY).values([(view, TwoClasses(BINARY).chance(view))])
    rate = view.label.value.mean()
    wanted = {"auprc": rate, "auroc": 0.5, "balanced_accuracy": 0.5, "recall": 0.0, "brier": rate * (1 - rate)}
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)
    several = view_of(ClassLabel(np.array([0, 2, 2, 1, 2]), ("a", "b", "c"), "y"))
    assert Classes(SEVERAL).values([(several, Classes(SEVERAL).chance(several))])["balanced_accuracy"] == (
        pytest.approx(1 / 3)
    )
    numbers = view_of(NumberLabel(np.array([1.0, 2.0, 6.0]), "y"))
    assert Numbers(NUMBER).values([(numbers, Numbers(NUMBER).chance(numbers))])["r2"] == pytest.approx(0.0)


@pytest.mark.parametrize("sharpened", [0.4, 1.0, 3.0])
def test_the_temperature_is_that_of_a_fine_grid(sharpened: float) -> None:
    """Found again where probabilities were sharpened or blunted; never worse in log loss than any of a grid."""
    random = np.random.default_rng(1)
    right = random.dirichlet(np.ones(3), 2000)
    value = (right.cumsum(axis=1) < random.random((2000, 1))).sum(axis=1)
    said = softmax(sharpened * np.log(right), axis=1)
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 400))
    losses = [sk.log_loss(value, softmax(np.log(said) / one, axis=1)) for one in grid]
    found = temperature(value, said)
    assert sk.log_loss(value, softmax(np.log(said) / found, axis=1)) <= min(losses) + 1e-7
    assert found == pytest.approx(sharpened, rel=0.1)


def midways(score: FloatArray) -> list[float]:
    """Every threshold that divides rows otherwise than another one."""
    return [0.0, *(np.unique(score)[1:] + np.unique(score)[:-1]) / 2]


@pytest.mark.parametrize("digits", [1, 9])
@pytest.mark.parametrize("seed", range(5))
def test_a_threshold_moves_as_far_as_the_rows_tell(digits: int, seed: int) -> None:
    """Of all whose F1 is within a standard error of the highest it is the nearest to half the expected one."""
    view, predictor = binary(200, seed=seed)
    score, positive = np.round(predictor.table[:, 1], digits), view.label.value == 1

    def added(one: float) -> tuple[float, FloatArray]:  # F1, and what each row adds to it
        yes = score >= one
        f1 = sk.f1_score(positive, yes, zero_division=0)
        return f1, (2.0 * (positive & yes) - f1 * (positive.astype(float) + yes)) / (positive.sum() + yes.sum())

    best, of_best = max((added(one) for one in midways(score)), key=lambda found: found[0])
    near = [
        one for one in midways(score)
        if best - added(one)[0] <= np.sqrt(((added(one)[1] - of_best) ** 2).sum()) + 1e-12
    ]  # fmt: skip
    expected = max(2 * score[score >= one].sum() / (score.sum() + (score >= one).sum()) for one in midways(score))
    found = threshold(positive, score)
    assert found == pytest.approx(min(near, key=lambda one: abs(one - expected / 2)))
    assert digits == 1 or len(near) > 1


@pytest.mark.parametrize(("rate", "rows"), [(0.5, 100), (0.2, 200), (0.05, 500)])
def test_thresholds_hold_on_other_rows(rate: float, rows: int) -> None:
    """Where probabilities are right, F1 and cost on other rows are better than by the best threshold of the few."""
    random = np.random.default_rng(0)

    def drawn(count: int) -> tuple[Mask, FloatArray]:
        positive = random.random(count) < rate
        log_odds = 2 * (2 * positive + random.normal(size=count)) - 2 + np.log(rate / (1 - rate))
        return positive, 1 / (1 + np.exp(-log_odds))

    others, probability = drawn(50_000)
    found = {"f1": [0.0, 0.0], "cost": [0.0, 0.0]}
    for _ in range(40):
        positive, score = drawn(rows)
        tried = np.array(midways(score))
        yes = score >= tried[:, None]
        right, wrong = (yes & positive).sum(axis=1), (yes & ~positive).sum(axis=1)
        by_f1, by_cost = right / (positive.sum() + right + wrong), wrong + 10 * (positive.sum() - right)
        chosen = {"f1": (tried[by_f1.argmax()], threshold(positive, score))}
        chosen["cost"] = (tried[by_cost.argmin()], cheapest(positive, score, (1, 10), 1 / 11))
        for place, one in enumerate(chosen["f1"]):
            told = probability >= one
            found["f1"][place] += 2 * (told & others).sum() / (told.sum() + others.sum())
        for place, one in enumerate(chosen["cost"]):
            told = probability >= one
            found["cost"][place] += ((told & ~others) + 10.0 * (~told & others)).mean()
    assert found["f1"][1] > found["f1"][0]
    assert found["cost"][1] < found["cost"][0]


def test_clear_rows_leave_no_choice() -> None:
    """One between the scores of no and of yes divides as well as any; the other scores lie outside."""
    score = np.array([0.1] * 10 + [0.4] * 5 + [0.9] * 10)
    assert threshold(np.arange(25) >= 15, score) == pytest.approx(0.65)


def test_a_costly_threshold_moves_as_far_as_the_rows_tell() -> None:
    """Of all whose cost is within a standard error of the least it is the nearest to what costs alone say."""
    random = np.random.default_rng(5)
    for fp, fn in ((1.0, 20.0), (3.0, 1.0), (1.0, 1e6), (1e6, 1.0)):
        positive = random.random(200) < 0.2
        score = np.round(np.clip(0.3 * positive + random.random(200) * 0.7, 0, 1), 2)
        task = BINARY.model_copy(update={"costs": Costs(false_positive=fp, false_negative=fn)})
        view = view_of(ClassLabel(positive.astype(np.int64), NAMES, "y"))
        told = Told(np.stack([1 - score, score], axis=1))
        chosen = TwoClasses(task).settle([(told, view)])
        settled = told.settled(chosen)
        tempered = settled.probabilities(view.fields[FEATURES])[:, 1]

        def costs_at(threshold: float, tempered=tempered, positive=positive, fp=fp, fn=fn) -> FloatArray:
            yes = tempered >= threshold
            return np.asarray(fp * (yes & ~positive) + fn * (~yes & positive), dtype=np.float64)

        tried = [*midways(tempered), np.nextafter(1.0, 2.0)]
        least = min((costs_at(one) for one in tried), key=lambda one: one.sum())
        near = [
            one for one in tried
            if (more := costs_at(one) - least).sum() <= np.sqrt(len(more)) * more.std() + 1e-9 * fn
        ]  # fmt: skip
        wanted = min(near, key=lambda one, fp=fp, fn=fn: abs(one - fp / (fp + fn)))
        assert chosen["threshold"] == pytest.approx(wanted)
        judged = TwoClasses(task).values([(view, TwoClasses(task).predict(settled, view))])
        assert judged["cost"] == pytest.approx(costs_at(wanted).mean())
        [*_, curve] = TwoClasses(task).curves(view, {"lane": TwoClasses(task).predict(settled, view)})
        [first, *_, last] = curve.lines["lane"]
        assert first == (0.0, pytest.approx(fn * positive.mean()))
        assert last == (1.0, pytest.approx(fp * (~positive).mean()))
        assert min(cost for _, cost in curve.lines["lane"]) >= least.mean() - 1e-6
    # Two of four thresholds cost the same; the one nearest 1 / 21 stays.
    perfect = np.repeat([0.0, 1.0], 20)
    assert cheapest(perfect > 0, 0.02 + 0.9 * perfect, (1.0, 20.0), 1 / 21) == pytest.approx(0.47)
    assert cheapest(perfect[:10] > 0, perfect[:10], (1.0, 20.0), 1 / 21) == 1 / 21  # too few


def test_costs_are_asked_only_where_rows_are_judged() -> None:
    """The same rows, prepared once, whatever mistakes cost; without costs there is no such metric."""
    costly = BINARY.model_copy(update={"costs": Costs(false_positive=1, false_negative=20)})
    assert costly.as_rows() == BINARY.as_rows()
    assert set(TwoClasses(costly).metrics) - set(TwoClasses(BINARY).metrics) == {"cost"}
    words = TwoClasses(costly).words
    assert words.name("cost") == "cost of a row"
    assert words.sign("cost") == -1
    assert "so that mistakes cost least there" in words.protocol


@pytest.mark.parametrize(
    ("value", "rows"), [([0], 100), ([1], 100), ([0, 1], 10)], ids=["no positive", "positives only", "too few rows"]
)
def test_without_enough_to_choose_by_nothing_is_chosen(value: list[int], rows: int) -> None:
    """Temperature one and threshold a half stay."""
    view = view_of(ClassLabel(np.resize(value, rows), NAMES, "y"))
    predictor = Told(np.random.default_rng(0).dirichlet(np.ones(2), rows))
    assert TwoClasses(BINARY).settle([(predictor, view)]) == {"temperature": 1.0, "threshold": 0.5}
    assert Classes(SEVERAL).settle([(predictor, view)]) == {"temperature": 1.0}
    assert Numbers(NUMBER).settle([(predictor, view)]) == {}


def test_the_threshold_is_of_tempered_probabilities() -> None:
    """What is told after settling has the F1 that was looked for, and log loss is no worse than before."""
    view, predictor = binary(600)
    over_sure = Told(softmax(4 * np.log(predictor.table), axis=1))
    kind = TwoClasses(BINARY)
    settled = over_sure.settled(kind.settle([(over_sure, view)]))
    before, after = (kind.values([(view, kind.predict(one, view))]) for one in (over_sure, settled))
    assert settled.temperature > 2
    assert after["log_loss"] < before["log_loss"]
    assert after["f1"] >= before["f1"]
    assert after["auroc"] == pytest.approx(before["auroc"])


def test_a_class_that_was_never_learnt_does_not_choose() -> None:
    """Rows of it are left out of the temperature; where no other are left, one stays."""
    random = np.random.default_rng(0)
    table, value = random.dirichlet(np.ones(2), 200), random.integers(0, 3, 200)
    view, predictor = view_of(ClassLabel(value, ("a", "b", "c"), "y")), Told(table, ("b", "a"))
    known = value < 2
    found = Classes(SEVERAL).settle([(predictor, view)])["temperature"]
    assert found == pytest.approx(temperature(1 - value[known], table[known]))
    lost = view_of(ClassLabel(np.full(200, 2), ("a", "b", "c"), "y"))
    assert Classes(SEVERAL).settle([(predictor, lost)]) == {"temperature": 1.0}


def test_certain_probabilities_are_judged_and_settled() -> None:
    """Zero and one, right and wrong, cost what scikit-learn says and no more than infinity."""
    value = np.resize([0, 1, 1], 60)
    sure = np.where(np.arange(60) % 20 == 0, 1 - value, value)
    view, predictor = view_of(ClassLabel(value, NAMES, "y")), Told(np.stack([1.0 - sure, 1.0 * sure], axis=1))
    kind = TwoClasses(BINARY)
    found = kind.values([(view, kind.predict(predictor, view))])
    assert found["log_loss"] == pytest.approx(sk.log_loss(value, sure.astype(float)))
    assert found["accuracy"] == pytest.approx(0.95)
    chosen = kind.settle([(predictor, view)])
    assert all(np.isfinite(one) for one in chosen.values())


def test_the_order_of_rows_changes_nothing() -> None:
    """Metrics, what is settled, chance, and curves."""
    view, predictor = binary(250)
    shuffled = view.take(np.random.default_rng(9).permutation(250))
    kind = TwoClasses(BINARY)
    found = [(kind.values([(one, kind.predict(predictor, one))]), kind.settle([(predictor, one)]),
              kind.values([(one, kind.chance(one))])) for one in (view, shuffled)]  # fmt: skip
    for first, second in zip(*found, strict=True):
        assert first == pytest.approx(second, rel=1e-12)
    curves = [kind.curves(one, {"a": kind.predict(predictor, one)}) for one in (view, shuffled)]
    assert curves[0] == curves[1]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (np.full((5, 2), np.nan), r"5 of 5 rows have one that is not between 0 and 1, the first is row 0"),
        (np.full((5, 3), 1 / 3), r"expected the shape \(5, 2\) \(rows, classes\), got \(5, 3\)"),
    ],
)
def test_what_are_no_probabilities_is_refused(table: np.ndarray, told: str) -> None:
    """With the row, before anything is judged by them."""
    view = view_of(ClassLabel(np.array([0, 1, 0, 1, 0]), NAMES, "y"))
    with pytest.raises(CrossliftError, match=told):
        TwoClasses(BINARY).predict(Told(table), view)


def test_numbers_that_are_none_are_refused() -> None:
    """With the row."""
    view = view_of(NumberLabel(np.arange(3.0), "y"))
    with pytest.raises(CrossliftError, match="1 of 3 rows have one that is no finite number, the first is row 2"):
        Numbers(NUMBER).predict(Told(np.array([1.0, 2.0, np.inf])), view)
    with pytest.raises(CrossliftError, match=r"expected the shape \(3,\) \(rows\), got \(3, 1\)"):
        Numbers(NUMBER).predict(Told(np.zeros((3, 1))), view)


@pytest.mark.parametrize("task", [BINARY, SEVERAL, NUMBER])
def test_no_row_is_no_fault(task: Any) -> None:
    """Nothing is said, drawn or timed."""
    label = NumberLabel(np.empty(0), "y") if task is NUMBER else ClassLabel(np.empty(0, np.int64), NAMES, "y")
    view, kind = view_of(label), build_label(task)
    predictor = Told(np.empty((0, 2)))
    said = kind.predict(predictor, view)
    assert said.shape == kind.chance(view).shape
    assert kind.statistic(view, said, every(view), kind.metrics).units == 0
    assert kind.statistic(view, np.empty(0), every(view), kind.metrics).units == 0  # as kept without a row
    assert kind.latency(predictor, view) is None
    assert kind.curves(view, {"a": said}) == ()


def test_curves_are_those_of_scikit_learn() -> None:
    """Precision at each recall that is drawn, and shares of positives in tenths of the rows."""
    view, predictor = binary(1000)
    kind = TwoClasses(BINARY)
    precision_recall, reliability = kind.curves(view, {"a": kind.predict(predictor, view)})
    value, score = view.label.value, predictor.table[:, 1]
    precision, recall, _ = sk.precision_recall_curve(value, score)
    theirs = np.stack([recall, precision], axis=1)
    line = np.array(precision_recall.lines["a"])
    assert len(line) <= 60
    assert all(np.abs(theirs - point).max(axis=1).min() < 1e-6 for point in line)
    assert (np.diff(line[:, 0]) >= 0).all()
    assert line[-1, 0] == 1.0
    order = np.argsort(score)
    wanted = [(score[part].mean(), value[part].mean()) for part in np.split(order, 10)]
    np.testing.assert_allclose(reliability.lines["a"], wanted, atol=1e-6)
    assert reliability.diagonal
    assert not precision_recall.diagonal
    constant = kind.curves(view, {"a": kind.chance(view)})[1]
    assert constant.lines["a"] == ((pytest.approx(value.mean()), pytest.approx(value.mean())),)


def test_one_prediction_is_timed() -> None:
    """In seconds, of one row."""
    view, predictor = binary(30)
    found = TwoClasses(BINARY).latency(predictor, view)
    assert found is not None
    assert 0 < found < 1


def test_few_test_rows_have_no_figure_in_groups() -> None:
    """A group of a few rows would show what one of them has; a report without that figure is whole."""
    few = np.arange(49)
    features = Features(pd.DataFrame({"x": few.astype(float)}), {"x": "number"})
    rows = pd.DataFrame({ROW: few, UNIT: few})
    number = View("b", rows, {FEATURES: features}, (NumberLabel(few.astype(float), "y"),))
    numbers = Numbers(RegressionTask(kind="regression", label="y", features={"x": "number"}))
    assert numbers.curves(number, {"a": few + 1.0}) == ()
    yes = View("b", rows, {FEATURES: features}, (ClassLabel(few % 2, ("no", "yes"), "y"),))
    classes = TwoClasses(BinaryTask(kind="binary", label="y", features={"x": "number"}))
    [alone] = classes.curves(yes, {"a": classes.chance(yes)})
    assert alone.title == "Precision against recall"
