"""The space of items: own vectors, words and meanings, for histories that are read and for items that are ranked.

Shapes: I_d items of domain d, D dimensions, E dimensions of a pretrained encoder.

x is an item's own vector, plus the mean of the vectors of its words, where it has any, plus U e, where e [E] is what a
pretrained encoder says of its title and category; input and output vectors are the same. Words and U are shared by all
domains, so that items without any row still have a place in the space. Own vectors are
counted over all domains: a domain holds those that no domain before it has, and its items name theirs by number, so
that one item in two domains has one vector.
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

    from pipeline.views import IntArray

INITIAL_DEVIATION = 0.1

Vectors = Callable[[str, Tensor], Tensor]  # (domain, places of its items) -> their vectors [n, D], not normalised


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What is known of a domain's items.

    Args:
        counts: [I] how often each was taken; the prior of the scores.
        tokens: CSR [I, buckets] of their words, or None.
        meanings: [I, E] what a pretrained encoder says of each, zeros of one without a text, or None.
        rows: [I] the number of each item's own vector among those of all domains, -1 where it has none and is read by
            its words alone; None: each has one that no other domain shares.
    """

    counts: "NDArray[Any]"
    tokens: sparse.csr_matrix | None = None
    rows: "IntArray | None" = None
    meanings: "NDArray[np.float16] | None" = None


class DomainItems(nn.Module):
    """The items of one domain: the own vectors that begin with it, which ones its items have, and their words."""

    rows: Tensor
    tokens: Tensor
    token_starts: Tensor
    meanings: Tensor

    def __init__(self, rows: "IntArray", start: int, known: Catalogue, dim: int) -> None:
        """`rows` [I] are numbers of own vectors; those from `start` on are held here."""
        super().__init__()
        tokens, meanings = known.tokens, known.meanings
        self.start, self.fresh = start, np.flatnonzero(rows >= start)  # places whose own vectors are held here
        empty = np.zeros(0, dtype=np.int64)
        indices, indptr = (empty, empty) if tokens is None else (tokens.indices, tokens.indptr)
        self.register_buffer("rows", torch.from_numpy(rows), persistent=False)
        self.register_buffer("tokens", torch.from_numpy(indices.astype(np.int64)), persistent=False)
        self.register_buffer("token_starts", torch.from_numpy(indptr.astype(np.int64)), persistent=False)
        said = np.zeros((len(rows), 0), np.float16) if meanings is None else meanings
        self.register_buffer("meanings", torch.from_numpy(said), persistent=False)
        self.own = nn.Embedding(len(self.fresh), dim, sparse=True) if len(self.fresh) else None
        if self.own is not None:  # words already place an item: its own vector then starts as a small correction
            worded = np.diff(indptr)[self.fresh] > 0 if self.has_text else np.zeros(len(self.fresh), dtype=bool)
            deviations = np.where(worded, INITIAL_DEVIATION / 10, INITIAL_DEVIATION).astype(np.float32)
            with torch.no_grad():
                self.own.weight.normal_().mul_(torch.tensor(deviations)[:, None])

    @property
    def has_text(self) -> bool:
        """Whether the items have words."""
        return len(self.token_starts) > 0

    def lengths(self, items: Tensor) -> Tensor:
        """How many words each of some items has, where the domain has any: [len(items)]."""
        return self.token_starts[items + 1] - self.token_starts[items]


class ItemSpace(nn.Module):
    """The items of all domains in one space."""

    def __init__(self, dim: int, buckets: int, catalogues: Mapping[str, Catalogue], own_dropout: float = 0.0) -> None:
        """Draw the words' vectors, then those of each domain in its turn.

        Args:
            dim: D.
            buckets: The number of hashed words.
            catalogues: What is known of the items of each domain; their own vectors are numbered in this order.
            own_dropout: How often the own vector of an item with words is left out in training.
        """
        super().__init__()
        self.dim, self.own_dropout = dim, own_dropout
        self.words = nn.Embedding(buckets, dim, sparse=True)
        nn.init.normal_(self.words.weight, std=INITIAL_DEVIATION)
        long = max((known.meanings.shape[1] for known in catalogues.values() if known.meanings is not None), default=0)
        self.meanings = nn.Linear(long, dim, bias=False) if long else None
        if self.meanings is not None:  # vectors of length one then are about as long as those of words
            nn.init.normal_(self.meanings.weight, std=INITIAL_DEVIATION)
        self.domains = nn.ModuleDict()
        start = 0
        for name, known in catalogues.items():
            rows = np.arange(start, start + len(known.counts)) if known.rows is None else known.rows
            self.domains[name] = DomainItems(rows, start, known, dim)
            start += len(self.of(name).fresh)

    def of(self, name: str) -> DomainItems:
        """The items of a domain."""
        domain = self.domains[name]
        assert isinstance(domain, DomainItems)
        return domain

    def own(self, name: str) -> nn.Embedding:
        """The own vectors that begin with a domain, which must have some."""
        table = self.of(name).own
        assert table is not None
        return table

    def known(self, name: str) -> "NDArray[np.bool_]":
        """Which items [I] of a domain have an own vector or words: of the others nothing can be said."""
        domain = self.of(name)
        known = domain.rows >= 0
        if domain.has_text:
            known = known | (domain.token_starts.diff() > 0)
        found: NDArray[np.bool_] = known.cpu().numpy()
        return found

    def vectors(self, name: str, items: Tensor) -> Tensor:
        """X of the given items, not normalised: [len(items), D]."""
        domain = self.of(name)
        vectors = self._own_vectors(domain.rows[items])
        if domain.has_text:
            starts, lengths = domain.token_starts[items], domain.lengths(items)
            if self.training and self.own_dropout:
                kept = (torch.rand(len(items), device=items.device) >= self.own_dropout) | (lengths == 0)
                vectors = vectors * kept[:, None]
            tokens = domain.tokens[_ranges(starts, lengths)]
            offsets = lengths.cumsum(0) - lengths
            vectors = vectors + functional.embedding_bag(tokens, self.words.weight, offsets, mode="mean", sparse=True)
        if self.meanings is not None and domain.meanings.shape[1]:
            vectors = vectors + self.meanings(domain.meanings[items].to(vectors.dtype))
        return vectors

    def own_vectors(self, name: str, items: Tensor) -> Tensor:
        """The own vectors of some items of a domain, zero where one has none: [len(items), D]."""
        return self._own_vectors(self.of(name).rows[items])

    def _own_vectors(self, rows: Tensor) -> Tensor:
        """The own vectors of these numbers, zero for -1: [len(rows), D]."""
        vectors = self.words.weight.new_zeros(len(rows), self.dim)
        for domain in map(self.of, self.domains):
            if domain.own is None:
                continue
            here = ((rows >= domain.start) & (rows < domain.start + domain.own.num_embeddings)).nonzero()[:, 0]
            if len(here) == len(rows):
                every: Tensor = domain.own(rows - domain.start)
                return every
            if len(here):  # no two of them in one place, so that nothing has to be added, which is slower
                vectors = vectors.index_copy(0, here, domain.own(rows[here] - domain.start))
        return vectors


def _ranges(starts: Tensor, lengths: Tensor) -> Tensor:
    """start, start + 1, ... of every (start, length), end to end."""
    ends = lengths.cumsum(0)
    shift = torch.repeat_interleave(starts - (ends - lengths), lengths)
    return torch.arange(len(shift), device=shift.device) + shift
