"""Metrics of numbers, from how often each row was drawn.

Shapes: R resamples, N rows. Counts are whole numbers; counts of one give the metric itself. A metric is NaN where no
row was drawn.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def mse(counts_RN: FloatArray, value_N: FloatArray, predicted_N: FloatArray) -> FloatArray:
    """Mean squared error [R]."""
    return _mean(counts_RN, (predicted_N - value_N) ** 2)


def mae(counts_RN: FloatArray, value_N: FloatArray, predicted_N: FloatArray) -> FloatArray:
    """Mean absolute error [R]."""
    return _mean(counts_RN, np.abs(predicted_N - value_N))


def r2(counts_RN: FloatArray, value_N: FloatArray, predicted_N: FloatArray) -> FloatArray:
    """Share of the variance of what was drawn that the prediction explains, [R]; NaN where there is no variance."""
    centred_N = value_N - value_N.mean()  # the mean of what is drawn is near: no digits are lost
    rows = np.maximum(counts_RN.sum(axis=1), 1)  # of none there is no spread
    spread = counts_RN @ centred_N**2 - (counts_RN @ centred_N) ** 2 / rows
    error = counts_RN @ (predicted_N - value_N) ** 2
    scale = rows * np.square(centred_N).max(initial=0.0)
    known = spread > 1e-12 * scale  # below it, only rounding is left
    return np.where(known, 1 - error / np.where(known, spread, 1.0), np.nan)


def _mean(counts_RN: FloatArray, value_N: FloatArray) -> FloatArray:
    rows = counts_RN.sum(axis=1)
    return np.where(rows > 0, counts_RN @ value_N / np.maximum(rows, 1), np.nan)
