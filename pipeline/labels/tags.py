"""Metrics of tags, from how often each row was drawn.

Shapes: R resamples, N rows, K tags. Counts are whole numbers; counts of one give the metric itself. A mean over tags is
over those that a drawn row has (and, of AUROC, that another lacks): which these are hangs on the rows alone, so that
they are the same for every lane. Values are those of scikit-learn on these tags and on rows that are repeated as often
as they were drawn. A metric is NaN where no tag was drawn.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pipeline.labels import classes as m

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def macro_auprc(counts_RN: FloatArray, has_NK: BoolArray, probability_NK: FloatArray) -> FloatArray:
    """Mean of the average precision of each tag, [R]; one that all rows have is told by any score, and left out."""
    rows_R = counts_RN.sum(axis=1)

    def of_tag(has_N: BoolArray, score_N: FloatArray) -> FloatArray:
        found = m.auprc(counts_RN, has_N, score_N)
        return np.where(counts_RN @ has_N.astype(np.float64) < rows_R, found, np.nan)

    return _mean(counts_RN, (of_tag(has_N, score_N) for has_N, score_N in _each(has_NK, probability_NK)))


def macro_auroc(counts_RN: FloatArray, has_NK: BoolArray, probability_NK: FloatArray) -> FloatArray:
    """Mean over tags of the chance that a row with it scores above one without, [R]."""
    return _mean(counts_RN, (m.auroc(counts_RN, has_N, score_N) for has_N, score_N in _each(has_NK, probability_NK)))


def macro_f1(counts_RN: FloatArray, has_NK: BoolArray, told_NK: BoolArray) -> FloatArray:
    """Mean of the F1 of each tag, [R]."""
    right, had, told = _counted(counts_RN, has_NK, told_NK)
    return _mean(counts_RN, np.where(had > 0, 2 * right / np.maximum(had + told, 1), np.nan).T)


def micro_f1(counts_RN: FloatArray, has_NK: BoolArray, told_NK: BoolArray) -> FloatArray:
    """F1 of all tags together, [R]: also those count that no row has and that are told; 0 where none is told."""
    right, had, told = (count.sum(axis=1) for count in _counted(counts_RN, has_NK, told_NK))
    return np.where(had > 0, 2 * right / np.maximum(had + told, 1), np.nan)


def log_loss(counts_RN: FloatArray, has_NK: BoolArray, probability_NK: FloatArray) -> FloatArray:
    """Mean over rows and all tags of minus the logarithm of the probability of what is so, [R]."""
    smallest = np.finfo(np.float64).eps
    of_what_is_so = np.where(has_NK, probability_NK, 1 - probability_NK)
    loss_N = -np.log(np.clip(of_what_is_so, smallest, 1 - smallest)).mean(axis=1)
    rows = counts_RN.sum(axis=1)
    return np.where(rows > 0, counts_RN @ loss_N / np.maximum(rows, 1), np.nan)


def _each(has_NK: BoolArray, said_NK: FloatArray) -> Iterable[tuple[BoolArray, FloatArray]]:
    """The columns of the tags that a row has."""
    return (
        (np.ascontiguousarray(has_NK[:, k]), np.ascontiguousarray(said_NK[:, k]))
        for k in np.flatnonzero(has_NK.any(axis=0))
    )


def _mean(counts_RN: FloatArray, each: Iterable[FloatArray]) -> FloatArray:
    """The mean [R] of the values [R] of each tag, of those that are defined."""
    summed, defined = np.zeros(len(counts_RN)), np.zeros(len(counts_RN))
    for value_R in each:
        summed += np.nan_to_num(value_R)
        defined += ~np.isnan(value_R)
    return np.where(defined > 0, summed / np.maximum(defined, 1), np.nan)


def _counted(counts_RN: FloatArray, has_NK: BoolArray, told_NK: BoolArray) -> FloatArray:
    """How often each tag is told rightly, is there, and is told: [3, R, K]."""
    return np.stack([counts_RN @ one.astype(np.float64) for one in (has_NK & told_NK, has_NK, told_NK)])
