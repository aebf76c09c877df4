"""EASE in closed form, over items or over users, whichever side is shorter.

Shapes: U users, I items of the stacked domains, X [U, I] the stacked matrix. Steck, "Embarrassingly Shallow
Autoencoders for Sparse Data", 2019 (arXiv 1905.03375): B = I - P / diag(P) with P = (X'X + reg I)^-1. By Woodbury,
P = (I - X' (X X' + reg I)^-1 X) / reg, whose dense matrix has users for rows instead of items. Where both sides are too
long, only the most frequent items stand in it, the target's before those of sources; the others score 0, as an item
does that goes with none.
"""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.errors import UserError
from pipeline.models.ranker import Arrays, Ranker, Scores
from pipeline.models.stack import Stack, pack, unpack

if TYPE_CHECKING:
    from pipeline.past import Histories

log = logging.getLogger(__name__)

Dense = NDArray[np.float32]
_BLOCK = 2048
_STRIP = 96


class EaseRanker(Ranker):
    """Scores x B of a history x, without its own diagonal."""

    kind = "ease"

    def __init__(
        self,
        stack: Stack,
        regularization: float,
        inverse: Dense,
        taken: sparse.csr_matrix | None,
        kept: NDArray[np.int64] | None = None,
    ) -> None:
        """`taken` is X where the inverse is over users (the dual), None where it is over items (the primal).

        `kept` names the columns, in their order, that stand in a primal from which some were left out.
        """
        self.stack = stack
        self.regularization = regularization
        self.inverse = inverse
        self.taken, self.kept = taken, kept
        if taken is None:
            self._targets = np.arange(stack.targets) if kept is None else kept[kept < stack.targets]
            count = len(self._targets)
            self._weights = -inverse[:, :count] / np.diag(inverse)[:count]
            np.fill_diagonal(self._weights, 0.0)
        else:
            self._target_T = sparse.csr_matrix(taken[:, : stack.targets].T)
            self._diagonal = _dual_diagonal(inverse, self._target_T, regularization)
            self._keys = _row_keys(taken)
            self._by_key = np.argsort(self._keys, kind="stable")

    @classmethod
    def fit(cls, histories: "Histories", stack: Stack, *, regularization: float, max_side: int) -> Self:
        """Invert the smaller Gram matrix; where both have more than `max_side` rows, that of so many items.

        Raises:
            UserError: weights are so far apart that the matrix cannot be inverted.
        """
        taken = stack.matrix(histories)
        taken = sparse.csr_matrix(taken[np.diff(taken.indptr) > 0])
        users, items = taken.shape
        if min(users, items) > max_side:
            kept = _frequent(taken, stack.targets, max_side)
            every, taken = taken.nnz, sparse.csr_matrix(taken[:, kept])
            own = int((kept < stack.targets).sum())
            log.warning(
                "ease: %s items and %s users are more than max_side=%s allows; it knows the most frequent %s of the %s "
                "items of the target and %s of others, with %.0f %% of the rows.",
                *(f"{count:,}" for count in (items, users, max_side, own, stack.targets, len(kept) - own)),
                100 * taken.nnz / every,
            )
            return cls(stack, regularization, _inverse(sparse.csr_matrix(taken.T @ taken), regularization), None, kept)
        dual = users < items
        inverse = _inverse(sparse.csr_matrix(taken @ taken.T if dual else taken.T @ taken), regularization)
        return cls(stack, regularization, inverse, taken if dual else None)

    def scores(self, histories: "Histories") -> Scores:
        """X B; items of the history itself keep what the others say about them."""
        matrix = self.stack.matrix(histories)
        if self.taken is None:
            known = matrix if self.kept is None else sparse.csr_matrix(matrix[:, self.kept])
            said = _product(known, self._weights)
            if self.kept is None:
                return said
            every = np.zeros((matrix.shape[0], self.stack.targets), dtype=np.float32)
            every[:, self._targets] = said
            return every
        # x - x P / diag P with x P = (x - x X' K^-1 X) / reg; items stand in rows until the end, as they do in X'.
        scale = 1 / (np.float32(self.regularization) * self._diagonal)
        projected_IB = _product(self._target_T, self._solved(matrix).T)
        projected_IB *= scale[:, None]
        scores = _transposed(projected_IB)
        taken = matrix[:, : self.stack.targets].tocoo()
        scores[taken.row, taken.col] += taken.data * (1 - scale[taken.col])
        return scores

    def _solved(self, matrix: sparse.csr_matrix) -> Dense:
        """X X' K^-1 [n, U]. A row that was trained on is read off: its x X' K^-1 is e_u - reg K^-1[u]."""
        keys = _row_keys(matrix)
        place = np.searchsorted(self._keys, keys, sorter=self._by_key).clip(max=len(self._keys) - 1)
        known = self._by_key[place]
        hit = self._keys[known] == keys
        solved = np.empty((matrix.shape[0], self.inverse.shape[0]), dtype=np.float32)
        solved[hit] = -np.float32(self.regularization) * self.inverse[known[hit]]
        solved[np.flatnonzero(hit), known[hit]] += 1.0
        assert self.taken is not None
        solved[~hit] = sparse.csr_matrix(matrix[~hit] @ self.taken.T) @ self.inverse
        return solved

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The inverse, and in the dual the training rows."""
        stack, arrays = self.stack.state()
        settings = {"stack": stack, "regularization": self.regularization, "dual": self.taken is not None}
        taken = pack("taken", self.taken) if self.taken is not None else {}
        kept = {"kept": self.kept} if self.kept is not None else {}
        return settings, {**arrays, "inverse": self.inverse, **taken, **kept}

    @classmethod
    def from_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """From the inverse, and in the dual the training rows."""
        taken = unpack("taken", arrays) if settings["dual"] else None
        stack = Stack.from_state(settings["stack"], arrays)
        return cls(stack, settings["regularization"], arrays["inverse"], taken, arrays.get("kept"))


def _frequent(taken: sparse.csr_matrix, targets: int, most: int) -> NDArray[np.int64]:
    """The columns [most] that most rows have, the target's before all others; in their order."""
    counts = np.bincount(taken.indices, minlength=taken.shape[1])
    order = np.lexsort((-counts, np.arange(len(counts)) >= targets))
    return np.sort(order[:most])


def _inverse(gram: sparse.csr_matrix, regularization: float) -> Dense:
    """(gram + reg I)^-1 in place by Cholesky, one dense float32 matrix in memory."""
    from scipy.linalg.lapack import spotrf, spotri

    dense = np.asfortranarray(gram.toarray(order="F"), dtype=np.float32)
    del gram  # nobody else holds it, and it may be as large as the dense matrix
    dense[np.diag_indices_from(dense)] += np.float32(regularization)
    factor, info = spotrf(dense, lower=1, overwrite_a=1, clean=0)
    if info:  # positive definite, but for rounding
        raise UserError(
            "baselines.ease: rows count so differently that its matrix cannot be inverted in single precision; let "
            "task.weight span less, raise regularization, or leave this baseline out."
        )
    inverse, info = spotri(factor, lower=1, overwrite_c=1)
    assert info == 0
    side = inverse.shape[0]
    for start in range(0, side, _BLOCK):  # mirror the lower triangle block by block: no second dense matrix
        stop = min(start + _BLOCK, side)
        corner = np.tril(inverse[start:stop, start:stop])
        inverse[start:stop, start:stop] = corner + np.tril(corner, -1).T
        inverse[start:stop, stop:] = inverse[stop:, start:stop].T
    return np.ascontiguousarray(inverse.T)


def _product(matrix: sparse.csr_matrix, dense: Dense) -> Dense:
    """The product by strips of columns, which stay near the processor where whole rows would not; the same numbers.

    SciPy knows one thread only; strips are shared out among as many as other numeric libraries take.
    """
    result = np.empty((matrix.shape[0], dense.shape[1]), dtype=np.float32)

    def strip(start: int) -> None:
        result[:, start : start + _STRIP] = matrix @ np.ascontiguousarray(dense[:, start : start + _STRIP])

    with ThreadPoolExecutor(_threads()) as pool:
        list(pool.map(strip, range(0, dense.shape[1], _STRIP)))
    return result


def _threads() -> int:
    """As many as OpenMP is told to take, of nested regions the outermost; else one for each core."""
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return max(1, int(told)) if told.isdigit() else os.cpu_count() or 1


def _transposed(matrix: Dense) -> Dense:
    """The transpose, C-contiguous, by strips: NumPy writes a row of the result at a time, from all over memory."""
    result = np.empty(matrix.shape[::-1], dtype=matrix.dtype)
    for start in range(0, len(matrix), _STRIP):
        result[:, start : start + _STRIP] = matrix[start : start + _STRIP].T
    return result


def _dual_diagonal(inverse: Dense, target_T: sparse.csr_matrix, regularization: float) -> Dense:
    """diag(P) of the target's items: (1 - x_i' K^-1 x_i) / reg, in blocks of items."""
    quadratic = np.empty(target_T.shape[0], dtype=np.float32)
    for start in range(0, target_T.shape[0], _BLOCK):
        block = sparse.csr_matrix(target_T[start : start + _BLOCK])
        spread = _product(block, inverse)  # [b, U]
        quadratic[start : start + _BLOCK] = np.asarray(block.multiply(spread).sum(axis=1)).ravel()
    return (np.float32(1.0) - quadratic) / np.float32(regularization)


def _row_keys(matrix: sparse.csr_matrix) -> NDArray[np.uint64]:
    """A 64-bit sum over each row's entries that does not depend on their order; an empty row has the key 0."""
    values = matrix.data.astype(np.float32).view(np.uint32).astype(np.uint64)
    mixed = (matrix.indices.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= values * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
    keys: NDArray[np.uint64] = total[matrix.indptr[1:]] - total[matrix.indptr[:-1]]
    return keys
