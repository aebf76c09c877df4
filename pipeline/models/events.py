"""What users did, one event after the other, in all domains that a model reads, as tensors that are cut into batches.

Shapes: U users, S sequences of a batch, T events of all sequences end to end, R features that are asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
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
        times: [T] float64, in seconds; NaN where that is not known.
        kinds: [T] int64, codes of the kinds of event, 0 where that is not known.
        starts: [S + 1] int64, where each sequence begins, and where the last one ends.
        asked: [R] int64, the event after which a feature is asked for; T where there is none.
        asked_at: [R] float64, when it is asked for, in seconds; NaN where that is not known.
    """

    names: tuple[str, ...]
    domains: Tensor
    items: Tensor
    times: Tensor
    kinds: Tensor
    starts: Tensor
    asked: Tensor
    asked_at: Tensor

    def to(self, device: torch.device) -> "Events":
        """The same on another device."""
        every = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "names"}
        return Events(self.names, **{name: tensor.to(device) for name, tensor in every.items()})

    def asking(self, asked: Tensor, at: Tensor) -> "Events":
        """The same, with features asked for after other events, at some time."""
        return replace(self, asked=asked, asked_at=at)

    def since(self) -> Tensor:
        """Seconds from the event before in the same sequence to each: [T]; NaN where either time is not known."""
        gaps = self.times.diff(prepend=self.times.new_full((1,), torch.nan))
        first = self.starts[:-1][self.starts.diff() > 0]
        return gaps.index_fill(0, first, torch.nan)

    def until(self) -> Tensor:
        """Seconds from the event to when its feature is asked for: [R]; NaN where either time is not known."""
        times = torch.cat([self.times, self.times.new_full((1,), torch.nan)])
        return self.asked_at - times[self.asked]


@dataclass(frozen=True, eq=False)
class EventTable:
    """All events of all users, as `Timeline` has them."""

    names: tuple[str, ...]
    domains: Tensor  # [T] int64
    items: Tensor  # [T] int64
    weights: Tensor  # [T] float32, what each counts
    times: Tensor  # [T] float64, NaN where it is not known
    kinds: Tensor  # [T] int64, 0 where it is not known
    starts: Tensor  # [U + 1] int64
    asked_at: Tensor  # [U] float64, NaN where it is not known

    @classmethod
    def of(cls, histories: Histories, names: Sequence[str]) -> Self:
        """The events in these domains; one that is absent counts as empty."""
        past = Past.over(histories)
        line = past.in_order(names)
        weights = line.weights.astype(np.float32)
        asked_at = np.full(len(line.starts) - 1, np.nan) if past.asked is None else past.asked
        parts = (line.domains, line.items, weights, line.times, line.kinds, line.starts, asked_at)
        return cls(tuple(names), *map(torch.from_numpy, parts))

    def last(self, length: int, users: Tensor | None = None) -> Events:
        """The last events of some users, or of all, with one feature asked for after the last of them."""
        ends = self.starts[1:] if users is None else self.starts[users + 1]
        begins = torch.maximum(self.starts[:-1] if users is None else self.starts[users], ends - length)
        events = self.cut(begins, ends)
        asked = torch.where(events.starts.diff() > 0, events.starts[1:] - 1, len(events.items))
        return events.asking(asked, self.asked_at if users is None else self.asked_at[users])

    def cut(self, begins: Tensor, ends: Tensor) -> Events:
        """Sequences from one event to before another one [S], nothing asked for."""
        lengths = ends - begins
        starts = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        entries = torch.arange(int(starts[-1])) + torch.repeat_interleave(begins - starts[:-1], lengths)
        told = (self.domains[entries], self.items[entries], self.times[entries], self.kinds[entries])
        return Events(self.names, *told, starts, entries.new_empty(0), self.times.new_empty(0))
