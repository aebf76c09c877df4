"""Lists of different lengths, one for each row, as tensors that are cut into batches.

Shapes: B rows, T entries of all lists end to end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from scipy import sparse
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Ragged:
    """The entries of each row.

    Args:
        places: [T] int64, what each entry is.
        weights: [T] float32, what it counts.
        starts: [B + 1] int64, where each row's entries begin, and where the last ones end.
    """

    places: Tensor
    weights: Tensor
    starts: Tensor

    @classmethod
    def of(cls, matrix: sparse.csr_matrix) -> Self:
        """Columns and values of each row."""
        return cls(
            torch.from_numpy(matrix.indices.astype(np.int64)),
            torch.from_numpy(matrix.data.astype(np.float32)),
            torch.from_numpy(matrix.indptr.astype(np.int64)),
        )

    @classmethod
    def listed(cls, lists: Sequence[Sequence[int]]) -> Self:
        """Each entry counts one."""
        entries = torch.tensor([entry for one in lists for entry in one], dtype=torch.int64)
        ends = torch.tensor([0, *(len(one) for one in lists)], dtype=torch.int64)
        return cls(entries, torch.ones(len(entries)), ends.cumsum(0))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, rows: Tensor) -> "Ragged":
        """Some of the rows, by their places."""
        begin = self.starts[rows]
        ends = (self.starts[rows + 1] - begin).cumsum(0)
        starts = torch.cat([ends.new_zeros(1), ends])
        entries = torch.arange(int(starts[-1])) + torch.repeat_interleave(begin - starts[:-1], starts.diff())
        return Ragged(self.places[entries], self.weights[entries], starts)

    def to(self, device: torch.device) -> "Ragged":
        """The same on another device."""
        return Ragged(self.places.to(device), self.weights.to(device), self.starts.to(device))
