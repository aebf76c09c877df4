"""The kind of label that is a number.

Shapes: N rows of a view.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pipeline.config import RegressionTask
from pipeline.errors import CrossliftError
from pipeline.labels import numbers as m
from pipeline.labels.answers import Answer, Answers
from pipeline.labels.curves import Curve, actual_by_predicted
from pipeline.labels.effects import mean_effects
from pipeline.labels.example_words import number_words
from pipeline.labels.statistic import Recomputed
from pipeline.labels.timing import one_by_one
from pipeline.labels.words import Words
from pipeline.views import FEATURES, FloatArray, Mask, NumberEstimator, NumberLabel, View

FEWEST = 20  # with fewer rows one of them decides the error
_METRICS: dict[str, Callable[..., FloatArray]] = {"mse": m.mse, "mae": m.mae, "r2": m.r2}


@dataclass(frozen=True)
class Numbers:
    """One number a row."""

    task: RegressionTask

    @property
    def words(self) -> Words:
        """Names, units and sentences."""
        return number_words(self.task)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all metrics."""
        return tuple(_METRICS)

    @property
    def gated(self) -> str:
        """The task's metric."""
        return self.task.metric

    @property
    def watched(self) -> str:
        """The squared error."""
        return "mse"

    @property
    def fewest(self) -> int:
        """See `FEWEST`."""
        return FEWEST

    def told(self, view: View) -> str:
        """How many rows there are."""
        return f"{len(view):,} rows are judged."

    def predict(self, predictor: NumberEstimator, view: View) -> FloatArray:
        """The number that is said of each row: [N].

        Raises:
            CrossliftError: there is not one finite number for each row.
        """
        if not len(view):
            return np.zeros(0)
        said = np.asarray(predictor.values(view.fields[FEATURES]), dtype=np.float64)
        if said.shape != (len(view),):
            raise CrossliftError(f"values: expected the shape {(len(view),)} (rows), got {said.shape}.")
        if len(wrong := np.flatnonzero(~np.isfinite(said))):
            raise CrossliftError(
                f"values: {len(wrong)} of {len(said)} rows have one that is no finite number, the first is row "
                f"{wrong[0]}; the model did not converge. Lower training.learning_rate, or look at the lane's training "
                "curve."
            )
        return said

    def chance(self, view: View) -> FloatArray:
        """The mean of the rows, for all of them: [N]."""
        value = _label(view).value
        return np.full(len(value), value.mean() if len(value) else 0.0)

    def settle(self, fitted: Sequence[tuple[NumberEstimator, View]]) -> dict[str, float]:
        """Nothing."""
        del fitted
        return {}

    def statistic(self, view: View, predicted: FloatArray, chosen: Mask, metrics: Sequence[str]) -> Recomputed:
        """Metrics of the chosen rows; those of a unit are drawn together."""
        units, unit_of_row = np.unique(view.units[chosen], return_inverse=True)
        value, said = _label(view).value[chosen], predicted[chosen]
        made = [partial(_METRICS[name], value_N=value, predicted_N=said) for name in metrics]
        return Recomputed(made, unit_of_row.astype(np.int64), len(units))

    def values(self, judged: Sequence[tuple[View, FloatArray]]) -> dict[str, float]:
        """Every metric over the rows of all views together."""
        value = np.concatenate([_label(view).value for view, _ in judged])
        said = np.concatenate([said for _, said in judged])
        once = np.ones((1, len(value)))
        return {name: float(metric(once, value, said)[0]) for name, metric in _METRICS.items()}

    def positives(self, view: View, chosen: Mask) -> None:
        """None: no number is looked for."""
        del view, chosen

    def curves(self, view: View, predicted: Mapping[str, FloatArray]) -> tuple[Curve, ...]:
        """What the rows have, against what is said of them."""
        return actual_by_predicted(_label(view).value, predicted)

    def truth(self, view: View) -> list[Answers]:
        """The number of each row."""
        return self._worded(_label(view).value)

    def answers(self, predictor: NumberEstimator, view: View) -> list[Answers]:
        """The number that is said of each row."""
        return self._worded(self.predict(predictor, view))

    def _worded(self, values: FloatArray) -> list[Answers]:
        told = [self.words.number(value) for value in values]
        return [(Answer(key=one, text=one),) for one in told]

    def effects(self, predictor: Any, view: View) -> dict[str, float]:
        """The mean absolute part of each feature."""
        return mean_effects(predictor, view)

    def information(self, view: View, predicted: FloatArray) -> None:
        """None: what is said has no probability."""
        del view, predicted

    def latency(self, predictor: NumberEstimator, view: View) -> float | None:
        """Seconds for one row: the median over a few, after a first try."""
        return one_by_one(predictor.values, view)


def _label(view: View) -> NumberLabel:
    assert isinstance(view.label, NumberLabel)
    return view.label
