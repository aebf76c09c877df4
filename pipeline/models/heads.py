"""What predicts from features, and its loss: one value a row.

Shapes: B rows of a side, N negatives shared by the side, D dimensions, I_d items of domain d.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.models.gathering import distinct
from pipeline.models.items import Vectors
from pipeline.models.network import Head
from pipeline.models.sides import Outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ItemLabels:
    """Which item each row took, and the items that stand for all that it did not take."""

    positives: Tensor  # [B] items of the side's domain
    negatives: Tensor  # [N]
    log_q: Tensor  # [I] ln of the chance that a draw gives the item

    def to(self, device: torch.device) -> "ItemLabels":
        """The same on another device."""
        return ItemLabels(self.positives.to(device), self.negatives.to(device), self.log_q.to(device))


class ItemsHead(Head):
    """Ranks the items of a domain by cosine and prior.

    s_i = u . normalise(x_i) / (sqrt(D) temperature) + w ln(1 + count_i)

    u are features with mean square one, so that u / sqrt(D) has length one; w is 1 in training.
    """

    def __init__(self, vectors: Vectors, temperature: float, counts: "Mapping[str, NDArray[Any]]") -> None:
        """`vectors` looks items up in the space that the encoder reads by; `counts` [I_d]: how often each was taken."""
        super().__init__()
        self.vectors, self.temperature, self.prior_weight = vectors, temperature, 1.0
        for name, taken in counts.items():
            # Never carried over with the weights: which rows a model may count is for its own maker to say.
            self.register_buffer(f"counts_{name}", torch.from_numpy(np.asarray(taken, np.float32)), persistent=False)

    def counts(self, name: str) -> Tensor:
        """How often each item of a domain was taken: [I]."""
        return self.get_buffer(f"counts_{name}")

    def weigh(self, name: str, prior_weight: float, counts: "NDArray[Any] | None") -> None:
        """Let the prior count so much, and come from other counts [I] of a domain's items where some are given."""
        self.prior_weight = prior_weight
        if counts is not None:
            self.counts(name).copy_(torch.from_numpy(counts))

    def prior(self, name: str) -> Tensor:
        """What is added to the scores of a domain's items: [I]."""
        return self.prior_weight * self.counts(name).log1p()

    def directions(self, name: str, items: Tensor) -> Tensor:
        """The vectors of some items of a domain, of length one: [len(items), D]."""
        return functional.normalize(self.vectors(name, items), dim=-1)

    def scorer(self, domain: str) -> Callable[[Tensor], Tensor]:
        """From features to scores of all items of a domain."""
        prior = self.prior(domain)
        outputs_DI = self.directions(domain, torch.arange(len(prior), device=prior.device)).T.contiguous()

        def score(features_BD: Tensor) -> Tensor:
            return torch.addmm(prior, self._scaled(features_BD), outputs_DI)

        return score

    def losses(self, output: Outputs) -> Tensor:
        """Sampled softmax of each row; the prior is part of the score, as it is when the model serves."""
        labels, domain = output.side.labels, output.side.domain
        assert isinstance(labels, ItemLabels)
        prior = self.prior(domain)
        count = len(labels.positives)
        both = torch.cat([labels.positives, labels.negatives])
        items, place = distinct(both)
        vectors = self.directions(domain, items)
        scaled = self._scaled(output.features_BD)
        gathered = vectors.index_select(0, place)  # its gradient is summed much faster than that of an index
        taken, drawn = gathered[:count], gathered[count:]
        positive = (scaled * taken).sum(dim=1) + prior[labels.positives]
        negative = torch.addmm(prior[labels.negatives][None, :], scaled, drawn.T)
        return sampled_softmax(positive, negative, labels.positives, labels.negatives, labels.log_q)

    def _scaled(self, features_BD: Tensor) -> Tensor:
        length: float = features_BD.shape[1] ** 0.5
        return features_BD / (length * self.temperature)


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
