"""Ranks in the full catalogue, in blocks of users, with ties counted at half.

Shapes: U users of all domains together, I items of the target, N rows to rank.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from pipeline.errors import CrossliftError
from pipeline.labels.timing import median_seconds
from pipeline.past import Histories, Past

Score = Callable[[Histories], NDArray[np.float32]]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_CHUNK = 128  # rows compared at a time: 25 MB at 50,000 items, small enough to stay near the processor


def ranks(
    score: Score, histories: Histories, rows: pd.DataFrame, seen: sparse.csr_matrix, block: int = 1024
) -> FloatArray:
    """Rank each row's item among the whole catalogue for its user; 1 is the top.

    rank = 1 + number of items that score higher + half the number of other items that score the same, so that a
    constant scorer gets a chance result. Items in `seen` are left out, but for the row's own item. Memory is about
    `block` x I x 4 bytes, beside what `score` needs.

    Args:
        score: Gives [n, I] scores for n users' histories; minus infinity means "comes last".
        histories: CSR [U, I_d] of each domain.
        rows: Columns `user` (place among the U users) and `item` (place in the catalogue); any order.
        seen: CSR [U, I], what each user already took in the target.
        block: Users that are scored at a time.

    Returns:
        [N], in the order of `rows`; between 1 and I, in steps of a half.

    Raises:
        CrossliftError: a score is NaN, or the scores have another shape than [n, I].
    """
    past = Past.over(histories)
    users = rows["user"].to_numpy(dtype=np.int64)
    items = rows["item"].to_numpy(dtype=np.int64)
    result = np.empty(len(rows), dtype=np.float64)
    order = np.argsort(users, kind="stable")
    distinct, starts = np.unique(users[order], return_index=True)
    ends = np.append(starts[1:], len(order))
    for first in range(0, len(distinct), block):
        block_users = distinct[first : first + block]
        scores_BI = score(past.of(block_users))
        _check(scores_BI, block_users, seen.shape[1])
        places = order[starts[first] : ends[first + len(block_users) - 1]]
        position = np.searchsorted(block_users, users[places])
        for chunk in _chunks(len(places)):
            result[places[chunk]] = _rank_chunk(
                scores_BI[position[chunk]], items[places[chunk]], seen[users[places[chunk]]]
            )
    return result


def _rank_chunk(scores_RI: NDArray[np.float32], items: IntArray, seen_RI: sparse.csr_matrix) -> FloatArray:
    """Ranks of one item a row; `scores_RI` is overwritten."""
    rows = np.arange(len(items))
    own = scores_RI[rows, items][:, None].copy()
    taken = np.repeat(rows, np.diff(seen_RI.indptr))
    scores_RI[taken, seen_RI.indices] = np.nan  # neither higher nor the same as anything
    scores_RI[rows, items] = own[:, 0]
    higher = _count(scores_RI > own)
    not_lower = _count(scores_RI >= own)  # counts the row's own item
    return np.asarray(1 + higher + 0.5 * (not_lower - higher - 1), dtype=np.float64)


def _count(flags_RI: NDArray[np.bool_]) -> IntArray:
    """Count the true values a row; through packed bits, because summing booleans is several times slower."""
    counts: IntArray = np.bitwise_count(np.packbits(flags_RI, axis=1)).sum(axis=1, dtype=np.int64)
    return counts


def _chunks(count: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK) for start in range(0, count, _CHUNK))


def _check(scores_BI: NDArray[Any], users: IntArray, n_items: int) -> None:
    expected = (len(users), n_items)
    if scores_BI.shape != expected:
        raise CrossliftError(f"scores: expected the shape {expected} (users, catalogue), got {scores_BI.shape}.")
    highest = scores_BI.max(axis=1)  # a NaN anywhere in a row makes its maximum NaN
    if np.isnan(highest).any():
        bad = users[np.isnan(highest)]
        raise CrossliftError(
            f"scores: {len(bad)} of {len(users)} users have a score that is NaN, the first is user {bad[0]}; the model "
            "did not converge. Lower training.learning_rate, or look at the lane's training curve."
        )


def latency(score: Score, histories: Histories, users: IntArray) -> float:
    """Time the scoring of the catalogue for one user, in seconds: the median over the users, after a first try."""
    one_by_one = [Past.over(histories).of([user]) for user in users]
    return median_seconds(score, one_by_one)
