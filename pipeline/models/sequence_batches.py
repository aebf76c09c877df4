"""Batches of sequences whose every event of one domain is predicted from what came before it.

Shapes: P pieces of sequences, T events of all of them end to end, R events that are predicted.
"""

from collections.abc import Collection
from functools import lru_cache

import torch
from torch import Tensor

from pipeline.config import Role
from pipeline.models.batches import Draws, Sampling, relative
from pipeline.models.encoders.sequence import EVENTS
from pipeline.models.events import Events, EventTable
from pipeline.models.seeds import seeded
from pipeline.models.sides import Side
from pipeline.past import Histories
from pipeline.views import PAST, View


class SequenceRows:
    """The labelled rows of one domain where they stand in their users' sequences; batches hang on seed and step alone.

    A sequence that is longer than the model reads is cut into pieces, each read on its own, so that no event is lost.
    What nothing came before is not predicted. A batch has about as many predicted events as the batch size says.
    """

    def __init__(self, view: View, role: Role, reads: Collection[str], sampling: Sampling, length: int) -> None:
        """`reads` names the domains whose events the model reads, `length` says how many of them."""
        names = list(dict.fromkeys((*reads, view.domain)))
        self.domain, self.role, self.sampling = view.domain, role, sampling
        self.table = EventTable.of(view.fields[PAST], names)
        self.code = names.index(view.domain)
        self.draws = Draws(torch.tensor(view.label.value), len(view.label.catalogue), sampling.negatives)
        self.begins, self.ends = _pieces(self.table.starts, length)
        first = torch.zeros(len(self.table.items), dtype=torch.bool)
        first[self.begins] = True
        self.predicted = (self.table.domains == self.code) & ~first
        self.weights = torch.ones(len(first))
        self.weights[self.predicted] = torch.from_numpy(relative(self.table.weights[self.predicted].double().numpy()))
        counts = torch.cat([torch.zeros(1, dtype=torch.int64), self.predicted.cumsum(0)])
        counts = counts[self.ends] - counts[self.begins]
        self.begins, self.ends, self.counts = (one[counts > 0] for one in (self.begins, self.ends, counts))
        self.size = max(sampling.batch_size, length)  # a piece never spans more than two batches
        self._order = lru_cache(maxsize=1)(self._shuffled)

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return max(1, int(self.counts.sum()) // self.size)

    def batch(self, epoch: int, step: int) -> Side:
        """The side of a step: some of the pieces, and fresh negatives."""
        order, first = self._order(epoch + step // self.steps)
        step = step % self.steps
        pieces = order[first[step] : first[step + 1]]
        begins, ends = self.begins[pieces], self.ends[pieces]
        generator = seeded(self.sampling.seed, epoch, step)
        events, place, before = self._shown(begins, ends, generator)
        chosen = torch.nonzero(self.predicted[place]).squeeze(1)
        labels = self.draws.labels(self.table.items[place[chosen]], generator)
        inputs = {EVENTS: events.asking(before[chosen] - 1, self.table.times[place[chosen]])}
        return Side(self.domain, self.role, inputs, labels, self.weights[place[chosen]])

    def _shown(self, begins: Tensor, ends: Tensor, generator: torch.Generator) -> tuple[Events, Tensor, Tensor]:
        """Pieces without some events, each event's place in the table, and how many are shown before it: [T] both.

        What is left out is predicted all the same, and the first event of a piece is always shown.
        """
        events = self.table.cut(begins, ends)
        place = torch.arange(len(events.items)) + torch.repeat_interleave(begins - events.starts[:-1], ends - begins)
        shown = torch.rand(len(place), generator=generator) >= self.sampling.dropout
        shown[events.starts[:-1]] = True
        before = torch.cat([torch.zeros(1, dtype=torch.int64), shown.cumsum(0)])
        told = (events.domains[shown], events.items[shown], events.times[shown], events.kinds[shown])
        seen = Events(events.names, *told, before[events.starts], events.asked, events.asked_at)
        return seen, place, before[:-1]

    def _shuffled(self, epoch: int) -> tuple[Tensor, Tensor]:
        """The pieces in an order of their own, and where among them each batch begins [steps + 1]."""
        order = torch.randperm(len(self.counts), generator=seeded(self.sampling.seed, epoch, -1))
        before = self.counts[order].cumsum(0) - self.counts[order]
        total = max(int(self.counts.sum()), 1)
        return order, torch.searchsorted(before * self.steps // total, torch.arange(self.steps + 1))


class SequenceInputs:
    """Unlabelled inputs: users of the target, seen through the last events that the model can read."""

    def __init__(self, domain: str, users: Tensor, histories: Histories, sampling: Sampling, length: int) -> None:
        self.domain, self.users, self.sampling, self.length = domain, users, sampling, length
        self.table = EventTable.of(histories, list(histories))

    def batch(self, epoch: int, step: int) -> Side:
        """Some of the users, drawn with replacement."""
        size, seed = self.sampling.batch_size, self.sampling.seed
        draws = torch.randint(len(self.users), (size,), generator=seeded(seed, epoch, step))
        inputs = {EVENTS: self.table.last(self.length, self.users[draws])}
        return Side(self.domain, "inputs", inputs, None, torch.ones(size))


def _pieces(starts: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Where pieces of at most `length` events begin and end, each within one sequence."""
    lengths = starts.diff()
    counts = -(-lengths // length)
    first = torch.repeat_interleave(counts.cumsum(0) - counts, counts)
    begins = torch.repeat_interleave(starts[:-1], counts) + length * (torch.arange(len(first)) - first)
    return begins, torch.minimum(begins + length, torch.repeat_interleave(starts[1:], counts))
