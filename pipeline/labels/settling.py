"""What validation rows choose last of a predictor of classes: a temperature, and from which probability on one tells.

Shapes: N rows, K classes.

References:
    Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, ICML 2017: the temperature.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

FEWEST = 20  # rows below which nothing is chosen
UNCHANGED = 1.0
HALF = 0.5
_LIMIT = np.log(20.0)  # of the logarithm of a temperature
_SMALLEST = np.finfo(np.float64).tiny
_EQUAL = 1e-12  # two values of F1 that differ by less differ by rounding


def temperature(class_N: IntArray, probability_NK: FloatArray) -> float:
    """Find the temperature T with the least log loss of softmax(log p / T), between a twentieth and twenty.

    One stays where there are few rows, or one class only: then the sharpest of all would win.
    """
    if len(class_N) < FEWEST or len(np.unique(class_N)) < 2:
        return UNCHANGED
    log_NK = np.log(np.maximum(probability_NK, _SMALLEST))
    rows = np.arange(len(class_N))

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(log_NK / np.exp(log_temperature), axis=1)[rows, class_N].mean())

    found = minimize_scalar(loss, bounds=(-_LIMIT, _LIMIT), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x)) if found.fun < loss(0.0) else UNCHANGED


def threshold(positive_N: BoolArray, score_N: FloatArray) -> float:
    """Find the threshold with the highest F1 of the rows that score at least so much.

    It lies midway between two scores, or is zero where all rows are told to be positive; of several the one nearest a
    half is taken. A half stays where there are few rows, or one class only.
    """
    if len(positive_N) < FEWEST or positive_N.all() or not positive_N.any():
        return HALF
    scores, place_N = np.unique(score_N, return_inverse=True)
    told_S = np.cumsum(np.bincount(place_N)[::-1])[::-1]  # rows at or above each score
    right_S = np.cumsum(np.bincount(place_N, positive_N)[::-1])[::-1]
    f1_S = 2 * right_S / (positive_N.sum() + told_S)
    below = np.concatenate([[0.0], (scores[:-1] + scores[1:]) / 2])
    best = np.flatnonzero(f1_S >= f1_S.max() - _EQUAL)
    nearest = best[np.argmin(np.abs(below[best] - HALF))]
    return float(below[nearest])
