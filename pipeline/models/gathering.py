"""Rows of a table that are gathered for a batch, and the way of their gradients back.

PyTorch's own ways give the same numbers and sort more than is needed, or add row by row.

Shapes: T entries, V rows of a table, B bags, D dimensions.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional


def distinct(places: Tensor) -> tuple[Tensor, Tensor]:
    """The different ones of some places [T] in rising order, and where each is among them [T]; nothing is sorted."""
    if not len(places):
        return places, places
    number = torch.zeros(int(places.max()) + 1, dtype=torch.int64, device=places.device)
    number[places] = 1
    found = number.nonzero()[:, 0]
    number[found] = torch.arange(len(found), device=places.device)
    return found, number[places]


class Bags(torch.autograd.Function):
    """Weighted sums of rows of a table, as `embedding_bag` makes them; only the table has a gradient.

    Gradients are gathered as values are: each row of the table is a bag of the bags that it is in.
    """

    @staticmethod
    def forward(
        ctx: Any, vectors_VD: Tensor, place_T: Tensor, weights_T: Tensor, offsets_B: Tensor, owner_T: Tensor
    ) -> Tensor:
        """Sum up the rows `place` of each bag, times their weights: [B, D].

        Args:
            ctx: Keeps what the way back needs.
            vectors_VD: The table.
            place_T: Which row each entry is; entries of a bag stand together.
            weights_T: What each counts.
            offsets_B: Where each bag begins.
            owner_T: Which bag each entry is in.
        """
        ctx.save_for_backward(place_T, weights_T, owner_T)
        ctx.rows = len(vectors_VD)
        return functional.embedding_bag(place_T, vectors_VD, offsets_B, mode="sum", per_sample_weights=weights_T)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BD: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of the table: [V, D]."""
        place_T, weights_T, owner_T = ctx.saved_tensors
        order = place_T.int().argsort(stable=True)
        counts_V = torch.bincount(place_T, minlength=ctx.rows)
        gradient = functional.embedding_bag(
            owner_T[order],
            gradient_BD.contiguous(),
            counts_V.cumsum(0) - counts_V,
            mode="sum",
            per_sample_weights=weights_T[order],
        )
        return gradient, None, None, None, None
