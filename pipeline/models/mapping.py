"""A map from features of a user in some domains to features in another.

Shapes: B users, D dimensions, H hidden.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class FeatureMap(nn.Module):
    """f(h) = W g + b + U relu(V g + c) / sqrt(D) with g = h / sqrt(D), which is of length one.

    W [D, D] is sqrt(D) times the identity and U [D, H] zero at the start, so that it begins as the identity; divided by
    sqrt(D), weights move features as fast as those of tables of items do.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        """Without hidden features, H = 0, the map is linear."""
        super().__init__()
        self.root, self.hidden = dim**0.5, hidden
        self.linear = nn.Linear(dim, dim)
        with torch.no_grad():
            nn.init.eye_(self.linear.weight).mul_(self.root)
            self.linear.bias.zero_()
        self.bent = _Bent(dim, hidden) if hidden else None

    def forward(self, features_BD: Tensor) -> Tensor:
        """The features in the other domain: [B, D], of any length."""
        short_BD = features_BD / self.root
        moved: Tensor = self.linear(short_BD)
        return moved if self.bent is None else moved + self.bent(short_BD) / self.root


class _Bent(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(dim, hidden), nn.Linear(hidden, dim, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, short_BD: Tensor) -> Tensor:
        said: Tensor = self.up(functional.relu(self.down(short_BD)))
        return said
