"""Batches of examples, cut from tensors in memory."""

from collections.abc import Iterator, Mapping
from functools import lru_cache

import torch
from torch import Tensor

from pipeline.config import Role
from pipeline.models.label_heads import SeveralLabels
from pipeline.models.ragged import Ragged
from pipeline.models.seeds import seeded
from pipeline.models.sides import Side

_FEWEST = 2  # rows of a batch: of one there is no covariance
_SMALL = 16  # rows; no batch is made smaller than this for more steps
_STEPS = 16
_PART = 8192  # rows


class ExampleRows:
    """Rows of one domain, cut into batches that depend on (seed, epoch, step) alone; an epoch goes once over them.

    Batches are smaller than they may be where an epoch has fewer than 16 steps, but for that alone not below 16 rows:
    with larger ones a hundred rows gave so few steps that a network from random weights learnt nothing of them.
    """

    def __init__(
        self,
        domain: str,
        role: Role,
        inputs: Mapping[str, Tensor | Ragged],
        labels: Tensor | SeveralLabels | None,
        size: int,
        seed: int,
    ) -> None:
        """`size` is that of a batch; batches of an epoch are equally large, and none is smaller."""
        self.domain, self.role, self.inputs, self.labels, self.seed = domain, role, inputs, labels, seed
        self.count = len(next(iter(inputs.values())))
        self.own_steps = max(1, self.count // max(_FEWEST, min(size, max(_SMALL, self.count // _STEPS))))
        self.size, self.weights = size, torch.ones(self.count)  # what each row counts
        self.steps = self.own_steps  # of an epoch; more where another domain takes longer, and then it begins again
        self._order = lru_cache(maxsize=1)(self._shuffled)

    def batch(self, epoch: int, step: int) -> Side:
        """The side of a step: every row once before any comes again."""
        turn, place = divmod(epoch * self.steps + step, self.own_steps)
        order = self._order(turn)
        rows = order[place * len(order) // self.own_steps : (place + 1) * len(order) // self.own_steps]
        inputs = {name: tensor[rows] for name, tensor in self.inputs.items()}
        return Side(
            self.domain, self.role, inputs, None if self.labels is None else self.labels[rows], self.weights[rows]
        )

    def whole(self) -> Iterator[Side]:
        """All rows in their order, in parts that fit into memory."""
        for first in range(0, self.count, _PART):
            rows = torch.arange(first, min(first + _PART, self.count))
            inputs = {name: tensor[rows] for name, tensor in self.inputs.items()}
            labels = None if self.labels is None else self.labels[rows]
            yield Side(self.domain, self.role, inputs, labels, self.weights[rows])

    def chosen(self, rows: Tensor, labels: Tensor | SeveralLabels | None, weights: Tensor) -> "ExampleRows":
        """Some of the rows with labels and weights [len(rows)] in the place of their own; an epoch is as long."""
        inputs = {name: tensor[rows] for name, tensor in self.inputs.items()}
        made = ExampleRows(self.domain, self.role, inputs, labels, self.size, self.seed)
        made.weights, made.steps = weights, self.steps
        return made

    def _shuffled(self, turn: int) -> Tensor:
        order = torch.randperm(self.count, generator=seeded(self.seed, turn, -1))
        return order if self.count >= _FEWEST else order.repeat(_FEWEST)
