"""Several domains' histories side by side as one sparse matrix, the source's columns weighted.

Shapes: n rows (users), I_t target items, I all items of the stacked domains.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.models.ranker import Arrays

if TYPE_CHECKING:
    from pipeline.past import Histories
    from pipeline.views import IntArray


@dataclass(frozen=True, eq=False)
class Stack:
    """Which domains stand side by side, how much each counts, and which column of the whole each of their items has.

    The target's items are the first columns. Where items are the bridge, an item has one column, whichever domains it
    is in; a user who took it in several counts their weights together.
    """

    names: tuple[str, ...]  # the target first
    weights: tuple[float, ...]
    columns: tuple[NDArray[np.int64], ...]

    @classmethod
    def of(
        cls,
        histories: "Histories",
        target: str,
        source_weight: float = 0.0,
        columns: "Mapping[str, IntArray] | None" = None,
    ) -> "Stack":
        """The target alone (weight 0), or all domains with the sources at one weight.

        Args:
            histories: CSR [n, I_d] of each domain.
            target: Which of them is the target.
            source_weight: What a row of a source counts; a row of the target counts 1.
            columns: `pipeline.views.item_columns` where domains share items; without, no two have one in common.
        """
        names = (target, *(name for name in histories if name != target and source_weight))
        sizes = [histories[name].shape[1] for name in names]
        ends = np.cumsum(sizes)
        own = {name: np.arange(end - size, end) for name, size, end in zip(names, sizes, ends, strict=True)}
        weights = (1.0, *(source_weight for _ in names[1:]))
        return cls(names, weights, tuple(np.asarray((columns or own)[name], dtype=np.int64) for name in names))

    @property
    def targets(self) -> int:
        """Number of target items: they are the first columns."""
        return len(self.columns[0])

    @cached_property
    def width(self) -> int:
        """Number of columns."""
        return 1 + max(int(columns.max(initial=-1)) for columns in self.columns)

    def matrix(self, histories: "Histories") -> sparse.csr_matrix:
        """The stacked float32 CSR [n, I]; an absent domain counts as empty."""
        rows = next(iter(histories.values())).shape[0]
        stacked = sparse.csr_matrix((rows, self.width), dtype=np.float32)
        for name, weight, columns in zip(self.names, self.weights, self.columns, strict=True):
            if name in histories:
                own = histories[name]
                placed = (own.data.astype(np.float32) * np.float32(weight), columns[own.indices], own.indptr)
                stacked = stacked + sparse.csr_matrix(placed, shape=(rows, self.width))
        stacked.sort_indices()
        return stacked

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Plain JSON values, and the columns as arrays whose names begin with `stack/`."""
        arrays = {f"stack/{name}": columns for name, columns in zip(self.names, self.columns, strict=True)}
        return {"names": list(self.names), "weights": list(self.weights)}, arrays

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Arrays) -> "Stack":
        """The stack that `state` described."""
        names = tuple(state["names"])
        return cls(names, tuple(state["weights"]), tuple(arrays[f"stack/{name}"] for name in names))


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
