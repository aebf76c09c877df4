"""A user as the sum of the vectors of what the user did, in all domains.

Shapes: B users in a batch, D dimensions, T entries of all histories of a batch.

    u = sqrt(D) normalise( sum_d u_d ),  u_d = exp(g_d) * sum_{j in history_d} w_j x_j / sqrt(sum_j w_j)

x are the vectors of an item space, w what each thing that the user did counts: 1, unless rows have weights. With a map
f from the other domains to one of them u is that domain's u_d alone, and f(sqrt(D) normalise(sum of the others)) where
a user did nothing there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from pipeline.models.gathering import Bags, distinct
from pipeline.models.items import Vectors
from pipeline.models.network import ItemEncoder
from pipeline.models.ragged import Ragged

if TYPE_CHECKING:
    from pipeline.past import Histories


@dataclass(frozen=True)
class History:
    """Part of the histories of a batch: one domain's items of each user, end to end."""

    items: Tensor  # [T] int64
    offsets: Tensor  # [B] int64, where each user's items begin
    weights: Tensor  # [T] float32, 0 hides an item

    def to(self, device: torch.device) -> "History":
        """The same on another device."""
        return History(self.items.to(device), self.offsets.to(device), self.weights.to(device))


class HistoryTable:
    """Who took what in one domain and what it counts, ready to be cut into batches."""

    def __init__(self, matrix: sparse.csr_matrix) -> None:
        self.rows = Ragged.of(matrix)

    def of(self, users: Tensor) -> History:
        """The histories of some users, all items visible."""
        own = self.rows[users]
        return History(own.places, own.starts[:-1], own.weights)


class HistoryEncoder(ItemEncoder):
    """Encodes histories of the items of some domains."""

    def __init__(self, vectors: Vectors, domains: Iterable[str]) -> None:
        """`vectors` looks items up in the space that the head ranks in."""
        super().__init__()
        self.vectors = vectors
        self.gates = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in domains})
        self.mapped = ""
        self.map: nn.Module = nn.Identity()

    def map_to(self, domain: str, made: nn.Module) -> None:
        """Read users by what they did in one domain alone, and those who did nothing there by a map from the others."""
        self.mapped, self.map = domain, made

    def read(self, histories: "Histories") -> dict[str, History]:
        """Whole histories in all domains that it knows; an absent domain counts as empty."""
        users = next(iter(histories.values())).shape[0]
        empty = sparse.csr_matrix((users, 0), dtype=np.float32)
        return {name: HistoryTable(histories.get(name, empty)).of(torch.arange(users)) for name in self.gates}

    def combine(self, inputs: Mapping[str, History]) -> Tensor:
        """The sums over domains: [B, D], zero where all histories are empty."""
        if not self.mapped:
            return self._sum(inputs)
        own, others = self.apart(inputs)
        known = others.abs().sum(dim=1, keepdim=True) > 0
        return torch.where(own.abs().sum(dim=1, keepdim=True) > 0, own, self.map(self.scaled(others)) * known)

    def apart(self, inputs: Mapping[str, History]) -> tuple[Tensor, Tensor]:
        """The sum of the domain that is mapped to, and that of the others: each [B, D]."""
        own = {name: one for name, one in inputs.items() if name == self.mapped}
        return self._sum(own), self._sum({name: one for name, one in inputs.items() if name not in own})

    def _sum(self, inputs: Mapping[str, History]) -> Tensor:
        total = next(iter(inputs.values())).weights.new_zeros(())
        for name, history in inputs.items():
            items, place = distinct(history.items)
            entries = torch.arange(len(place), device=place.device)
            owner = torch.bucketize(entries, history.offsets, right=True) - 1
            vectors, offsets = self.vectors(name, items), history.offsets
            bags: Tensor = Bags.apply(vectors, place, history.weights, offsets, owner)  # type: ignore[no-untyped-call]
            mass = history.weights.new_zeros(len(history.offsets)).index_add_(0, owner, history.weights)
            total = total + self.gates[name].exp() * bags / mass.clamp(min=1.0).sqrt()[:, None]
        return total

    def own(self) -> list[nn.Parameter]:
        """The weight of each domain's history."""
        return list(self.gates.parameters())
