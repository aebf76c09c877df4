"""A user as the sum of the vectors of what the user did, in all domains.

Shapes: B users in a batch, D dimensions, I_d items of domain d, T entries of all histories of a batch.

    u   = normalise( sum_d exp(g_d) * sum_{j in history_d} w_j x_j / sqrt(sum_j w_j) )
    s_i = u . normalise(x_i) / temperature + ln(1 + count_i)

x is an item's own vector plus the mean of the vectors of its words, where it has any; input and output vectors are the
same. Words are shared by all domains, so that items without any row still have a place in the space.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

from pipeline.config import HistoryModel as HistoryConfig
from pipeline.models.ranker import Arrays
from pipeline.models.vectors import VectorRanker

if TYPE_CHECKING:
    from numpy.typing import NDArray

INITIAL_DEVIATION = 0.1


@dataclass(frozen=True)
class History:
    """Part of the histories of a batch: one domain's items of each user, end to end."""

    items: Tensor  # [T] int64
    offsets: Tensor  # [B] int64, where each user's items begin
    weights: Tensor  # [T] float32, 0 hides an item

    def to(self, device: torch.device) -> "History":
        """The same on another device."""
        return History(self.items.to(device), self.offsets.to(device), self.weights.to(device))


class DomainItems(nn.Module):
    """The items of one domain: their own vectors, their words, and how often they were taken."""

    counts: Tensor
    tokens: Tensor
    token_starts: Tensor

    def __init__(self, counts: "NDArray[Any]", tokens: sparse.csr_matrix | None, dim: int, *, own: bool) -> None:
        super().__init__()
        self.own = nn.Embedding(len(counts), dim, sparse=True) if own else None
        if self.own is not None:  # words already place an item: its own vector then starts as a small correction
            nn.init.normal_(self.own.weight, std=INITIAL_DEVIATION if tokens is None else INITIAL_DEVIATION / 10)
        empty = np.zeros(0, dtype=np.int64)
        indices, indptr = (empty, empty) if tokens is None else (tokens.indices, tokens.indptr)
        # Never carried over with the weights: which rows a model may count is for its own maker to say.
        self.register_buffer("counts", torch.from_numpy(np.asarray(counts, dtype=np.float32)), persistent=False)
        self.register_buffer("tokens", torch.from_numpy(indices.astype(np.int64)), persistent=False)
        self.register_buffer("token_starts", torch.from_numpy(indptr.astype(np.int64)), persistent=False)

    @property
    def has_text(self) -> bool:
        """Whether the items have words."""
        return len(self.token_starts) > 0


class HistoryModel(nn.Module):
    """Encodes histories of items and holds the items' vectors; domains are added as they become known."""

    def __init__(self, config: HistoryConfig, target: str) -> None:
        """`target` is the domain that is served in the end."""
        super().__init__()
        self.config, self.target = config, target
        self.words = nn.Embedding(config.text_buckets, config.dim, sparse=True)
        nn.init.normal_(self.words.weight, std=INITIAL_DEVIATION)
        self.domains = nn.ModuleDict()
        self.gates = nn.ParameterDict()

    def add_domain(
        self, name: str, counts: "NDArray[Any]", tokens: sparse.csr_matrix | None, *, own: bool = True
    ) -> None:
        """Make room for a domain's items.

        Args:
            name: The domain.
            counts: [I] how often each item was taken; the prior of the scores.
            tokens: CSR [I, buckets] of the items' words, or None.
            own: Whether items get vectors of their own; without, they are read by their words alone.
        """
        self.domains[name] = DomainItems(counts, tokens, self.config.dim, own=own)
        self.gates[name] = nn.Parameter(torch.zeros(()))

    def items(self, name: str) -> DomainItems:
        """The items of a domain."""
        domain = self.domains[name]
        assert isinstance(domain, DomainItems)
        return domain

    def own_parameters(self) -> list[Tensor]:
        """What is the target's alone: the vectors of its items, and the weight of each domain's history."""
        table = self.items(self.target).own
        assert table is not None
        return [table.weight, *self.gates.parameters()]

    def item_vectors(self, name: str, items: Tensor) -> Tensor:
        """X of the given items, not normalised: [len(items), D]."""
        domain = self.items(name)
        vectors = self.words.weight.new_zeros(len(items), self.config.dim) if domain.own is None else domain.own(items)
        if domain.has_text:
            starts = domain.token_starts[items]
            lengths = domain.token_starts[items + 1] - starts
            tokens = domain.tokens[_ranges(starts, lengths)]
            offsets = lengths.cumsum(0) - lengths
            vectors = vectors + functional.embedding_bag(tokens, self.words.weight, offsets, mode="mean", sparse=True)
        return vectors

    def encode(self, inputs: Mapping[str, History]) -> Tensor:
        """The users' features u: [B, D] of length one (zero where a history is empty)."""
        total = self.words.weight.new_zeros(())
        for name, history in inputs.items():
            distinct, place = torch.unique(history.items, return_inverse=True)
            users = len(history.offsets)
            bags = functional.embedding_bag(
                place,
                self.item_vectors(name, distinct),
                history.offsets,
                mode="sum",
                per_sample_weights=history.weights,
            )
            entries = torch.arange(len(place), device=place.device)
            owner = torch.bucketize(entries, history.offsets, right=True) - 1
            mass = history.weights.new_zeros(users).index_add_(0, owner, history.weights)
            total = total + self.gates[name].exp() * bags / mass.clamp(min=1.0).sqrt()[:, None]
        return functional.normalize(total, dim=-1)

    def ranker(
        self, target: str, names: tuple[str, ...], *, counts: "NDArray[Any] | None" = None, prior_weight: float = 1.0
    ) -> VectorRanker:
        """What serves: plain arrays, no torch.

        Args:
            target: The domain whose items are ranked.
            names: The domains whose histories are read.
            counts: [I_target] how often each item was taken, for the prior; without, as the model was told.
            prior_weight: Times the prior. Training has it at 1; with few rows vectors say less than they seem to.
        """
        with torch.no_grad():
            every = {
                name: torch.arange(len(self.items(name).counts), device=self.words.weight.device) for name in names
            }
            inputs = {name: self.item_vectors(name, items) for name, items in every.items()}
            arrays: Arrays = {f"inputs/{name}": table.numpy(force=True).copy() for name, table in inputs.items()}
            known = self.items(target).counts if counts is None else torch.from_numpy(counts).float()
            arrays["prior"] = (prior_weight * known.log1p()).numpy(force=True).copy()
            gates = {name: float(self.gates[name].exp()) for name in names}
        settings = {"target": target, "temperature": self.config.temperature, "gates": gates}
        return VectorRanker.from_state(settings, arrays)

    def shared_state(self) -> dict[str, Tensor]:
        """All weights by name, for safetensors."""
        return {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}

    def load_known(self, state: dict[str, Tensor]) -> Self:
        """Take the weights of the domains that this model and the state have in common."""
        own = self.state_dict()
        self.load_state_dict({**own, **{name: value for name, value in state.items() if name in own}})
        return self


def _ranges(starts: Tensor, lengths: Tensor) -> Tensor:
    """start, start + 1, ... of every (start, length), end to end."""
    ends = lengths.cumsum(0)
    shift = torch.repeat_interleave(starts - (ends - lengths), lengths)
    return torch.arange(len(shift), device=shift.device) + shift
