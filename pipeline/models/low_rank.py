"""A linear layer with a product of two thin matrices beside its weight.

Shapes: B rows, I inputs and O outputs of a layer, R rank.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class LowRankLinear(nn.Linear):
    """W + U V in the place of W: U [O, R] is zero at the start, V [R, I] drawn."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        """The layer's own weight and bias stay what they are."""
        with torch.device("meta"):  # nothing is drawn: the weights are there
            super().__init__(layer.in_features, layer.out_features, bias=False)
        rank = min(rank, layer.in_features, layer.out_features)
        self.weight, self.bias = layer.weight, layer.bias
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))
        self.down = nn.Parameter(torch.empty(rank, layer.in_features).normal_(std=layer.in_features**-0.5))

    def forward(self, inputs: Tensor) -> Tensor:
        """As the merged layer would: [B, O]."""
        return functional.linear(inputs, self.weight + self.up @ self.down, self.bias)

    def merged(self) -> nn.Linear:
        """A plain layer that says the same."""
        with torch.device("meta"):
            plain = nn.Linear(self.in_features, self.out_features)
        plain.weight, plain.bias = nn.Parameter((self.weight + self.up @ self.down).detach()), self.bias
        return plain


def widen(network: nn.Module, rank: int) -> None:
    """Put a product beside every linear layer, in the order of their names."""
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Linear):
                setattr(parent, name, LowRankLinear(layer, rank))


def merge(network: nn.Module) -> None:
    """Make every such layer a plain one."""
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, LowRankLinear):
                setattr(parent, name, layer.merged())
