"""What mistakes between several classes cost: what is told then, and what the report says of it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from pipeline.config import MulticlassTask, NextEventTask
from pipeline.data.mistakes import cost_matrix
from pipeline.evaluation.statistics import draws
from pipeline.labels.class_kind import Classes
from pipeline.labels.event_kind import NextEvents
from pipeline.labels.settling import POWERS, rarity
from pipeline.models.estimators import ConstantEstimator, Parts
from pipeline.models.load import load_ranker
from pipeline.rows.examples.crossings import crossing_checks
from pipeline.rows.kind import CleanTables
from pipeline.tasks.labels import build_label
from pipeline.tasks.words import words_of
from pipeline.views import FEATURES, ROW, UNIT, ClassLabel, Features, FloatArray, View

NAMES = ("cat", "dog", "hen", "wolf")
STATED = {"wolf": {"dog": 30.0, "cat": 5.0}, "dog": {"wolf": 0.25}, "hen": {"cat": 0.0}}
PLAIN = MulticlassTask(kind="multiclass", label="y", features={"x": "number"})
COSTLY = MulticlassTask(kind="multiclass", label="y", features={"x": "number"}, costs=STATED)


def cost(so: str, told: str) -> float:
    return 0.0 if so == told else STATED.get(so, {}).get(told, 1.0)


class Fixed(ConstantEstimator):
    """Says of row x what row x of a table holds."""

    def raw(self, features: Features) -> FloatArray:
        return np.log(self.said[features.table["x"].to_numpy().astype(int)])

    def parts(self, features: Features, told_NK: FloatArray) -> Parts:
        return Parts((self.raw(features) * told_NK).sum(axis=1, keepdims=True))


def made(rows: int = 300, classes: tuple[str, ...] = NAMES) -> tuple[View, Fixed]:
    random = np.random.default_rng(3)
    table = random.dirichlet(np.ones(len(classes)), rows)
    value = np.array([NAMES.index(random.choice(classes, p=row)) for row in table])
    places = np.arange(rows)
    features = Features(pd.DataFrame({"x": places.astype(float)}), {"x": "number"})
    label = ClassLabel(value, NAMES, "y")
    return View("b", pd.DataFrame({ROW: places, UNIT: places // 2}), {FEATURES: features}, (label,)), Fixed(
        classes, table
    )


def cheapest(row: FloatArray, classes: tuple[str, ...]) -> str:
    expected = {told: sum(p * cost(so, told) for p, so in zip(row, classes, strict=True)) for told in classes}
    return min(expected, key=lambda told: expected[told])


@pytest.mark.parametrize("classes", [NAMES, ("wolf", "hen", "dog"), ("dog", "wolf")], ids=["all", "three", "two"])
def test_the_class_of_least_expected_cost_is_told(classes: tuple[str, ...], tmp_path: Path) -> None:
    """By the tempered probabilities, of the classes that a predictor knows in its own order, also once it was saved."""
    view, plain = made(classes=classes)
    chosen = Classes(COSTLY).settle([(plain, view)])
    assert chosen["temperature"] == Classes(PLAIN).settle([(plain, view)])["temperature"]
    settled = plain.settled(chosen)
    said = Classes(COSTLY).predict(settled, view)
    wanted = [cheapest(row, classes) for row in settled.probabilities(view.fields[FEATURES])]
    assert [NAMES[int(place)] for place in said[:, -1]] == wanted
    most = Classes(PLAIN).predict(plain.settled(Classes(PLAIN).settle([(plain, view)])), view)
    assert (most[:, -1] != said[:, -1]).mean() > 0.1
    assert plain.costs is None  # a copy was settled
    constant = ConstantEstimator(classes, np.log(np.full(len(classes), 1 / len(classes)))).settled(chosen)
    constant.save(tmp_path)
    loaded = load_ranker(tmp_path)
    odds = plain.said
    np.testing.assert_array_equal(loaded.decided(odds), constant.decided(odds))
    assert [classes[place] for place in loaded.decided(odds)] == [cheapest(row, classes) for row in odds]


def test_rows_cost_what_was_told() -> None:
    """Over all rows and in resamples; a class that the view does not have costs the most that there is."""
    view, plain = made()
    kind = Classes(COSTLY)
    said = kind.predict(plain.settled(kind.settle([(plain, view)])), view)
    own = np.array([cost(NAMES[so], NAMES[int(told)]) for so, told in zip(view.label.value, said[:, -1], strict=True)])
    assert kind.values([(view, said)])["cost"] == pytest.approx(own.mean())
    statistic = kind.statistic(view, said, np.ones(len(view), dtype=np.bool_), ("cost",))
    counts = np.concatenate(list(draws(statistic.units, 20, 1)))
    drawn = counts[:, view.units]
    np.testing.assert_allclose(statistic(counts)[:, 0], (drawn @ own) / drawn.sum(axis=1))
    said[:, -1] = -1
    worst = [max(cost(NAMES[so], told) for told in NAMES) for so in view.label.value]
    assert kind.values([(view, said)])["cost"] == pytest.approx(np.mean(worst))
    nothing = kind.statistic(view, said, np.zeros(len(view), dtype=np.bool_), ("cost",))
    assert np.isnan(nothing(np.ones((2, 0)))).all()


def test_the_curve_ends_at_what_the_lane_costs() -> None:
    """Rows stand by what they are expected to cost; the note says what one class for all costs."""
    view, plain = made()
    kind = Classes(COSTLY)
    settled = plain.settled(kind.settle([(plain, view)]))
    said = kind.predict(settled, view)
    [curve] = kind.curves(view, {"lane": said, "constant": kind.chance(view)})
    lane = kind.values([(view, said)])["cost"]
    assert curve.lines["lane"][-1] == (1.0, pytest.approx(lane, abs=1e-6))
    matrix = np.array([[cost(so, told) for told in NAMES] for so in NAMES])
    expected = (said[:, :-1] @ matrix)[np.arange(len(view)), said[:, -1].astype(int)]
    order = np.argsort(expected)
    own = matrix[view.label.value, said[:, -1].astype(int)][order].cumsum() / np.arange(1, len(view) + 1)
    for share, height in curve.lines["lane"]:
        assert height == pytest.approx(own[round(share * len(view)) - 1], abs=1e-6)
    always = matrix[view.label.value].mean(axis=0)
    assert f"Always to say {NAMES[always.argmin()]} costs {always.min():.4g} a row" in curve.note
    assert curve.lines["constant"] == ((1.0, pytest.approx(always.min(), abs=1e-6)),)
    assert lane < always.min()
    assert kind.curves(view.take(slice(0)), {"lane": said[:0]}) == ()


def test_what_is_told_is_explained() -> None:
    """The told class beside the mean of all, and not the most probable one."""
    view, plain = made()
    features = view.fields[FEATURES]
    settled = plain.settled({"costs": STATED, "temperature": 2.0})
    told, raw = settled.decided(settled.probabilities(features)), plain.raw(features)
    wanted = raw[np.arange(len(raw)), told] - raw.mean(axis=1)
    np.testing.assert_allclose(settled.explained(features).features[:, 0], wanted)
    assert (told != raw.argmax(axis=1)).any()


def test_without_costs_nothing_of_them_is_said() -> None:
    """Neither of classes nor of events; rows are prepared once, whatever mistakes cost."""
    assert COSTLY.as_rows() == PLAIN.as_rows()
    assert set(build_label(COSTLY).metrics) - set(build_label(PLAIN).metrics) == {"cost"}
    assert build_label(PLAIN).curves(made()[0], {}) == ()
    events = NextEvents(NextEventTask(kind="next_event", events=("view", "cart")))
    assert "cost" not in events.metrics
    words = words_of(COSTLY)
    assert (words.name("cost"), words.sign("cost")) == ("cost of a row", -1)
    assert "the one of least expected cost" in words.protocol
    assert "highest probability over a power of its share" in words_of(PLAIN).protocol
    assert "the most probable one" in words_of(PLAIN.model_copy(update={"metric": "log_loss"})).protocol
    np.testing.assert_array_equal(cost_matrix(("a", "b"), {}), [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ({"dog": {"cat": -1}}, "greater than or equal to 0"),
        ({"dog": {"cat": 2_000_000}}, "less than or equal to 1000000"),
        ({"dog": {"dog": 2}}, "costs: 'dog' told where it is so is no mistake and costs nothing, got 2; leave it out"),
    ],
)
def test_costs_that_make_no_sense_are_refused(costs: dict[str, dict[str, float]], message: str) -> None:
    """When the scenario is read; a right answer may be said to cost nothing."""
    with pytest.raises(ValidationError, match=message):
        MulticlassTask(kind="multiclass", label="y", features={"x": "number"}, costs=costs)
    assert MulticlassTask(kind="multiclass", label="y", features={"x": "number"}, costs={"dog": {"dog": 0}}).costs


@pytest.mark.parametrize(("there", "unknown"), [(NAMES, []), (("cat", "dog", "hen", "wolfe"), ["wolf"])])
def test_costs_of_a_class_that_no_row_has_stop_the_run(there: tuple[str, ...], unknown: list[str]) -> None:
    """Over all domains: one may lack a class."""
    frames = {
        name: pd.DataFrame({"domain": name, "row_id": ["1", "2", "3"], "x": [1.0, 2.0, 3.0], "y": pd.Series(labels)})
        for name, labels in {"far": ["cat", "dog", None], "near": [*there[2:], "cat"]}.items()
    }
    domains = {name: CleanTables({"examples": frame}, 0.0) for name, frame in frames.items()}
    settings: Any = SimpleNamespace(
        task=COSTLY,
        sources=("far",),
        target="near",
        target_labels=True,
        quarantine_limit=0.2,
        personal=(),
    )
    table, checks = crossing_checks(settings, domains)
    [check] = [one for one in checks if one.rule == "costs_of_unknown_classes"]
    name = f"classes that task.costs names and no row has{''.join(f': {one}' for one in unknown)}"
    assert (check.arguments["column"], check.severity) == (name, "critical")
    assert (table[name].iloc[0], check.arguments["max_value"]) == (len(unknown), 0)


def test_rare_classes_are_told_as_balanced_accuracy_wants():
    """The power is that of the least balanced log loss, and what is told the highest p over the power of the share."""
    random = np.random.default_rng(8)
    shares = np.array([0.7, 0.2, 0.1])
    value = random.choice(3, 3000, p=shares)
    likely = np.exp(random.normal(size=(3000, 3)) + 1.2 * np.eye(3)[value])
    told = likely * shares / (likely * shares).sum(axis=1, keepdims=True)
    places = np.arange(len(value))
    features = Features(pd.DataFrame({"x": places.astype(float)}), {"x": "number"})
    label = ClassLabel(value, ("a", "b", "c"), "y")
    view = View("b", pd.DataFrame({ROW: places, UNIT: places}), {FEATURES: features}, (label,))
    plain, kind = Fixed(("c", "a", "b"), told[:, [2, 0, 1]]), Classes(PLAIN)
    chosen = kind.settle([(plain, view)])
    counts = np.bincount(value) + 1

    def loss(power):
        tempered = told ** (1 / chosen["temperature"])
        q = tempered / (counts / counts.sum()) ** power
        q /= q.sum(axis=1, keepdims=True)
        return np.mean([-np.log(q[value == one, one]).mean() for one in range(3)])

    assert chosen["rarity"] == min(POWERS, key=loss) == 1.0
    said = kind.predict(plain.settled(chosen), view)
    q = said[:, :3] / (counts / counts.sum()) ** chosen["rarity"]
    np.testing.assert_array_equal(said[:, 3], q.argmax(axis=1))
    before = kind.values([(view, kind.predict(plain, view))])
    after = kind.values([(view, said)])
    assert after["balanced_accuracy"] > before["balanced_accuracy"] + 0.05
    other = Classes(PLAIN.model_copy(update={"metric": "log_loss"}))
    assert set(other.settle([(plain, view)])) == {"temperature"}


def test_a_class_that_only_a_registered_source_knows_is_no_cheap_answer():
    """Its probability is nothing, and so it is never told instead of rare classes that share the rest."""
    value = np.repeat(np.arange(3), [80, 10, 10])
    told = np.full((100, 4), [0.5, 0.25, 0.25, 0.0])
    places = np.arange(len(value))
    features = Features(pd.DataFrame({"x": places.astype(float)}), {"x": "number"})
    label = ClassLabel(value, ("a", "b", "c"), "y")
    view = View("b", pd.DataFrame({ROW: places, UNIT: places}), {FEATURES: features}, (label,))
    with np.errstate(divide="ignore"):
        plain, kind = Fixed(("a", "b", "c", "foreign"), told), Classes(PLAIN)
        chosen = kind.settle([(plain, view)])
        assert chosen["rarity"] > 0
        assert (kind.predict(plain.settled(chosen), view)[:, 3] >= 0).all()


def test_shares_that_are_alike_change_nothing():
    """No class is rarer; nor is anything chosen of few rows."""
    value = np.arange(30) % 3
    said = np.full((30, 3), 0.2) + 0.4 * np.eye(3)[value]
    assert rarity(value, said) == 0.0
    skewed = np.array([0] * 16 + [1, 2, 2])
    assert rarity(skewed, np.full((19, 3), 1 / 3)) == 0.0
    assert rarity(np.append(skewed, 0), np.tile([0.8, 0.1, 0.1], (20, 1))) == 1.0


def test_a_class_that_its_predictor_never_met_says_nothing_of_rarity():
    """As where a fold holds back the only row of a class: any power would make that row look better."""
    value, said = np.repeat(np.arange(3), 20), np.full((63, 6), 0.0)
    said[:60, :3] = 0.1 + 0.7 * np.eye(3)[value]
    said[60:, :3] = 1 / 3
    assert rarity(np.append(value, [3, 4, 5]), said) == 0.0
    few = np.append(value[11:30], [3])
    assert rarity(few, np.vstack([np.eye(6)[few[:19]] * 0.5 + 0.1 * (np.arange(6) == 0), said[60:61]])) == 0.0
