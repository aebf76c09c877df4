"""How much the words of texts weigh: TF-IDF (Salton and Buckley, 1988), as scikit-learn has it.

    w = (1 + ln count) * idf, of a count below 1 count * idf,  idf = ln((1 + N) / (1 + rows with the word)) + 1

and the weights of each text of a row have length one.

Shapes: N rows, B buckets.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from pipeline.views import FloatArray

Words = Sequence[sparse.csr_matrix]  # of each text [N, any], how often its rows have a word


def rows_with(words: Words, weights_N: FloatArray, buckets: int) -> FloatArray:
    """In how many rows each bucket is met, each as often as it weighs: [B]."""
    met_B = np.zeros(buckets)
    for one in words:
        counts = _counts(one, buckets)
        met_B += np.bincount(counts.indices, np.repeat(weights_N, np.diff(counts.indptr)), minlength=buckets)
    return met_B


def idf(rows: float, met_B: FloatArray) -> FloatArray:
    """What a word says by being rare: [B]; most says one that no row has."""
    return np.asarray(np.log((1 + rows) / (1 + met_B)) + 1)


def weighted(words: Words, idf_B: FloatArray) -> sparse.csr_matrix:
    """The weights [N, B] of the words of all texts together; a bucket whose idf is zero has none."""
    buckets = len(idf_B)
    total = sparse.csr_matrix((words[0].shape[0] if words else 0, buckets))
    for one in words:
        counts = _counts(one, buckets)
        counts.data = np.where(counts.data < 1, counts.data, 1 + np.log(counts.data)) * idf_B[counts.indices]
        owner = np.repeat(np.arange(len(counts.indptr) - 1), np.diff(counts.indptr))
        length = np.sqrt(np.bincount(owner, counts.data**2, minlength=len(counts.indptr) - 1))
        counts.data /= np.where(length > 0, length, 1.0)[owner]
        total = total + counts
    total.eliminate_zeros()
    return total


def _counts(words: sparse.csr_matrix, buckets: int) -> sparse.csr_matrix:
    """The counts in fewer columns, of which two words may share one (Weinberger et al., 2009)."""
    parts = words.data.astype(np.float64), words.indices % buckets, words.indptr.copy()
    folded = sparse.csr_matrix(parts, shape=(words.shape[0], buckets))
    folded.sum_duplicates()
    return folded
