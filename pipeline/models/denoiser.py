"""Words as what goes with them in all domains: a marginalised stacked denoising auto-encoder, in closed form.

    W = argmin sum_n E || t_n - W [mask * x_n, 1] ||^2 + ridge ||W||^2 = ((Q + ridge I)^-1 P)'
    Q_ij = S_ij q_i q_j,  Q_ii = S_ii q_i,  P_ij = S_ij q_i,  S = sum_n [x_n, 1] [x_n, 1]',  h_n = tanh(W [x_n, 1])

where each input is struck out with probability p, so q = 1 - p, and 1 for the constant, which stays. The first layer
makes the R most frequent inputs out of all, the next ones R hidden values out of R.

Shapes: N rows, D inputs, R hidden values.

References:
    Chen, Xu, Weinberger and Sha, Marginalized denoising autoencoders for domain adaptation, ICML 2012.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from pipeline.views import FloatArray

Layer = NDArray[np.float32]  # [inputs + 1, R], the last row for the constant
Hidden = NDArray[np.float32]
_RIDGE = 1e-4  # of the mean of the diagonal of Q: what keeps the solution in bounds where inputs go together always
_BLOCK = 4096  # rows that are dense at a time


@dataclass(frozen=True, eq=False)
class Denoiser:
    """The layers, the one that reads the inputs first."""

    layers: tuple[Layer, ...]

    @classmethod
    def fit(cls, inputs: sparse.csr_matrix, noise: float, layers: int, dim: int) -> Self:
        """Learn from rows [N, D] without any label.

        Args:
            inputs: Words and what they weigh, the most frequent first.
            noise: The probability with which each is struck out, in [0, 1).
            layers: How many, at least one.
            dim: R; fewer where there are fewer inputs.
        """
        found = cls(())
        for _ in range(layers):
            products = reduce(np.add, map(_products, found._blocks(inputs)))
            found = cls((*found.layers, _solved(products, noise, min(dim, inputs.shape[1]))))
        return found

    @property
    def size(self) -> int:
        """R."""
        return int(self.layers[-1].shape[1])

    def read(self, inputs: sparse.csr_matrix) -> Hidden:
        """The values of the last layer, each row of length one: [N, R]."""
        hidden = np.vstack([np.empty((0, self.size), dtype=np.float32), *self._blocks(inputs)])
        length = np.linalg.norm(hidden, axis=1, keepdims=True)
        hidden /= np.where(length > 0, length, 1.0)
        return hidden

    def _blocks(self, inputs: sparse.csr_matrix) -> Iterator[Any]:
        """What the layers so far make of the rows, some at a time, so that few are dense at once."""
        for first in range(0, inputs.shape[0], _BLOCK):
            hidden = inputs[first : first + _BLOCK].astype(np.float32)
            for layer in self.layers:
                hidden = np.tanh(hidden @ layer[:-1] + layer[-1])
            yield hidden


def _products(block: Any) -> FloatArray:
    """Sums of products of inputs, the constant 1 among them: [D + 1, D + 1]."""
    sums = np.asarray(block.sum(axis=0), dtype=np.float64).reshape(1, -1)
    product = block.T @ block
    product = product.toarray() if sparse.issparse(product) else product
    product = product.astype(np.float64)
    return np.block([[product, sums.T], [sums, np.full((1, 1), float(block.shape[0]))]])


def _solved(products: FloatArray, noise: float, dim: int) -> Layer:
    """The weights that make the first `dim` inputs out of all that may be struck out."""
    kept = np.append(np.full(len(products) - 1, 1.0 - noise), 1.0)
    wanted = products[:, :dim] * kept[:, None]
    between = products * kept * kept[:, None]
    np.fill_diagonal(between, np.diag(products) * kept)
    between[np.diag_indices_from(between)] += _RIDGE * np.trace(between) / len(between)
    solution = linalg.solve(between, wanted, assume_a="pos", overwrite_a=True, overwrite_b=True)
    return np.asarray(solution, dtype=np.float32)
