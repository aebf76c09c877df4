"""Intervals and p-values from resampled values, and Holm's correction.

Shapes: R resamples.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.results import Estimate

__all__ = ["Estimate", "FloatArray", "estimate", "holm", "p_value", "undefined"]

FloatArray = NDArray[np.float64]

_DIGITS = 10  # of what is published, so that the last bits of a sum do not matter


def estimate(value: float, drawn_R: FloatArray, level: float) -> Estimate:
    """Put the percentile interval of the resampled values around a value; `level` is 0.95 for 95 %.

    Resamples on which the metric is not defined are left out.

    Raises:
        ValueError: it is not defined on any.
    """
    drawn = _defined(drawn_R)
    if len(drawn) == 0:
        raise ValueError("bootstrap: the metric is not defined on any resample")
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(
        value=round(float(value), _DIGITS), low=round(float(low), _DIGITS), high=round(float(high), _DIGITS)
    )


def undefined(drawn_R: FloatArray) -> int:
    """Count the resamples on which the metric is not defined."""
    return int(np.isnan(drawn_R).sum())


def p_value(differences_R: FloatArray) -> float:
    """Two-sided: twice the smaller share of resampled differences on one side of zero, at least 2 / (R + 1).

    A difference of exactly zero counts on both sides, so equal lanes give 1.
    """
    differences = _defined(differences_R)
    below = 1 + int((differences <= 0).sum())
    above = 1 + int((differences >= 0).sum())
    return min(1.0, 2 * min(below, above) / (len(differences) + 1))


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Tell which of several differences stand when all are looked at together.

    The k-th smallest of m p-values is held against alpha / (m - k + 1); the first that fails stops the rest.

    References:
        Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    stands = [False] * len(p_values)
    for k, place in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[place] > alpha / (len(p_values) - k):
            break
        stands[place] = True
    return stands


def _defined(drawn_R: FloatArray) -> FloatArray:
    return drawn_R[~np.isnan(drawn_R)]
