"""Twins: one product listed in two domains, told by the people who took it.

Two items are twins when each was taken by at least three users and the sets of their users are equal or overlap with
a Jaccard index |A and B| / |A or B| of at least 0.8. Found exactly, without comparing all pairs: with users ordered
from rare to frequent, two such sets share a user among the first |A| - ceil(0.8 |A|) + 1 of each (prefix filter,
Chaudhuri, Ganti and Kaushik, ICDE 2006), so that only a few pairs are left to verify.

Shapes: U users, I and J items of the two domains.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

MIN_USERS = 3
JACCARD = (4, 5)  # 0.8 as whole numbers, so that sets exactly on the bound are not lost to rounding
_BLOCK = 4_000_000  # entries of a product that may be in memory at once, about 50 MB

Pairs = NDArray[np.int64]


def twin_pairs(left: sparse.csr_matrix, right: sparse.csr_matrix) -> Pairs:
    """All pairs of twins.

    Args:
        left: [U, I], a stored entry wherever a user took an item.
        right: [U, J], over the same users.

    Returns:
        [n, 2]: item of `left`, item of `right`; sorted.
    """
    by_item = [_sets(left), _sets(right)]
    sizes = [np.diff(sets.indptr).astype(np.int64) for sets in by_item]
    rank = np.empty(left.shape[0], dtype=np.int64)
    frequency = np.asarray(by_item[0].sum(axis=0)).ravel() + np.asarray(by_item[1].sum(axis=0)).ravel()
    rank[np.argsort(frequency, kind="stable")] = np.arange(len(rank))
    first, second = (_prefixes(sets, size, rank) for sets, size in zip(by_item, sizes, strict=True))
    second = second.T.tocsr()
    work = np.cumsum(first @ np.diff(second.indptr))  # entries of the product up to each item, at most
    found = [np.empty((0, 2), dtype=np.int64)]
    for start, stop in _blocks(work):
        pairs = (first[start:stop] @ second).tocoo()
        found.append(_verified(pairs.row.astype(np.int64) + start, pairs.col.astype(np.int64), by_item, sizes))
    pairs_found = np.concatenate(found)
    return pairs_found[np.lexsort((pairs_found[:, 1], pairs_found[:, 0]))]


def _sets(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """[items, U], ones only."""
    sets = sparse.csr_matrix(matrix.T)
    sets.sum_duplicates()
    sets.data = np.ones(sets.nnz, dtype=np.int32)
    return sets


def _prefixes(sets: sparse.csr_matrix, sizes: Pairs, rank: Pairs) -> sparse.csr_matrix:
    """The rarest users of each set that any twin must share one of; sets that are too small are left out."""
    numerator, denominator = JACCARD
    length = np.where(sizes >= MIN_USERS, sizes + (-numerator * sizes) // denominator + 1, 0)
    item = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((rank[sets.indices], item))
    place = np.arange(len(item)) - np.repeat(sets.indptr[:-1], sizes)
    chosen = order[place < length[item]]  # `order` keeps the items in order, so places stay valid
    ones = np.ones(len(chosen), dtype=np.int32)
    return sparse.csr_matrix((ones, (item[chosen], sets.indices[chosen])), shape=sets.shape)


def _blocks(work: Pairs) -> list[tuple[int, int]]:
    """Ranges of items whose products have at most about `_BLOCK` entries each; a larger item stands alone."""
    blocks, start, done = [], 0, 0
    while start < len(work):
        stop = max(int(np.searchsorted(work, done + _BLOCK, side="right")), start + 1)
        blocks.append((start, stop))
        start, done = stop, int(work[stop - 1])
    return blocks


def _verified(left: Pairs, right: Pairs, sets: list[sparse.csr_matrix], sizes: list[Pairs]) -> Pairs:
    """Those of the candidate pairs that are twins: with overlap o, o / (|A| + |B| - o) >= 4 / 5."""
    numerator, denominator = JACCARD
    a, b = sizes[0][left], sizes[1][right]
    near = denominator * np.minimum(a, b) >= numerator * np.maximum(a, b)
    left, right, a, b = left[near], right[near], a[near], b[near]
    keep = np.zeros(len(left), dtype=bool)
    for start, stop in _blocks(np.cumsum(a + b)):
        both = sets[0][left[start:stop]].multiply(sets[1][right[start:stop]])
        overlap = np.asarray(both.sum(axis=1)).ravel().astype(np.int64)
        union = a[start:stop] + b[start:stop] - overlap
        keep[start:stop] = denominator * overlap >= numerator * union
    return np.column_stack([left[keep], right[keep]])
