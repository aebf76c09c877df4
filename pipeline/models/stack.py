"""Several domains' histories side by side as one sparse matrix, the source's columns weighted.

Shapes: n rows (users), I_t target items, I all items of the stacked domains.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.models.ranker import Arrays

if TYPE_CHECKING:
    from pipeline.data.prepared import Histories


@dataclass(frozen=True)
class Stack:
    """Which domains' columns stand side by side, the target's first, and how much each counts."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    weights: tuple[float, ...]

    @classmethod
    def of(cls, histories: "Histories", target: str, source_weight: float = 0.0) -> "Stack":
        """The target alone (weight 0), or all domains with the sources at one weight."""
        sources = [name for name in histories if name != target] if source_weight else []
        names = (target, *sources)
        weights = (1.0, *(source_weight for _ in sources))
        return cls(names, tuple(histories[name].shape[1] for name in names), weights)

    @property
    def targets(self) -> int:
        """Number of target items: they are the first columns."""
        return self.sizes[0]

    def matrix(self, histories: "Histories") -> sparse.csr_matrix:
        """The stacked float32 CSR [n, I]; an absent domain counts as empty."""
        rows = next(iter(histories.values())).shape[0]
        blocks = [
            histories[name].astype(np.float32) * np.float32(weight)
            if name in histories
            else sparse.csr_matrix((rows, size), dtype=np.float32)
            for name, size, weight in zip(self.names, self.sizes, self.weights, strict=True)
        ]
        stacked = sparse.csr_matrix(sparse.hstack(blocks, format="csr"))
        stacked.sort_indices()
        return stacked

    def state(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"names": list(self.names), "sizes": list(self.sizes), "weights": list(self.weights)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Stack":
        """The stack that `state` described."""
        return cls(tuple(state["names"]), tuple(state["sizes"]), tuple(state["weights"]))


def pack(name: str, matrix: sparse.csr_matrix) -> Arrays:
    """A sparse matrix as plain arrays under one prefix."""
    return {
        f"{name}.data": matrix.data,
        f"{name}.indices": matrix.indices.astype(np.int32),
        f"{name}.indptr": matrix.indptr.astype(np.int64),
        f"{name}.shape": np.array(matrix.shape, dtype=np.int64),
    }


def unpack(name: str, arrays: Arrays) -> sparse.csr_matrix:
    """The sparse matrix that `pack` took apart."""
    parts = (arrays[f"{name}.data"], arrays[f"{name}.indices"], arrays[f"{name}.indptr"])
    return sparse.csr_matrix(parts, shape=tuple(int(size) for size in arrays[f"{name}.shape"]))


def idf(matrix: sparse.csr_matrix) -> NDArray[np.float32]:
    """ln(n / (1 + df)) of each column, with n rows and df of them not zero, floored at zero; float32 [I]."""
    counts = np.bincount(matrix.indices, minlength=matrix.shape[1])
    weights: NDArray[np.float32] = np.maximum(np.log(max(matrix.shape[0], 1)) - np.log1p(counts), 0).astype(np.float32)
    return weights


def unit_rows(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Rows scaled to length one; an empty row stays empty."""
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1))).ravel()
    scale = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    return sparse.csr_matrix(sparse.diags(scale.astype(np.float32)) @ matrix)
