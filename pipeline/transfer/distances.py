"""Distances between the features of two domains, as losses.

Shapes: S source rows, T target rows, D feature dimensions.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def covariance(features: Tensor) -> Tensor:
    """Unbiased covariance [D, D] of features [n, D]; n must be at least 2."""
    centred = features - features.mean(dim=0, keepdim=True)
    return centred.T @ centred / (len(features) - 1)


def coral(source_SD: Tensor, target_TD: Tensor) -> Tensor:
    """||C_s - C_t||_F^2 / (4 D^2), with unbiased covariances (Sun and Saenko, "Deep CORAL", 2016, equation 1)."""
    gap = covariance(source_SD) - covariance(target_TD)
    return gap.square().sum() / (4 * source_SD.shape[1] ** 2)


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:  # noqa: ARG004
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        return -gradients[0]


class DomainClassifier(nn.Module):
    """Loss of telling source from target rows; its gradient reaches the features reversed.

    -(1/2) (mean_s ln p(source) + mean_t ln p(target)) (Ganin et al., "Domain-Adversarial Training of Neural Networks",
    2016), each domain with equal weight: the classifier learns to tell them apart, the features to prevent it.
    """

    def __init__(self, dim: int, hidden: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, source_SD: Tensor, target_TD: Tensor) -> Tensor:
        """Scalar loss; ln 2 where the domains cannot be told apart."""
        source: Tensor = self.layers(_Reverse.apply(source_SD))  # type: ignore[no-untyped-call]
        target: Tensor = self.layers(_Reverse.apply(target_TD))  # type: ignore[no-untyped-call]
        return (functional.softplus(-source).mean() + functional.softplus(target).mean()) / 2
