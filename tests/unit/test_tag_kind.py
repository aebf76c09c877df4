"""The kind of label that is tags: its metrics on resample counts and what validation chooses, beside scikit-learn's."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn import metrics as sk

from pipeline.config import MultilabelTask
from pipeline.errors import CrossliftError
from pipeline.evaluation.statistics import draws, resample
from pipeline.labels import tags
from pipeline.labels.settling import RARE, tag_temperature, tag_thresholds, threshold
from pipeline.labels.tag_kind import Tags
from pipeline.tasks.labels import build_label
from pipeline.views import FEATURES, ROW, UNIT, Features, TagLabel, View

TASK = MultilabelTask(kind="multilabel", separator="|", label="genres", features={"x": "number"})
KIND = Tags(TASK)
NAMES = ("comedy", "drama", "war")
ROWS = 60


@dataclass(frozen=True)
class Told:
    """Says what a table holds for the place that a row's feature names."""

    table: np.ndarray
    classes: tuple[str, ...] = NAMES
    temperature: float = 1.0
    threshold: Any = 0.5

    def probabilities(self, features: Features) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return expit(logit(self.table[features.table["x"].to_numpy().astype(int)]) / self.temperature)

    def decided(self, probabilities: np.ndarray) -> np.ndarray:
        return (probabilities >= np.asarray(self.threshold)).astype(np.int64)

    def settled(self, chosen: Any) -> "Told":
        return replace(self, **chosen)


def view_of(value: np.ndarray, names: tuple[str, ...] = NAMES, units: Any = None) -> View:
    places = np.arange(len(value))
    rows = pd.DataFrame({ROW: places, UNIT: places if units is None else units})
    features = Features(pd.DataFrame({"x": places.astype(float)}), {"x": "number"})
    return View("b", rows, {FEATURES: features}, (TagLabel(value, np.ones(len(value), bool), names, "genres"),))


def made(rows: int = ROWS, seed: int = 0, digits: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Three tags of different rates, and probabilities that follow them."""
    rng = np.random.default_rng(seed)
    has = rng.random((rows, 3)) < [0.5, 0.3, 0.1]
    has[:2] = [[True, True, True], [False, False, False]]
    return has, np.clip(np.round(expit(rng.normal(size=(rows, 3)) + 1.5 * has - 1), digits), 0.01, 0.99)


THEIRS = {
    "macro_auprc": lambda has, p, told: sk.average_precision_score(has, p, average="macro"),
    "macro_auroc": lambda has, p, told: sk.roc_auc_score(has, p, average="macro"),
    "log_loss": lambda has, p, told: np.mean([sk.log_loss(has[:, k], p[:, k], labels=[0, 1]) for k in range(3)]),
    "macro_f1": lambda has, p, told: sk.f1_score(has, told, average="macro", zero_division=0),
    "micro_f1": lambda has, p, told: sk.f1_score(has, told, average="micro", zero_division=0),
}


@given(seed=st.integers(0, 100_000), digits=st.sampled_from([1, 12]))
@settings(max_examples=6, deadline=None)
def test_metrics_are_those_of_scikit_learn(seed: int, digits: int) -> None:
    """On all rows, and on each draw on those tags that it has; with ties and without."""
    has, p = made(seed=seed, digits=digits)
    view, predictor = view_of(has), Told(p, threshold=[0.4, 0.5, 0.2])
    said, told = KIND.predict(predictor, view), p >= [0.4, 0.5, 0.2]
    values = KIND.values([(view, said)])
    assert values == pytest.approx({name: metric(has, p, told) for name, metric in THEIRS.items()})
    statistic = KIND.statistic(view, said, np.ones(ROWS, dtype=bool), KIND.metrics)
    for counts in draws(ROWS, 5, seed):
        for count, found in zip(counts.astype(int), statistic(counts), strict=True):
            rows = np.repeat(np.arange(ROWS), count)
            if has[rows].any(axis=0).all() and not has[rows].all(axis=0).any():
                assert found == pytest.approx([THEIRS[name](has[rows], p[rows], told[rows]) for name in KIND.metrics])


def test_a_mean_is_over_the_tags_that_were_drawn() -> None:
    """Which ones does not hang on the lane; what was never there is left out, but a false alarm of it counts."""
    has = np.array([[True, False, False], [False, False, True], [True, False, False], [False, False, False]])
    p = np.array([[0.9, 0.6, 0.1], [0.8, 0.1, 0.4], [0.3, 0.1, 0.5], [0.1, 0.1, 0.1]])
    once, without_war = np.ones((1, 4)), np.array([[1.0, 0.0, 1.0, 1.0]])
    assert tags.macro_auprc(once, has, p)[0] == pytest.approx(((1 + 2 / 3) / 2 + 0.5) / 2)
    assert tags.macro_auprc(without_war, has, p)[0] == pytest.approx(1.0)  # of `comedy` alone
    told = p >= 0.5
    assert tags.macro_f1(once, has, told)[0] == pytest.approx((2 * 1 / 4 + 0) / 2)
    assert tags.micro_f1(once, has, told)[0] == pytest.approx(2 * 1 / (3 + 4))
    assert tags.micro_f1(once, has, np.zeros_like(has))[0] == 0.0
    nothing = np.array([[0.0, 0.0, 0.0, 5.0]])
    for metric, said in ((tags.macro_auprc, p), (tags.macro_auroc, p), (tags.macro_f1, told), (tags.micro_f1, told)):
        assert np.isnan(metric(nothing, has, said)).all()
    assert np.isnan(tags.macro_auroc(once, np.ones((4, 1), bool), p[:, :1])[0])  # no row is without it
    lanes = {name: KIND.statistic(view_of(has), KIND.predict(Told(one), view_of(has)), np.ones(4, bool), KIND.metrics)
             for name, one in (("a", p), ("b", 1 - p))}  # fmt: skip
    drawn = resample(lanes, 200, 0)
    assert (np.isnan(drawn["a"].drawn) == np.isnan(drawn["b"].drawn)).all()


def test_the_rows_of_a_component_are_drawn_together() -> None:
    """Units are those of the chosen rows."""
    has, p = made()
    view = view_of(has, units=np.arange(ROWS) // 3)
    chosen = np.arange(ROWS) >= 6
    statistic = KIND.statistic(view, KIND.predict(Told(p), view), chosen, ("macro_auprc",))
    assert statistic.units == 18
    twice = np.where(np.arange(18) == 4, 2.0, 1.0)[None]
    rows = np.repeat(np.arange(6, ROWS), np.repeat(twice[0], 3).astype(int))
    assert statistic(twice)[0, 0] == pytest.approx(sk.average_precision_score(has[rows], p[rows], average="macro"))


def test_tags_are_matched_by_name() -> None:
    """In another order, with one that the view lacks, and without one that it has."""
    view = view_of(np.array([[True, False, True], [False, True, False]]))
    predictor = Told(
        np.array([[0.7, 0.1, 0.2], [0.3, 0.9, 0.8]]), ("war", "western", "comedy"), threshold=[0.6, 0, 0.5]
    )
    np.testing.assert_allclose(KIND.predict(predictor, view), [[0.2, 0, 0.7, 0, 0, 1], [0.8, 0, 0.3, 1, 0, 0]])
    assert KIND.told(view) == "2 rows are judged; they have 3 tags, 3 of them different."
    assert KIND.positives(view, np.array([True, False])) == 1
    assert len(KIND.settle([(predictor, view)])["threshold"]) == 3  # in the predictor's order


def test_chance_knows_the_shares_alone() -> None:
    """Macro AUPRC is the mean share, macro AUROC a half; told is what most rows have."""
    has, _ = made(200)
    found = KIND.values([(view_of(has), KIND.chance(view_of(has)))])
    assert found["macro_auprc"] == pytest.approx(has.mean(axis=0).mean())
    assert found["macro_auroc"] == 0.5
    shares = np.array([0.5, 0.25, 0.0])
    few = view_of(np.array([[True, True, False], [True, False, False], [False, False, False], [False, False, False]]))
    np.testing.assert_allclose(KIND.chance(few), [[*shares, 1, 0, 0]] * 4)


@pytest.mark.parametrize("sharpened", [0.4, 1.0, 3.0])
def test_the_temperature_is_that_of_a_fine_grid(sharpened: float) -> None:
    """Found again where log odds were sharpened or blunted."""
    rng = np.random.default_rng(1)
    right = rng.beta(1, 3, (2000, 3))
    has, said = rng.random((2000, 3)) < right, expit(sharpened * logit(right))
    found = tag_temperature(has, said)
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 60))
    losses = [sk.log_loss(has.ravel(), expit(logit(said) / one).ravel()) for one in grid]
    assert sk.log_loss(has.ravel(), expit(logit(said) / found).ravel()) <= min(losses) + 1e-7
    assert found == pytest.approx(sharpened, rel=0.1)
    assert tag_temperature(np.zeros((30, 2), bool), np.full((30, 2), 0.1)) == 1.0
    assert tag_temperature(has[:19], said[:19]) == 1.0


def test_each_tag_has_the_threshold_that_is_best_for_it() -> None:
    """By F1; a tag of hardly any row takes the one that is best for all together."""
    has, p = made(300)
    has[:, 2] = np.arange(300) < RARE - 1
    found = tag_thresholds(has, p)
    assert found[:2] == [threshold(has[:, 0], p[:, 0]), threshold(has[:, 1], p[:, 1])]
    assert found[2] == threshold(has.ravel(), p.ravel())
    for place in (0, 1):
        others = [sk.f1_score(has[:, place], p[:, place] >= one) for one in np.unique(p[:, place])[::9]]
        assert sk.f1_score(has[:, place], p[:, place] >= found[place]) >= max(others) - 0.03  # what 300 rows tell
    assert tag_thresholds(has[:10], p[:10]) == [0.5] * 3
    chosen = KIND.settle([(Told(p), view_of(has))])
    assert chosen["temperature"] == pytest.approx(tag_temperature(has, p)) != 1.0
    softened = expit(logit(p) / chosen["temperature"])
    assert chosen["threshold"] == pytest.approx(tag_thresholds(has, softened))


def test_certain_probabilities_are_settled() -> None:
    """Zero and one, right and wrong."""
    has, _ = made(100)
    sure = np.where(np.arange(100)[:, None] % 20 == 0, ~has, has).astype(float)
    chosen = KIND.settle([(Told(sure), view_of(has))])
    assert np.isfinite(chosen["temperature"])
    assert np.isfinite(chosen["threshold"]).all()
    assert np.isfinite(KIND.values([(view_of(has), KIND.predict(Told(sure), view_of(has)))])["log_loss"])


def test_no_row_is_no_fault() -> None:
    """Nothing is said, drawn or timed."""
    view, kind = view_of(np.empty((0, 3), bool)), build_label(TASK)
    predictor = Told(np.empty((0, 3)))
    said = kind.predict(predictor, view)
    assert said.shape == kind.chance(view).shape == (0, 6)
    none = np.ones(0, dtype=bool)
    assert kind.statistic(view, said, none, kind.metrics).units == 0
    assert kind.statistic(view, np.empty(0), none, kind.metrics).units == 0  # as kept without a row
    assert kind.latency(predictor, view) is None
    assert kind.curves(view, {"a": said}) == ()
    assert kind.settle([(predictor, view)]) == {"temperature": 1.0, "threshold": [0.5] * 3}


def test_curves_are_of_all_tags_together() -> None:
    """Precision at the recall of scikit-learn's micro-average."""
    has, p = made(200)
    curve, reliability = KIND.curves(view_of(has), {"a": KIND.predict(Told(p), view_of(has))})
    precision, recall, _ = sk.precision_recall_curve(has.ravel(), p.ravel())
    theirs = np.stack([recall, precision], axis=1)
    assert all(np.abs(theirs - point).max(axis=1).min() < 1e-6 for point in np.array(curve.lines["a"]))
    assert curve.title == "Precision against recall (all tags together)"
    assert reliability.diagonal


def test_what_are_no_probabilities_is_refused() -> None:
    """Before anything is judged by them."""
    view = view_of(np.zeros((2, 3), bool))
    with pytest.raises(CrossliftError, match=r"1 of 2 rows have one that is not between 0 and 1, the first is row 1"):
        KIND.predict(Told(np.array([[0.1] * 3, [np.nan] * 3])), view)
    with pytest.raises(CrossliftError, match=r"expected the shape \(2, 3\)"):
        KIND.predict(Told(np.full((2, 2), 0.5)), view)


def test_a_tag_that_all_rows_have_says_nothing():
    """Any score tells it: on such draws the mean is that of the others, and of none it is not defined."""
    has = np.array([[1, 1], [1, 0], [1, 0]], dtype=bool)
    said = np.array([[0.1, 0.2], [0.5, 0.9], [0.9, 0.1]])
    counts = np.array([[1.0, 1.0, 1.0], [0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    wanted = sk.average_precision_score(has[:, 1], said[:, 1])
    np.testing.assert_allclose(tags.macro_auprc(counts, has, said), [wanted, np.nan, np.nan])
