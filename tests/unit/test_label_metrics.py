"""Metrics of classes and numbers on resample counts, held against scikit-learn on rows that are really repeated."""

from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from pipeline.evaluation.statistics import draws, resample
from pipeline.labels import classes, numbers
from pipeline.labels.statistic import Recomputed

ROWS = 40


def ece_by_loops(label, probability):
    """Average the distance of mean probability and share of positives over 15 bins, one bin after the other."""
    total = 0.0
    for j in range(15):
        inside = (probability > j / 15) & (probability <= (j + 1) / 15) | (j == 0) & (probability == 0)
        if inside.any():
            total += inside.mean() * abs(probability[inside].mean() - label[inside].mean())
    return total


BINARY = {
    "auroc": (classes.auroc, sk.roc_auc_score),
    "auprc": (classes.auprc, sk.average_precision_score),
    "brier": (classes.brier, sk.brier_score_loss),
    "ece": (classes.ece, ece_by_loops),
    "f1": (
        lambda counts, y, p: classes.f1(counts, y, p >= 0.4),
        lambda y, p: sk.f1_score(y, p >= 0.4, zero_division=0),
    ),
    "precision": (
        lambda counts, y, p: classes.precision(counts, y, p >= 0.9),
        lambda y, p: sk.precision_score(y, p >= 0.9, zero_division=0),
    ),
    "recall": (lambda counts, y, p: classes.recall(counts, y, p >= 0.4), lambda y, p: sk.recall_score(y, p >= 0.4)),
    "log_loss": (
        lambda counts, y, p: classes.log_loss(counts, y.astype(int), np.stack([1 - p, p], axis=1)),
        lambda y, p: sk.log_loss(y, np.stack([1 - p, p], axis=1), labels=[0, 1]),
    ),
    "accuracy": (
        lambda counts, y, p: classes.accuracy(counts, y, p >= 0.4),
        lambda y, p: sk.accuracy_score(y, p >= 0.4),
    ),
    "balanced_accuracy": (
        lambda counts, y, p: classes.balanced_accuracy(counts, y, p >= 0.4),
        lambda y, p: sk.balanced_accuracy_score(y, p >= 0.4),
    ),
}
NUMBERS = {
    "mse": (numbers.mse, sk.mean_squared_error),
    "mae": (numbers.mae, sk.mean_absolute_error),
    "r2": (numbers.r2, sk.r2_score),
}
SEEDS = st.integers(0, 100_000)


@pytest.mark.parametrize("name", BINARY)
@given(seed=SEEDS, digits=st.sampled_from([1, 2, 12]))
@settings(max_examples=10, deadline=None)
def test_classes_are_those_of_scikit_learn(name, seed, digits):
    """On every resample, with many ties (one digit) or none, the metric is that of the repeated rows."""
    ours, theirs = BINARY[name]
    rng = np.random.default_rng(seed)
    label, probability = rng.random(ROWS) < 0.3, np.round(rng.random(ROWS), digits)
    counts = rng.multinomial(ROWS, np.full(ROWS, 1 / ROWS), 9)  # not a multiple of how many are taken at a time
    assume(all(0 < label[np.repeat(np.arange(ROWS), count)].mean() < 1 for count in counts))
    wanted = [theirs(np.repeat(label, count), np.repeat(probability, count)) for count in counts]
    np.testing.assert_allclose(ours(counts.astype(float), label, probability), wanted, atol=1e-12)
    np.testing.assert_allclose(ours(np.ones((1, ROWS)), label, probability)[0], theirs(label, probability))


@pytest.mark.parametrize("name", NUMBERS)
@given(seed=SEEDS, shift=st.sampled_from([0.0, 1e6]))
@settings(max_examples=10, deadline=None)
def test_numbers_are_those_of_scikit_learn(name, seed, shift):
    """The same for regression, also far from zero."""
    ours, theirs = NUMBERS[name]
    rng = np.random.default_rng(seed)
    value = shift + rng.normal(size=ROWS)
    predicted = value + rng.normal(size=ROWS)
    counts = rng.multinomial(ROWS, np.full(ROWS, 1 / ROWS), 9)
    wanted = [theirs(np.repeat(value, count), np.repeat(predicted, count)) for count in counts]
    np.testing.assert_allclose(ours(counts.astype(float), value, predicted), wanted, rtol=1e-6)


def test_several_classes_are_those_of_scikit_learn():
    """Log loss, accuracy and balanced accuracy of three classes."""
    rng = np.random.default_rng(0)
    label, probability = rng.integers(0, 3, ROWS), rng.dirichlet(np.ones(3), ROWS)
    counts = rng.multinomial(ROWS, np.full(ROWS, 1 / ROWS), 20)
    told = probability.argmax(axis=1)
    for ours, theirs, second in (
        (classes.log_loss, partial(sk.log_loss, labels=[0, 1, 2]), probability),
        (classes.accuracy, sk.accuracy_score, told),
        (classes.balanced_accuracy, sk.balanced_accuracy_score, told),
        (classes.macro_f1, partial(sk.f1_score, average="macro"), told),
    ):
        wanted = [theirs(np.repeat(label, count), np.repeat(second, count, axis=0)) for count in counts]
        np.testing.assert_allclose(ours(counts.astype(float), label, second), wanted)


def test_a_probability_of_zero_has_a_finite_loss():
    """A class that was held for impossible costs as much as scikit-learn says."""
    probability = np.array([[1.0, 0.0], [0.5, 0.5]])
    found = classes.log_loss(np.ones((1, 2)), np.array([1, 0]), probability)[0]
    assert found == pytest.approx(sk.log_loss([1, 0], probability))


def test_without_a_positive_there_is_no_value():
    """Where the draw holds no positive (or no negative) the metric is not defined; the other resamples are not hurt."""
    label, score = np.array([True, False, False]), np.array([0.9, 0.2, 0.9])
    counts = np.array([[0.0, 2.0, 1.0], [1.0, 1.0, 1.0], [3.0, 0.0, 0.0]])
    np.testing.assert_array_equal(classes.auroc(counts, label, score), [np.nan, 0.75, np.nan])
    np.testing.assert_array_equal(classes.auprc(counts, label, score), [np.nan, 0.5, 1.0])
    np.testing.assert_array_equal(classes.f1(counts, label, score >= 0.5), [np.nan, 2 / 3, 1.0])
    np.testing.assert_array_equal(classes.f1(counts, label, score >= 0.95), [np.nan, 0.0, 0.0])
    np.testing.assert_array_equal(classes.recall(counts, label, score >= 0.5), [np.nan, 1.0, 1.0])
    np.testing.assert_array_equal(classes.precision(counts, label, score >= 0.5), [0.0, 0.5, 1.0])
    np.testing.assert_array_equal(classes.precision(counts, label, score >= 0.95), [0.0, 0.0, 0.0])
    np.testing.assert_array_equal(classes.balanced_accuracy(counts, label, score > 0.5), [np.nan, 0.75, np.nan])
    for metric in (classes.auroc, classes.auprc):
        assert np.isnan(metric(counts, np.zeros(3, bool), score)).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metric", [numbers.mse, numbers.mae, numbers.r2])
def test_of_no_row_no_number_is_said(metric):
    """A further label that few rows have may be drawn nowhere; nothing is warned of."""
    found = metric(np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]), np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    assert np.isnan(found).tolist() == [True, False]


def test_numbers_without_variance_have_no_r2():
    """Drawn rows of one value leave nothing to explain, also where rounding leaves something."""
    value, predicted = np.array([0.1, 0.1, 0.1, 0.7]), np.zeros(4)
    found = numbers.r2(np.array([[3.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]), value, predicted)
    assert np.isnan(found).tolist() == [True, False]
    assert np.isnan(numbers.r2(np.ones((1, 3)), np.full(3, 0.1), np.zeros(3)))


def test_components_are_drawn_whole():
    """Rows of a unit come together: each draw gives scikit-learn's AUROC of the rows of the drawn units."""
    rng = np.random.default_rng(3)
    units = 25
    unit = np.concatenate([np.arange(units), rng.integers(0, units, 50)])
    label, scores = rng.random(len(unit)) < 0.4, {name: np.round(rng.random(len(unit)), 1) for name in "ab"}
    lanes = {name: Recomputed((partial(classes.auroc, positive_N=label, score_N=score),), unit, units)
             for name, score in scores.items()}  # fmt: skip
    found = resample(lanes, 70, 1)
    counts = np.concatenate(list(draws(units, 70, 1))).astype(int)
    for name, score in scores.items():
        wanted = [sk.roc_auc_score(np.repeat(label, count[unit]), np.repeat(score, count[unit])) for count in counts]
        np.testing.assert_allclose(found[name].drawn[:, 0], wanted)
        assert found[name].value[0] == pytest.approx(sk.roc_auc_score(label, score))
