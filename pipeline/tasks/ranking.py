"""The ranking task: batches cut from tensors in memory, and sampled softmax with shared negatives.

Shapes: B rows in a batch, N negatives shared by the batch, D dimensions, U users of all domains.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from pipeline.config import Role
from pipeline.models.history import History
from pipeline.models.sides import Outputs, Side

if TYPE_CHECKING:
    from pipeline.models.history import HistoryModel


@dataclass(frozen=True)
class ItemLabels:
    """Which item each row took, and the items that stand for all that it did not take."""

    positives: Tensor  # [B] items of the side's domain
    negatives: Tensor  # [N]
    log_q: Tensor  # [I] ln of the chance that a draw gives the item

    def to(self, device: torch.device) -> "ItemLabels":
        """The same on another device."""
        return ItemLabels(self.positives.to(device), self.negatives.to(device), self.log_q.to(device))


def sampled_softmax(
    logits: Tensor, negative_logits: Tensor, positives: Tensor, negatives: Tensor, log_q: Tensor
) -> Tensor:
    """Loss [B] of each row: -ln softmax of the positive among itself and the negatives, with logQ correction.

    loss_b = -(s_b - ln q_b) + ln( exp(s_b - ln q_b) + sum_n [n != b] exp(s_bn - ln q_n) )

    (Bengio and Senecal, 2008; Yi et al., 2019.) A negative that is the row's own positive does not count.

    Args:
        logits: [B] scores of the positives.
        negative_logits: [B, N].
        positives: [B] item ids.
        negatives: [N] item ids.
        log_q: [I] ln of each item's chance in one draw.
    """
    positive_B = logits - log_q[positives]
    negative_BN = negative_logits - log_q[negatives]
    rows, columns = _equal_pairs(positives, negatives)
    negative_BN[rows, columns] = -torch.inf
    return torch.logaddexp(torch.logsumexp(negative_BN, dim=1), positive_B) - positive_B


def _equal_pairs(positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
    """All (b, n) with positives[b] == negatives[n]: few, so that comparing all pairs would cost more than the loss."""
    order = negatives.argsort(stable=True)
    ordered = negatives[order]
    first, last = torch.searchsorted(ordered, positives), torch.searchsorted(ordered, positives, right=True)
    lengths = last - first
    rows = torch.repeat_interleave(torch.arange(len(positives), device=positives.device), lengths)
    offsets = lengths.cumsum(0) - lengths
    entries = torch.arange(len(rows), device=rows.device)
    return rows, order[entries + torch.repeat_interleave(first - offsets, lengths)]


def ranking_loss(model: "HistoryModel", output: Outputs) -> Tensor:
    """Loss [B] of each row; the prior ln(1 + count) is part of the score, as it is when the model serves."""
    labels, domain = output.side.labels, output.side.domain
    assert isinstance(labels, ItemLabels)
    prior = model.items(domain).counts.log1p()
    count = len(labels.positives)
    both = torch.cat([labels.positives, labels.negatives])
    distinct, place = torch.unique(both, return_inverse=True)
    vectors = torch.nn.functional.normalize(model.item_vectors(domain, distinct), dim=-1)
    scaled = output.features_BD / model.config.temperature
    gathered = vectors.index_select(0, place)  # its gradient is summed much faster than that of an index
    taken, drawn = gathered[:count], gathered[count:]
    positive = (scaled * taken).sum(dim=1) + prior[labels.positives]
    negative = torch.addmm(prior[labels.negatives][None, :], scaled, drawn.T)
    return sampled_softmax(positive, negative, labels.positives, labels.negatives, labels.log_q)


class HistoryTable:
    """Who took what in one domain, ready to be cut into batches."""

    def __init__(self, matrix: sparse.csr_matrix) -> None:
        self.starts = torch.from_numpy(matrix.indptr.astype(np.int64))
        self.items = torch.from_numpy(matrix.indices.astype(np.int64))

    def of(self, users: Tensor) -> History:
        """The histories of some users, all items visible."""
        starts = self.starts[users]
        lengths = self.starts[users + 1] - starts
        offsets = lengths.cumsum(0) - lengths
        total = int(lengths.sum())
        flat = torch.arange(total) + torch.repeat_interleave(starts - offsets, lengths)
        return History(self.items[flat], offsets, torch.ones(total))


@dataclass(frozen=True)
class Sampling:
    """How rows are cut into batches."""

    batch_size: int
    negatives: int  # of a batch, shared by its rows
    dropout: float  # share of each history's items that is hidden
    seed: int


class RankingRows:
    """The labelled rows of one domain, cut into batches that depend on (seed, epoch, step) alone."""

    def __init__(self, domain: str, role: Role, histories: dict[str, sparse.csr_matrix], sampling: Sampling) -> None:
        """`histories` are those that the model reads; rows are those of `domain`, which must be among them."""
        labelled = histories[domain].tocoo()
        self.domain, self.role, self.sampling = domain, role, sampling
        self.tables = {name: HistoryTable(matrix) for name, matrix in histories.items()}
        self.users = torch.from_numpy(labelled.row.astype(np.int64))
        self.items = torch.from_numpy(labelled.col.astype(np.int64))
        counts = torch.bincount(self.items, minlength=labelled.shape[1]).double() + 1.0
        self.chances = (counts / counts.sum()).cumsum(0)
        self.log_q = (counts / counts.sum()).log().float()
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
        draws = torch.rand(self.sampling.negatives, generator=generator, dtype=torch.float64)
        negatives = torch.searchsorted(self.chances, draws).clamp(max=len(self.chances) - 1)
        labels = ItemLabels(positives, negatives, self.log_q)
        return Side(self.domain, self.role, inputs, labels, torch.ones(len(positives)))

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
        return History(history.items, history.offsets, visible.float())


class InputRows:
    """Unlabelled inputs: users of the target, seen through the histories that the model can read."""

    def __init__(
        self, domain: str, users: Tensor, histories: dict[str, sparse.csr_matrix], batch_size: int, seed: int
    ) -> None:
        self.domain, self.users, self.batch_size, self.seed = domain, users, batch_size, seed
        self.tables = {name: HistoryTable(matrix) for name, matrix in histories.items()}

    def batch(self, epoch: int, step: int) -> Side:
        """Some of the users, drawn with replacement."""
        draws = torch.randint(len(self.users), (self.batch_size,), generator=seeded(self.seed, epoch, step))
        inputs = {name: table.of(self.users[draws]) for name, table in self.tables.items()}
        return Side(self.domain, "inputs", inputs, None, torch.ones(self.batch_size))


def seeded(seed: int, epoch: int, step: int) -> torch.Generator:
    """A generator whose state depends on these three numbers alone, so that a resumed training repeats itself."""
    mixed = np.random.SeedSequence([seed, epoch, step + 1]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(mixed >> np.uint64(1)))
