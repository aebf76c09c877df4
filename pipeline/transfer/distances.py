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


WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the kernels, in median squared distances, each twice the one before
_MOST = 256  # rows of each, evenly spaced: all pairs of two large batches would cost more than all else of a step


def mmd(source_SD: Tensor, target_TD: Tensor) -> Tensor:
    """Squared maximum mean discrepancy, by the sum over all pairs: never below zero, zero of equal samples.

    mean k(s, s') + mean k(t, t') - 2 mean k(s, t), k(x, y) the mean over m in WIDTHS of exp(-|x - y|^2 / (m median)),
    with the median squared distance of two different rows (Gretton et al., "A Kernel Two-Sample Test", 2012; several
    widths as in Long et al., "Learning Transferable Features with Deep Adaptation Networks", 2015). The median is a
    constant to the gradient. Of more than 256 rows some are left out, evenly spaced.
    """
    source_SD, target_TD = (rows[:: -(-len(rows) // _MOST)] for rows in (source_SD, target_TD))
    apart = _squared(torch.cat([source_SD, target_TD]))
    median = apart.detach()[torch.ones_like(apart, dtype=torch.bool).triu(diagonal=1)].median()
    kernel = one = (-apart / (WIDTHS[-1] * median.clamp(min=torch.finfo(apart.dtype).tiny))).exp()
    for _ in WIDTHS[1:]:  # half as wide: its square, which costs less than another exponential
        one = one.square()
        kernel = kernel + one
    kernel = kernel / len(WIDTHS)
    count = len(source_SD)
    return kernel[:count, :count].mean() + kernel[count:, count:].mean() - 2 * kernel[:count, count:].mean()


def _squared(rows_ND: Tensor) -> Tensor:
    """Squared distance of each row to each: [N, N]; a root, as `cdist` takes, would have no gradient at zero."""
    lengths = rows_ND.square().sum(dim=1)
    return (lengths[:, None] + lengths[None, :] - 2 * rows_ND @ rows_ND.T).clamp(min=0)


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
        source_S, target_T = self.losses(source_SD, target_TD)
        return (source_S.mean() + target_T.mean()) / 2

    def losses(self, source_SD: Tensor, target_TD: Tensor) -> tuple[Tensor, Tensor]:
        """-ln of the chance that is given to where each row comes from: [S], [T]."""
        source: Tensor = self.layers(_Reverse.apply(source_SD))  # type: ignore[no-untyped-call]
        target: Tensor = self.layers(_Reverse.apply(target_TD))  # type: ignore[no-untyped-call]
        return functional.softplus(-source)[:, 0], functional.softplus(target)[:, 0]
