"""The space of items: own vectors and words, for histories that are read and for items that are ranked.

Shapes: I_d items of domain d, D dimensions.

x is an item's own vector plus the mean of the vectors of its words, where it has any; input and output vectors are the
same. Words are shared by all domains, so that items without any row still have a place in the space.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray

INITIAL_DEVIATION = 0.1

Vectors = Callable[[str, Tensor], Tensor]  # (domain, places of its items) -> their vectors [n, D], not normalised


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What is known of a domain's items.

    Args:
        counts: [I] how often each was taken; the prior of the scores.
        tokens: CSR [I, buckets] of their words, or None.
        own: Whether they get vectors of their own; without, they are read by their words alone.
    """

    counts: "NDArray[Any]"
    tokens: sparse.csr_matrix | None = None
    own: bool = True


class DomainItems(nn.Module):
    """The items of one domain: their own vectors, and their words."""

    tokens: Tensor
    token_starts: Tensor

    def __init__(self, catalogue: Catalogue, dim: int) -> None:
        super().__init__()
        self.count, tokens = len(catalogue.counts), catalogue.tokens
        self.own = nn.Embedding(self.count, dim, sparse=True) if catalogue.own else None
        if self.own is not None:  # words already place an item: its own vector then starts as a small correction
            nn.init.normal_(self.own.weight, std=INITIAL_DEVIATION if tokens is None else INITIAL_DEVIATION / 10)
        empty = np.zeros(0, dtype=np.int64)
        indices, indptr = (empty, empty) if tokens is None else (tokens.indices, tokens.indptr)
        self.register_buffer("tokens", torch.from_numpy(indices.astype(np.int64)), persistent=False)
        self.register_buffer("token_starts", torch.from_numpy(indptr.astype(np.int64)), persistent=False)

    @property
    def has_text(self) -> bool:
        """Whether the items have words."""
        return len(self.token_starts) > 0


class ItemSpace(nn.Module):
    """The items of all domains in one space."""

    def __init__(self, dim: int, buckets: int, catalogues: Mapping[str, Catalogue]) -> None:
        """Draw the words' vectors, then those of each domain in its turn; `buckets` is the number of hashed words."""
        super().__init__()
        self.dim = dim
        self.words = nn.Embedding(buckets, dim, sparse=True)
        nn.init.normal_(self.words.weight, std=INITIAL_DEVIATION)
        self.domains = nn.ModuleDict({name: DomainItems(known, dim) for name, known in catalogues.items()})

    def of(self, name: str) -> DomainItems:
        """The items of a domain."""
        domain = self.domains[name]
        assert isinstance(domain, DomainItems)
        return domain

    def own(self, name: str) -> nn.Embedding:
        """The own vectors of a domain's items, which must have some."""
        table = self.of(name).own
        assert table is not None
        return table

    def vectors(self, name: str, items: Tensor) -> Tensor:
        """X of the given items, not normalised: [len(items), D]."""
        domain = self.of(name)
        vectors = self.words.weight.new_zeros(len(items), self.dim) if domain.own is None else domain.own(items)
        if domain.has_text:
            starts = domain.token_starts[items]
            lengths = domain.token_starts[items + 1] - starts
            tokens = domain.tokens[_ranges(starts, lengths)]
            offsets = lengths.cumsum(0) - lengths
            vectors = vectors + functional.embedding_bag(tokens, self.words.weight, offsets, mode="mean", sparse=True)
        return vectors


def _ranges(starts: Tensor, lengths: Tensor) -> Tensor:
    """start, start + 1, ... of every (start, length), end to end."""
    ends = lengths.cumsum(0)
    shift = torch.repeat_interleave(starts - (ends - lengths), lengths)
    return torch.arange(len(shift), device=shift.device) + shift
