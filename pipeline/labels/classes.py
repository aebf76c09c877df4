"""Metrics of classes, from how often each row was drawn.

Shapes: R resamples, N rows, P positives, K classes. Counts are whole numbers; counts of one give the metric itself.
Values are those of scikit-learn on rows that are repeated as often as they were drawn. A metric is NaN where
what was drawn does not define it.

References:
    Fawcett, An introduction to ROC analysis, Pattern Recognition Letters, 2006: AUROC, with ties at half.
    Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, ICML 2017: ECE.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

_BINS = 15  # of ECE, equally wide
_FEW = 4


def information(probability_NK: FloatArray) -> float:
    """How much answers tell rows apart, in nats, in [0, ln K]: H(mean of p) - mean of H(p), which needs no label.

    Zero where all rows get one answer, and where no answer is sure; ln K where each class is told of as many rows, each
    for sure.

    References:
        Bridle, Heading and MacKay, Unsupervised classifiers, mutual information and phantom targets, NIPS 1991.
        Musgrave, Belongie and Lim, Three new validators and a large-scale benchmark ranking for unsupervised domain
        adaptation, 2022: as a validator.
    """

    def entropy(p: FloatArray) -> FloatArray:
        return -xlogy(p, p).sum(axis=-1)  # type: ignore[no-any-return]

    return float(entropy(probability_NK.mean(axis=0)) - entropy(probability_NK).mean())


def auroc(counts_RN: FloatArray, positive_N: BoolArray, score_N: FloatArray) -> FloatArray:
    """Chance that a positive row scores above a negative one, [R]; a tie counts half."""
    by_score, found = _ByScore.of(positive_N, score_N), []
    for drawn_BN in _few(counts_RN):
        true_BP, summed_BN = by_score.read(drawn_BN)
        positives = true_BP.sum(axis=1)
        negatives = summed_BN[:, -1] - positives
        # Rows above each positive, those of its score at half; the positives among them are half of all pairs.
        twice_BP = _at(summed_BN, by_score.first) + _at(summed_BN, by_score.last)
        wrong_B = (true_BP * twice_BP).sum(axis=1) / 2 - positives**2 / 2
        found.append(_ratio(positives * negatives - wrong_B, positives * negatives))
    return np.concatenate(found)


def auprc(counts_RN: FloatArray, positive_N: BoolArray, score_N: FloatArray) -> FloatArray:
    """Average precision [R]: precision at each distinct score, weighted by the recall that it adds."""
    by_score, found = _ByScore.of(positive_N, score_N), []
    for drawn_BN in _few(counts_RN):
        true_BP, summed_BN = by_score.read(drawn_BN)
        right_BP = _at(np.cumsum(true_BP, axis=1), by_score.last_positive)
        rows_BP = np.maximum(_at(summed_BN, by_score.last), 1)  # nothing drawn weighs nothing
        precision_BP = right_BP / rows_BP
        found.append(_ratio((true_BP * precision_BP).sum(axis=1), true_BP.sum(axis=1)))
    return np.concatenate(found)


def log_loss(counts_RN: FloatArray, class_N: IntArray, probability_NK: FloatArray) -> FloatArray:
    """Mean of minus the logarithm of the probability of each row's class, [R]; zero is read as the smallest step."""
    smallest = np.finfo(np.float64).eps
    own = np.clip(probability_NK[np.arange(len(class_N)), class_N], smallest, 1 - smallest)
    return _mean(counts_RN, -np.log(own))


def brier(counts_RN: FloatArray, positive_N: BoolArray, probability_N: FloatArray) -> FloatArray:
    """Mean square of the distance between probability and outcome, [R]."""
    return _mean(counts_RN, (probability_N - positive_N) ** 2)


def ece(counts_RN: FloatArray, positive_N: BoolArray, probability_N: FloatArray) -> FloatArray:
    """Distance between mean probability and share of positives in each of 15 equally wide bins, averaged by rows, [R].

    A bin holds its upper edge; the first holds zero as well.
    """
    place_N = np.clip(np.ceil(probability_N * _BINS).astype(np.int64) - 1, 0, _BINS - 1)
    gap_NB = np.zeros((len(place_N), _BINS))
    gap_NB[np.arange(len(place_N)), place_N] = probability_N - positive_N
    return _ratio(np.abs(counts_RN @ gap_NB).sum(axis=1), counts_RN.sum(axis=1))


def cost(counts_RN: FloatArray, positive_N: BoolArray, told_N: BoolArray, costs: tuple[float, float]) -> FloatArray:
    """Mean of what each row costs, [R]: the first of two costs where yes is wrong, the second where no is."""
    return _mean(counts_RN, np.where(told_N, ~positive_N * costs[0], positive_N * costs[1]))


def told_costs(class_N: IntArray, told_N: IntArray, cost_KK: FloatArray) -> FloatArray:
    """What each row costs by its class and the one that is told, [N]; -1, a class that is not among these, the most."""
    return np.asarray(np.column_stack([cost_KK, cost_KK.max(axis=1, initial=0.0)])[class_N, told_N])


def expected_costs(probability_NK: FloatArray, told_N: IntArray, cost_KK: FloatArray) -> FloatArray:
    """What each row costs by its probabilities and the class that is told, [N]; -1 as in `told_costs`."""
    most_KK = np.column_stack([cost_KK, cost_KK.max(axis=1, initial=0.0)])
    return np.asarray((probability_NK * most_KK.T[told_N]).sum(axis=1))


def cost_of_classes(counts_RN: FloatArray, class_N: IntArray, told_N: IntArray, cost_KK: FloatArray) -> FloatArray:
    """Mean of what each row costs, [R], by what it costs [K that is so, K that is told]."""
    return _mean(counts_RN, told_costs(class_N, told_N, cost_KK))


def accuracy(counts_RN: FloatArray, class_N: IntArray, predicted_N: IntArray) -> FloatArray:
    """Share of the rows whose class was predicted, [R]."""
    return _mean(counts_RN, (class_N == predicted_N).astype(np.float64))


def balanced_accuracy(counts_RN: FloatArray, class_N: IntArray, predicted_N: IntArray) -> FloatArray:
    """Mean over classes of the share that was predicted, [R]; NaN where a class of the rows was not drawn."""
    own_NK = (class_N[:, None] == np.unique(class_N)).astype(np.float64)
    right_RK = counts_RN @ (own_NK * (class_N == predicted_N)[:, None])
    return np.asarray(_ratio(right_RK, counts_RN @ own_NK).mean(axis=1), dtype=np.float64)


def f1(counts_RN: FloatArray, positive_N: BoolArray, told_N: BoolArray) -> FloatArray:
    """F1 of the rows that are told to be positive, [R]; 0 where none of them is, NaN where no positive was drawn."""
    right, positives, told = _counted(counts_RN, positive_N, told_N)
    return np.where(positives > 0, _ratio(2 * right, positives + told), np.nan)


def precision(counts_RN: FloatArray, positive_N: BoolArray, told_N: BoolArray) -> FloatArray:
    """Share of positives among the rows that are told to be, [R]; 0 where none is told."""
    right, _, told = _counted(counts_RN, positive_N, told_N)
    return np.where(told > 0, _ratio(right, told), 0.0)


def recall(counts_RN: FloatArray, positive_N: BoolArray, told_N: BoolArray) -> FloatArray:
    """Share of the positives that are told to be, [R]; NaN where none was drawn."""
    right, positives, _ = _counted(counts_RN, positive_N, told_N)
    return _ratio(right, positives)


def macro_f1(counts_RN: FloatArray, class_N: IntArray, predicted_N: IntArray) -> FloatArray:
    """Mean of the F1 of each class of the rows, [R]; NaN where one of them was not drawn."""
    each = [f1(counts_RN, class_N == one, predicted_N == one) for one in np.unique(class_N)]
    return np.asarray(np.mean(each, axis=0), dtype=np.float64) if each else np.full(len(counts_RN), np.nan)


@dataclass(frozen=True)
class _ByScore:
    """Rows from the highest score down, and for each positive [P] where the rows of its score lie among them.

    `first` and `last` are how many rows come before and up to the end of that score, `last_positive` the place among
    the positives of the last one with it.
    """

    rows: IntArray  # [N]
    positives: IntArray
    first: IntArray
    last: IntArray
    last_positive: IntArray

    @classmethod
    def of(cls, positive_N: BoolArray, score_N: FloatArray) -> "_ByScore":
        rows = np.argsort(-score_N)
        sorted_N = score_N[rows]
        starts = np.flatnonzero(np.append(True, sorted_N[1:] != sorted_N[:-1]))
        places = np.flatnonzero(positive_N[rows])
        group = np.searchsorted(starts, places, side="right") - 1
        last_positive = np.searchsorted(group, group, side="right") - 1
        return cls(rows, rows[places], starts[group], np.append(starts[1:], len(rows))[group], last_positive)

    def read(self, drawn_BN: IntArray) -> tuple[IntArray, IntArray]:
        """Give how often each positive was drawn, [B, P], and the sums of all rows down the scores, [B, N + 1]."""
        summed_BN = np.zeros((len(drawn_BN), len(self.rows) + 1), dtype=np.int64)
        np.cumsum(_at(drawn_BN, self.rows), axis=1, out=summed_BN[:, 1:])
        return _at(drawn_BN, self.positives), summed_BN


def _few(counts_RN: FloatArray) -> Iterator[IntArray]:
    """Take few resamples at a time, so that the sums down the scores stay near the processor."""
    return (counts_RN[start : start + _FEW].astype(np.int64) for start in range(0, len(counts_RN), _FEW))


def _at(values_BN: IntArray, places: IntArray) -> IntArray:
    return np.take(values_BN, places, axis=1)  # several times faster than indexing


def _counted(counts_RN: FloatArray, positive_N: BoolArray, told_N: BoolArray) -> FloatArray:
    """Count those that are told rightly, the positives, and those that are told, [3, R]."""
    columns_N3 = np.stack([positive_N & told_N, positive_N, told_N], axis=1).astype(np.float64)
    return np.asarray((counts_RN @ columns_N3).T)


def _mean(counts_RN: FloatArray, value_N: FloatArray) -> FloatArray:
    return _ratio(counts_RN @ value_N, counts_RN.sum(axis=1))


def _ratio(above: FloatArray, below: FloatArray | IntArray) -> FloatArray:
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0), dtype=np.float64)
