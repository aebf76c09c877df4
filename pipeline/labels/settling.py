"""What validation rows choose last: a temperature, and from which probability on a class or a tag is told.

Shapes: N rows, K classes or tags.

References:
    Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, ICML 2017: the temperature.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax, logit

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

FEWEST = 20  # rows below which nothing is chosen
RARE = 5  # rows with a tag below which its threshold is that of all tags together
UNCHANGED = 1.0
HALF = 0.5
_LIMIT = np.log(20.0)  # of the logarithm of a temperature
_SMALLEST = np.finfo(np.float64).tiny
POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)  # that `rarity` tries
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

    return _least(loss)


def tag_temperature(has_NK: BoolArray, probability_NK: FloatArray) -> float:
    """Find the one temperature T of all tags with the least log loss of sigmoid(logit p / T), as `temperature` does."""
    if len(has_NK) < FEWEST or has_NK.all() or not has_NK.any():
        return UNCHANGED
    log_odds_NK = logit(np.clip(probability_NK, _SMALLEST, 1 - np.finfo(np.float64).epsneg))
    towards_NK = np.where(has_NK, log_odds_NK, -log_odds_NK)
    return _least(lambda log_temperature: -float(log_expit(towards_NK / np.exp(log_temperature)).mean()))


def _least(loss: Callable[[float], float]) -> float:
    found = minimize_scalar(loss, bounds=(-_LIMIT, _LIMIT), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x)) if found.fun < loss(0.0) else UNCHANGED


def rarity(class_N: IntArray, probability_NK: FloatArray) -> float:
    """Find the power of a class's share by which probabilities are divided: that with the least balanced log loss.

    That is the mean over classes of the mean of -log q over their rows: q is p / share^power of the class that is so,
    over the sum of the same of all classes. Rows whose class has no probability, as their predictor never met it, are
    left out: no power tells it. Zero stays where there are few rows, or one class only.

    References:
        Menon et al., Long-tail learning via logit adjustment, ICLR 2021, eq. 9.
    """
    classes = probability_NK.shape[1]
    log_share_K = np.log((np.bincount(class_N, minlength=classes) + 1) / (len(class_N) + classes))
    met_N = probability_NK[np.arange(len(class_N)), class_N] > 0
    class_N, log_NK = class_N[met_N], np.log(np.maximum(probability_NK[met_N], _SMALLEST))
    counts_K = np.bincount(class_N, minlength=classes)
    if len(class_N) < FEWEST or (counts_K > 0).sum() < 2:
        return 0.0

    def loss(power: float) -> float:
        log_q_NK = log_softmax(log_NK - power * log_share_K, axis=1)
        return -float(np.average(log_q_NK[np.arange(len(class_N)), class_N], weights=1 / counts_K[class_N]))

    return min(POWERS, key=loss)


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


def cheapest(positive_N: BoolArray, score_N: FloatArray, costs: tuple[float, float], usual: float) -> float:
    """Find the threshold with the least cost of the rows: of each wrong yes the first, of each wrong no the second.

    It lies midway between two scores, or at zero or just above one beyond them; of several the one nearest to the
    `usual` is taken, which stays where there are few rows, or one class only.
    """
    if len(positive_N) < FEWEST or positive_N.all() or not positive_N.any():
        return usual
    scores, place_N = np.unique(score_N, return_inverse=True)
    rows_S, right_S = (np.bincount(place_N, weights, minlength=len(scores)) for weights in (None, positive_N))
    wrong_yes = np.append(np.cumsum((rows_S - right_S)[::-1])[::-1], 0)  # with yes from each score on, or never
    wrong_no = np.append(0, np.cumsum(right_S))
    cost_S = costs[0] * wrong_yes + costs[1] * wrong_no
    below = np.concatenate([[0.0], (scores[:-1] + scores[1:]) / 2, [np.nextafter(1.0, 2.0)]])
    best = np.flatnonzero(cost_S <= cost_S.min() + _EQUAL * max(costs))
    return float(below[best[np.argmin(np.abs(below[best] - usual))]])


def tag_thresholds(has_NK: BoolArray, score_NK: FloatArray) -> list[float]:
    """Find the threshold of each tag as `threshold` does.

    A tag that fewer than `RARE` rows have gets the one that is best for all tags together: chosen by a row or two, its
    own would be where chance put them.

    References:
        Yang, A study of thresholding strategies for text categorization, SIGIR 2001: what rare tags do to their own.
    """
    together = threshold(has_NK.ravel(), score_NK.ravel()) if len(has_NK) >= FEWEST else HALF
    return [
        threshold(has_N, score_N) if has_N.sum() >= RARE else together
        for has_N, score_N in zip(has_NK.T, score_NK.T, strict=True)
    ]
