"""The metrics of classes by name, over rows with what is said of them.

Shapes: R resamples, N rows, K classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.labels import classes as m
from pipeline.labels.tags import macro_auprc
from pipeline.views import FloatArray, IntArray, Mask


@dataclass(frozen=True)
class Judged:
    """Rows with their class and what is said of them."""

    class_N: IntArray
    probability_NK: FloatArray
    told_N: IntArray
    classes: tuple[str, ...] = ()

    @property
    def positive(self) -> Mask:
        """Which rows [N] are of the class that is looked for."""
        return np.asarray(self.class_N == 1)

    @property
    def score(self) -> FloatArray:
        """The probability of that class: [N]."""
        return np.ascontiguousarray(self.probability_NK[:, 1])

    @property
    def is_of_NK(self) -> Mask:  # noqa: N802  the shape
        """Which rows are of which class."""
        return np.asarray(self.class_N[:, None] == np.arange(self.probability_NK.shape[1]))

    @property
    def said_N(self) -> FloatArray:  # noqa: N802  the shape
        """The probability of the class that is told; 0 where the view has no such class."""
        known = np.where(self.told_N >= 0, self.told_N, 0)
        return np.where(self.told_N >= 0, self.probability_NK[np.arange(len(known)), known], 0.0)

    @property
    def found(self) -> Mask:
        """Which rows [N] are told to be of it."""
        return np.asarray(self.told_N == 1)


Metric = Callable[[FloatArray, Judged], FloatArray]  # from counts [R, N] to values [R]


def _log_loss(counts: FloatArray, rows: Judged) -> FloatArray:
    return m.log_loss(counts, rows.class_N, rows.probability_NK)


def _accuracy(counts: FloatArray, rows: Judged) -> FloatArray:
    return m.accuracy(counts, rows.class_N, rows.told_N)


def _balanced_accuracy(counts: FloatArray, rows: Judged) -> FloatArray:
    return m.balanced_accuracy(counts, rows.class_N, rows.told_N)


SEVERAL: Mapping[str, Metric] = {
    "balanced_accuracy": _balanced_accuracy,
    "log_loss": _log_loss,
    "accuracy": _accuracy,
    "f1": lambda counts, rows: m.macro_f1(counts, rows.class_N, rows.told_N),
    "macro_auprc": lambda counts, rows: macro_auprc(counts, rows.is_of_NK, rows.probability_NK),
    "ece": lambda counts, rows: m.ece(counts, rows.class_N == rows.told_N, rows.said_N),
}
TWO_CLASSES: Mapping[str, Metric] = {
    "auprc": lambda counts, rows: m.auprc(counts, rows.positive, rows.score),
    "auroc": lambda counts, rows: m.auroc(counts, rows.positive, rows.score),
    "log_loss": _log_loss,
    "brier": lambda counts, rows: m.brier(counts, rows.positive, rows.score),
    "ece": lambda counts, rows: m.ece(counts, rows.positive, rows.score),
    "f1": lambda counts, rows: m.f1(counts, rows.positive, rows.found),
    "precision": lambda counts, rows: m.precision(counts, rows.positive, rows.found),
    "recall": lambda counts, rows: m.recall(counts, rows.positive, rows.found),
    "balanced_accuracy": _balanced_accuracy,
    "accuracy": _accuracy,
}


def judged_of(class_N: IntArray, said: FloatArray, classes: tuple[str, ...]) -> Judged:
    """Rows with what was said of them, [N, K + 1]: the probabilities, and the place of the class that is told."""
    return Judged(class_N, said[:, :-1], said[:, -1].astype(np.int64), classes) if len(said) else _NOTHING


_NOTHING = Judged(np.empty(0, np.int64), np.empty((0, 2)), np.empty(0, np.int64))
