"""What users did, one event after the other, in all domains that a model reads, as tensors that are cut into batches.

Shapes: U users, S sequences of a batch, T events of all sequences end to end, R features that are asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from pipeline.past import Histories, Past


@dataclass(frozen=True, eq=False)
class Events:
    """Sequences of a batch, end to end: nothing is padded.

    Args:
        names: The domains that events are of.
        domains: [T] int64, places among these names.
        items: [T] int64, places in the domain's catalogue.
        starts: [S + 1] int64, where each sequence begins, and where the last one ends.
        asked: [R] int64, the event after which a feature is asked for; T where there is none.
    """

    names: tuple[str, ...]
    domains: Tensor
    items: Tensor
    starts: Tensor
    asked: Tensor

    def to(self, device: torch.device) -> "Events":
        """The same on another device."""
        parts = (one.to(device) for one in (self.domains, self.items, self.starts, self.asked))
        return Events(self.names, *parts)

    def asking(self, asked: Tensor) -> "Events":
        """The same, with features asked for after other events."""
        return replace(self, asked=asked)


@dataclass(frozen=True, eq=False)
class EventTable:
    """All events of all users, as `Timeline` has them."""

    names: tuple[str, ...]
    domains: Tensor  # [T] int64
    items: Tensor  # [T] int64
    weights: Tensor  # [T] float32, what each counts
    starts: Tensor  # [U + 1] int64

    @classmethod
    def of(cls, histories: Histories, names: Sequence[str]) -> Self:
        """The events in these domains; one that is absent counts as empty."""
        line = Past.over(histories).in_order(names)
        parts = (
            torch.from_numpy(one) for one in (line.domains, line.items, line.weights.astype(np.float32), line.starts)
        )
        return cls(tuple(names), *parts)

    def last(self, length: int, users: Tensor | None = None) -> Events:
        """The last events of some users, or of all, with one feature asked for after the last of them."""
        ends = self.starts[1:] if users is None else self.starts[users + 1]
        begins = torch.maximum(self.starts[:-1] if users is None else self.starts[users], ends - length)
        events = self.cut(begins, ends)
        asked = torch.where(events.starts.diff() > 0, events.starts[1:] - 1, len(events.items))
        return events.asking(asked)

    def cut(self, begins: Tensor, ends: Tensor) -> Events:
        """Sequences from one event to before another one [S], nothing asked for."""
        lengths = ends - begins
        starts = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        entries = torch.arange(int(starts[-1])) + torch.repeat_interleave(begins - starts[:-1], lengths)
        return Events(self.names, self.domains[entries], self.items[entries], starts, entries.new_empty(0))
