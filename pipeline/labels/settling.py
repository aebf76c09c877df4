"""What validation rows choose last: a temperature, and from which probability on a class or a tag is told.

A threshold that is best on some rows lies where chance put it, a little or far from the usual one. So the usual one
moves only as far as the rows tell: of all thresholds that are within one standard error of the best, of their
difference on the same rows, the one nearest to it is taken.

Shapes: N rows, K classes or tags, S thresholds: one at each different score.

References:
    Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, ICML 2017: the temperature.
    Breiman, Friedman, Olshen and Stone, Classification and regression trees, 1984, 3.4.3: one standard error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

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
_EQUAL = 1e-12  # two values that differ by less differ by rounding


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


class _Parts(NamedTuple):
    """Rows that both of two thresholds tell, only the one, only the best: [S] each. They are nested."""

    both: FloatArray
    only: FloatArray
    only_best: FloatArray

    @classmethod
    def of(cls, told_S: FloatArray, best: int) -> "_Parts":
        both = np.minimum(told_S, told_S[best])
        return cls(both, told_S - both, told_S[best] - both)


@dataclass(frozen=True, eq=False)
class _Told:
    """How many of the rows that score at least so much are so, and how many are not; with each score less are told."""

    below: FloatArray  # [S] midway between two scores; the first is zero, from which all are told
    right: FloatArray  # [S]
    wrong: FloatArray  # [S]
    positives: int

    @classmethod
    def of(cls, positive_N: BoolArray, score_N: FloatArray) -> "_Told":
        """Of labelled rows, some of them positive."""
        scores, place_N = np.unique(score_N, return_inverse=True)
        told_S = np.cumsum(np.bincount(place_N)[::-1])[::-1].astype(np.float64)
        right_S = np.cumsum(np.bincount(place_N, positive_N)[::-1])[::-1]
        below = np.concatenate([[0.0], (scores[:-1] + scores[1:]) / 2])
        return cls(below, np.asarray(right_S, np.float64), told_S - right_S, int(positive_N.sum()))

    def or_none(self) -> "_Told":
        """Also a threshold that no row reaches."""
        below = np.append(self.below, np.nextafter(1.0, 2.0))
        return _Told(below, np.append(self.right, 0.0), np.append(self.wrong, 0.0), self.positives)

    def parted(self, best: int) -> tuple[_Parts, _Parts]:
        """Rows that are so, and that are not, by which of two thresholds tells them: each one [S] and the best."""
        return _Parts.of(self.right, best), _Parts.of(self.wrong, best)


def threshold(positive_N: BoolArray, score_N: FloatArray) -> float:
    """Find the threshold nearest to the usual one whose F1 is within one standard error of the highest.

    The usual one is best where probabilities are what they say: half of the highest F1 that they expect of these rows.
    It lies midway between two scores, or is zero where all rows are told to be positive. A half stays where there are
    few rows, or one class only. The variance of a difference is the sum over rows of the squared difference of what
    each adds to either F1, (2 [so and told] - F1 ([so] + [told])) / (positives + told).
    """
    if len(positive_N) < FEWEST or positive_N.all() or not positive_N.any():
        return HALF
    told = _Told.of(positive_N, score_N)
    size_S = told.positives + told.right + told.wrong
    f1_S = 2 * told.right / size_S
    best = int(f1_S.argmax())
    right, wrong = told.parted(best)
    hit_S, miss_S = (2 - 2 * f1_S) / size_S, -f1_S / size_S  # added by what is so and told, and by a mistake
    hit, miss = hit_S[best], miss_S[best]
    neither_S = told.positives - right.both - right.only - right.only_best
    variance_S = (
        right.both * (hit_S - hit) ** 2 + right.only * (hit_S - miss) ** 2 + right.only_best * (miss_S - hit) ** 2
    )
    variance_S += (neither_S + wrong.both) * (miss_S - miss) ** 2 + wrong.only * miss_S**2 + wrong.only_best * miss**2
    return _nearest(told.below, f1_S[best] - f1_S, variance_S, _expected(score_N) / 2)


def _expected(probability_N: FloatArray) -> float:
    """The highest F1 to be expected of rows, with probabilities that are what they say (Lipton et al., 2014, eq. 3)."""
    ordered_N = np.sort(probability_N)[::-1]
    return float((2 * ordered_N.cumsum() / (ordered_N.sum() + np.arange(1, len(ordered_N) + 1))).max())


def cheapest(positive_N: BoolArray, score_N: FloatArray, costs: tuple[float, float], usual: float) -> float:
    """Find the threshold nearest to the usual one whose cost is within one standard error of the least.

    It lies midway between two scores, or at zero or just above one beyond them; the usual one stays where there are few
    rows, or one class only.

    Args:
        positive_N: Which rows are so.
        score_N: Their probabilities of it.
        costs: Of each wrong yes, and of each wrong no.
        usual: What is best where probabilities are what they say.
    """
    if len(positive_N) < FEWEST or positive_N.all() or not positive_N.any():
        return usual
    told = _Told.of(positive_N, score_N).or_none()
    cost_S = costs[0] * told.wrong + costs[1] * (told.positives - told.right)
    best = int(cost_S.argmin())
    right, wrong = told.parted(best)
    more_S = cost_S - cost_S[best]
    squares_S = costs[0] ** 2 * (wrong.only + wrong.only_best) + costs[1] ** 2 * (right.only + right.only_best)
    return _nearest(told.below, more_S, squares_S - more_S**2 / len(positive_N), usual)


def _nearest(below_S: FloatArray, worse_S: FloatArray, variance_S: FloatArray, usual: float) -> float:
    """The threshold nearest to the usual one among those that are not worse than the best by a standard error."""
    near = np.flatnonzero(worse_S <= np.sqrt(np.maximum(variance_S, 0.0)) + _EQUAL * max(1.0, worse_S.max()))
    return float(below_S[near[np.argmin(np.abs(below_S[near] - usual))]])


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
