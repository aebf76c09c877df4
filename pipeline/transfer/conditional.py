"""Domain-adversarial features together with what is told of them.

Shapes: S source rows, T rows of target inputs, D feature dimensions, K classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.models.label_heads import ClassHead
from pipeline.models.network import Network
from pipeline.models.sides import Outputs
from pipeline.transfer.distances import DomainClassifier
from pipeline.transfer.method import Method, State, features_of


class Conditional(Method):
    """A domain classifier that looks at features times probabilities, sure rows first: CDAN+E.

    -(1/2) (mean_s w_s ln p(source | f_s x g_s) + mean_t w_t ln p(target | f_t x g_t)), g = softmax of the head without
    gradient, w = 1 + exp(-entropy of g), of mean one in each domain (Long et al., "Conditional Adversarial Domain
    Adaptation", 2018, equations 8 and 9). The gradient reaches the features reversed.
    """

    def __init__(self, dim: int, weight: float, source: float = 1.0, target: float = 0.0) -> None:
        super().__init__(source, target)
        self.dim, self.weight = dim, weight

    def initialise(self, network: Network, start: State | None) -> None:
        """Take the start, and draw the classifier, which is as wide as there are classes."""
        super().initialise(network, start)
        assert isinstance(network.head, ClassHead)
        self.classifier = DomainClassifier(self.dim * len(network.head.classes))

    def penalty(self, network: Network, seen: Sequence[Outputs]) -> Tensor:
        """The weight times the classifier's loss."""
        source, target = (self._seen(network, features_of(seen, role)) for role in ("source", "inputs"))
        losses = self.classifier.losses(source[0], target[0])
        means = [(sure * loss).mean() for (_, sure), loss in zip((source, target), losses, strict=True)]
        return self.weight * (means[0] + means[1]) / 2

    def _seen(self, network: Network, features_BD: Tensor) -> tuple[Tensor, Tensor]:
        """What the classifier sees [B, D K], and how much each row counts [B]."""
        assert isinstance(network.head, ClassHead)
        with torch.no_grad():
            odds_BK = network.head(features_BD).softmax(dim=1)
            sure_B = 1 + (-torch.special.entr(odds_BK).sum(dim=1)).exp()
        return (features_BD[:, :, None] * odds_BK[:, None, :]).flatten(1), sure_B / sure_B.mean()
