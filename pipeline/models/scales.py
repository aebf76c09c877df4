"""Scores of rankers made comparable within a user."""

from typing import TYPE_CHECKING

import numpy as np

from pipeline.models.ranker import Scores

if TYPE_CHECKING:
    from scipy import sparse

_ROWS = 16  # standardised at a time: 3 MB at 50,000 items, so that the passes over them stay in the cache
_ROUNDING = 16 * np.finfo(np.float32).eps  # of the mean: a smaller deviation is what its sum was rounded by


def standardised(scores: Scores, taken: "sparse.csr_matrix | None" = None) -> Scores:
    """(score - mean) / deviation of each row, in place, both over what was not taken; without deviation it is zero.

    Nor is there one where it is no more than rounding: of equal scores that would make one or minus one.

    Args:
        scores: [n, I], finite.
        taken: CSR [n, I], what each user took and is not shown; None: nothing.
    """
    for start in range(0, len(scores), _ROWS):
        block = scores[start : start + _ROWS]
        own = (np.empty(0, np.int64),) * 2 if taken is None else taken[start : start + _ROWS].nonzero()
        shown = np.maximum(block.shape[1] - np.bincount(own[0], minlength=len(block)), 1).astype(np.float32)[:, None]
        kept = block[own]
        block[own] = 0
        mean = block.sum(axis=1, keepdims=True) / shown
        block -= mean
        block[own] = 0
        deviation = np.sqrt(np.square(block).sum(axis=1, keepdims=True) / shown)
        block[own] = kept - mean[own[0], 0]
        says = deviation > _ROUNDING * np.abs(mean)
        np.divide(block, deviation, out=block, where=says)
        block[~says[:, 0]] = 0
    return scores
