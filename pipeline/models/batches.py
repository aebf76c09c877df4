"""Batches of labelled items and of histories, cut from tensors in memory.

Shapes: B rows in a batch, N negatives shared by the batch, U users of all domains.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config import Role
from pipeline.models.encoders.history import History, HistoryTable
from pipeline.models.heads import ItemLabels
from pipeline.models.seeds import seeded
from pipeline.models.sides import Side
from pipeline.past import Histories
from pipeline.views import PAST, FloatArray, View


@dataclass(frozen=True)
class Sampling:
    """How rows are cut into batches."""

    batch_size: int
    negatives: int  # of a batch, shared by its rows
    dropout: float  # share of each history's items that is hidden
    seed: int


class Draws:
    """Items that stand for all that a row did not take, drawn as often as they are taken."""

    def __init__(self, items: Tensor, catalogue: int, count: int) -> None:
        """`items` [N] are those taken; a batch gets `count` of all items of the catalogue."""
        counts = torch.bincount(items, minlength=catalogue).double() + 1.0
        self.count, self.chances = count, (counts / counts.sum()).cumsum(0)
        self.log_q = (counts / counts.sum()).log().float()

    def labels(self, positives: Tensor, generator: torch.Generator) -> ItemLabels:
        """What some rows took, and fresh negatives."""
        draws = torch.rand(self.count, generator=generator, dtype=torch.float64)
        negatives = torch.searchsorted(self.chances, draws).clamp(max=len(self.chances) - 1)
        return ItemLabels(positives, negatives, self.log_q)


class RankingRows:
    """The labelled rows of one domain, cut into batches that depend on (seed, epoch, step) alone."""

    def __init__(self, view: View, role: Role, reads: Collection[str], sampling: Sampling) -> None:
        """`reads` names the domains whose histories the model reads."""
        histories, label = view.fields[PAST].taken, view.label
        self.domain, self.role, self.sampling = view.domain, role, sampling
        self.tables = {name: HistoryTable(histories[name]) for name in reads}
        self.users, self.items = torch.tensor(view.units), torch.tensor(label.value)
        self.weights = torch.from_numpy(relative(view.weights))
        self.draws = Draws(self.items, len(label.catalogue), sampling.negatives)
        self._order = lru_cache(maxsize=1)(self._shuffled)

    @property
    def steps(self) -> int:
        """Batches in an epoch; the last may be smaller."""
        return max(1, -(-len(self.users) // self.sampling.batch_size))

    def batch(self, epoch: int, step: int) -> Side:
        """The side of a step: its rows, fresh negatives, and histories without the row's own item and some others."""
        generator = seeded(self.sampling.seed, epoch, step)
        rows = self._order(epoch + step // self.steps)[self._slice(step)]
        users, positives = self.users[rows], self.items[rows]
        inputs = {name: self._hidden(name, users, positives, generator) for name in self.tables}
        labels = self.draws.labels(positives, generator)
        return Side(self.domain, self.role, inputs, labels, self.weights[rows])

    def _slice(self, step: int) -> slice:
        size = self.sampling.batch_size
        start = (step % self.steps) * size
        return slice(start, start + size)

    def _shuffled(self, epoch: int) -> Tensor:
        return torch.randperm(len(self.users), generator=seeded(self.sampling.seed, epoch, -1))

    def _hidden(self, name: str, users: Tensor, positives: Tensor, generator: torch.Generator) -> History:
        history = self.tables[name].of(users)
        visible = torch.rand(len(history.items), generator=generator) >= self.sampling.dropout
        if name == self.domain:
            lengths = torch.diff(history.offsets, append=torch.tensor([len(history.items)]))
            visible &= history.items != torch.repeat_interleave(positives, lengths)
        before = torch.cat([torch.zeros(1, dtype=torch.int64), visible.cumsum(0)])
        kept = visible.nonzero()[:, 0]
        return History(history.items[kept], before[history.offsets], history.weights[kept])


def relative(weights: FloatArray) -> NDArray[np.float32]:
    """Weights [N] of mean one: their scale must not decide how a loss stands to a penalty beside it."""
    return (weights / weights.mean()).astype(np.float32) if len(weights) else weights.astype(np.float32)


class InputRows:
    """Unlabelled inputs: users of the target, seen through the histories that the model can read."""

    def __init__(self, domain: str, users: Tensor, histories: Histories, batch_size: int, seed: int) -> None:
        self.domain, self.users, self.batch_size, self.seed = domain, users, batch_size, seed
        self.tables = {name: HistoryTable(matrix) for name, matrix in histories.items()}

    def batch(self, epoch: int, step: int) -> Side:
        """Some of the users, drawn with replacement."""
        draws = torch.randint(len(self.users), (self.batch_size,), generator=seeded(self.seed, epoch, step))
        inputs = {name: table.of(self.users[draws]) for name, table in self.tables.items()}
        return Side(self.domain, "inputs", inputs, None, torch.ones(self.batch_size))
