"""Popularity and the two kinds of nearest neighbours."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.models.ranker import Arrays, Ranker, Scores
from pipeline.models.stack import Stack, idf, pack, unit_rows, unpack

if TYPE_CHECKING:
    from pipeline.past import Histories


_BLOCK = 4096  # items whose products with all target items are held at a time


class PopularityRanker(Ranker):
    """How many users took an item, by what each of them counts, the same for everyone."""

    kind = "popularity"

    def __init__(self, counts: NDArray[np.float32]) -> None:
        self.counts = counts

    @classmethod
    def fit(cls, histories: "Histories", stack: Stack) -> Self:
        """Add up what the training rows of each target item count, those of sources times the source's weight."""
        taken = stack.matrix(histories)[:, : stack.targets]
        return cls(np.asarray(taken.sum(axis=0), dtype=np.float32).ravel())

    def scores(self, histories: "Histories") -> Scores:
        """The counts, once for each row."""
        rows = next(iter(histories.values())).shape[0]
        return np.broadcast_to(self.counts, (rows, len(self.counts))).copy()

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The counts."""
        return {}, {"counts": self.counts}

    @classmethod
    def from_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """From the counts."""
        del settings
        return cls(arrays["counts"])


class ItemKnnRanker(Ranker):
    """Sum over the history of the similarities to each target item; shrunk cosine of idf-weighted columns.

    With columns x_i of the stacked matrix: sim(i, j) = x_i . x_j / (|x_i| |x_j| + shrinkage), kept for the k nearest
    target items j of each i. Without shrinkage two rare items with one user in common are as close as can be.
    """

    kind = "item_knn"

    def __init__(self, stack: Stack, similarity: sparse.csr_matrix) -> None:
        self.stack = stack
        self.similarity = similarity  # [I, I_t]

    @classmethod
    def fit(cls, histories: "Histories", stack: Stack, *, neighbours: int, shrinkage: float) -> Self:
        """Find the k nearest target items of each item, weighted by the idf of users."""
        weighted = _users_by_idf(stack.matrix(histories))
        items = sparse.csr_matrix(weighted.T)  # [I, U]
        norms = np.sqrt(np.asarray(items.multiply(items).sum(axis=1))).ravel()
        targets = sparse.csr_matrix(weighted[:, : stack.targets])
        kept = []
        for start in range(0, items.shape[0], _BLOCK):
            products = sparse.csr_matrix(items[start : start + _BLOCK] @ targets)
            own = start + np.repeat(np.arange(products.shape[0]), np.diff(products.indptr))
            products.data /= norms[own] * norms[products.indices] + np.float32(shrinkage)
            products.data[own == products.indices] = 0
            products.eliminate_zeros()
            kept.append(largest_per_row(products, neighbours))
        return cls(stack, sparse.csr_matrix(sparse.vstack(kept), dtype=np.float32))

    def scores(self, histories: "Histories") -> Scores:
        """History times similarity."""
        return np.asarray((self.stack.matrix(histories) @ self.similarity).toarray(), dtype=np.float32)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The similarity matrix."""
        stack, arrays = self.stack.state()
        return {"stack": stack}, {**arrays, **pack("similarity", self.similarity)}

    @classmethod
    def from_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """From the similarity matrix."""
        return cls(Stack.from_state(settings["stack"], arrays), unpack("similarity", arrays))


class UserKnnRanker(Ranker):
    """What the k most similar users took in the target; cosine of idf-weighted rows over all stacked domains."""

    kind = "user_knn"

    def __init__(
        self, stack: Stack, taken: sparse.csr_matrix, neighbours: int, own: sparse.csr_matrix | None = None
    ) -> None:
        """`taken` is [U, I], weighted by domain; `own` [U, I_t] what was taken in the target, where some counts > 1."""
        self.stack = stack
        self.taken, self.own = taken, own
        self.neighbours = neighbours
        self._idf = sparse.diags(idf(taken))
        self._unit_T = sparse.csr_matrix(unit_rows(sparse.csr_matrix(taken @ self._idf)).T)
        target = sparse.csr_matrix(taken[:, : stack.targets])
        most = sparse.csr_matrix((np.ones_like(target.data), target.indices, target.indptr), shape=target.shape)
        # taken here counts what it counts here, also if in a source as well
        self._target = target.minimum(most if own is None else most.maximum(own))

    @classmethod
    def fit(cls, histories: "Histories", stack: Stack, neighbours: int) -> Self:
        """Keep the training rows: the similarities are found when asked."""
        own = sparse.csr_matrix(histories[stack.names[0]], dtype=np.float32)
        return cls(stack, stack.matrix(histories), neighbours, own if own.nnz and own.data.max() > 1 else None)

    def scores(self, histories: "Histories") -> Scores:
        """Similarities to the k nearest users, times what they took."""
        query = unit_rows(sparse.csr_matrix(self.stack.matrix(histories) @ self._idf))
        similar = largest_per_row(sparse.csr_matrix(query @ self._unit_T), self.neighbours)
        return np.asarray((similar @ self._target).toarray(), dtype=np.float32)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The training rows."""
        stack, arrays = self.stack.state()
        own = {} if self.own is None else pack("own", self.own)
        return {"stack": stack, "neighbours": self.neighbours}, {**arrays, **pack("taken", self.taken), **own}

    @classmethod
    def from_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """From the training rows."""
        stack = Stack.from_state(settings["stack"], arrays)
        own = unpack("own", arrays) if "own.data" in arrays else None
        return cls(stack, unpack("taken", arrays), settings["neighbours"], own)


def largest_per_row(matrix: sparse.csr_matrix, count: int) -> sparse.csr_matrix:
    """Keep the `count` largest entries of each row; of equal ones those of the smaller column."""
    lengths = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(matrix.shape[0]), lengths)
    order = np.lexsort((matrix.indices, -matrix.data, rows))
    place = np.arange(len(order)) - np.repeat(matrix.indptr[:-1], lengths)
    keep = order[place < count]
    kept = sparse.csr_matrix((matrix.data[keep], (rows[keep], matrix.indices[keep])), shape=matrix.shape)
    kept.sort_indices()
    return kept


def _users_by_idf(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Rows weighted by the idf of their user: someone who took everything says little about what goes together."""
    weights = idf(sparse.csr_matrix(matrix.T))
    return sparse.csr_matrix(sparse.diags(weights) @ matrix)
