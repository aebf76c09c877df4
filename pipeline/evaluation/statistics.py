"""What is judged: every lane over the same units, and the draws of the bootstrap.

A unit is what is drawn again: a user, a row, or a component of rows that belong together.
Shapes: n units, M metrics, R resamples.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.labels.statistic import Statistic

FloatArray = NDArray[np.float64]

FEWEST_UNITS = 100  # with fewer, or with fewer positives, nothing can be shown of a source
FEWEST_POSITIVES = 30
_BLOCK = 64  # resamples drawn at a time: 6 MB at 12,500 units


@dataclass(frozen=True)
class Scores:
    """What is judged on some of the test rows: every lane over the same units."""

    metrics: tuple[str, ...]  # the names of the M
    lanes: Mapping[str, Statistic]
    rows: int
    positives: int | None = None  # rows of the class that is looked for; None where the label kind has none

    @property
    def units(self) -> int:
        """How many units have such a row."""
        return next(iter(self.lanes.values())).units

    @property
    def few(self) -> bool:
        """Whether they are too few to promote what learnt from a source."""
        return self.units < FEWEST_UNITS or (self.positives is not None and self.positives < FEWEST_POSITIVES)


@dataclass(frozen=True)
class Resampled:
    """The metrics of a lane, and what they were on each resample; differences of two lanes are paired."""

    value: FloatArray  # [M]
    drawn: FloatArray  # [R, M]


def draws(units: int, resamples: int, seed: int) -> Iterator[FloatArray]:
    """Draw n units n times with replacement, again and again.

    Equal n and seed give equal draws, so lanes, gains and the gate are paired wherever they count the same units.

    Returns:
        Blocks [B, n] of how often each unit was drawn, R lines in all.

    Raises:
        ValueError: there is no unit.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    if units == 0:
        raise ValueError("bootstrap: expected at least one unit, got none")
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, _BLOCK):
        size = min(_BLOCK, resamples - start)
        drawn = rng.integers(0, units, (size, units)) + np.arange(size)[:, None] * units
        counts = np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units)  # multinomial weights
        yield counts.astype(np.float64)


def resample(lanes: Mapping[str, Statistic], resamples: int, seed: int) -> dict[str, Resampled]:
    """Compute the metrics of all lanes, and compute them again on each draw; one draw serves all lanes.

    Raises:
        ValueError: there is no unit.
    """
    units = next(iter(lanes.values())).units
    blocks: dict[str, list[FloatArray]] = {name: [] for name in lanes}
    for counts_Bn in draws(units, resamples, seed):
        for name, statistic in lanes.items():
            blocks[name].append(statistic(counts_Bn))
    once = np.ones((1, units))
    return {name: Resampled(lanes[name](once)[0], np.concatenate(blocks[name])) for name in lanes}
