"""Metrics as functions of how often each unit was drawn.

A unit is what is drawn again: a user, a row, or a component of rows that belong together.
Shapes: n units, N rows, M metrics, R resamples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Statistic(Protocol):
    """All metrics of one lane at once, from how often each of its units was drawn."""

    @property
    def units(self) -> int:
        """How many units there are: n."""
        ...

    def __call__(self, counts_Rn: FloatArray) -> FloatArray:
        """Values [R, M]; NaN where a metric is not defined on what was drawn. Counts of one give the metric itself."""
        ...


@dataclass(frozen=True)
class Means:
    """Metrics that are means over units, from the values of each unit."""

    values: FloatArray  # [n, M]

    @property
    def units(self) -> int:
        """How many units there are: n."""
        return len(self.values)

    def __call__(self, counts_Rn: FloatArray) -> FloatArray:
        """Means [R, M]."""
        return np.asarray(counts_Rn @ self.values / counts_Rn.sum(axis=1, keepdims=True), dtype=np.float64)


@dataclass(frozen=True)
class Recomputed:
    """Metrics that are no means, computed anew from how often each row was drawn.

    Args:
        metrics: For each metric a function from counts [R, N] to values [R].
        unit_of_row: [N] each row's unit, between 0 and n - 1; the rows of a unit are drawn together.
        units: n.
    """

    metrics: Sequence[Callable[[FloatArray], FloatArray]]
    unit_of_row: IntArray
    units: int

    def __call__(self, counts_Rn: FloatArray) -> FloatArray:
        """Values [R, M]."""
        counts_RN = np.take(counts_Rn, self.unit_of_row, axis=1)
        return np.stack([metric(counts_RN) for metric in self.metrics], axis=1)
