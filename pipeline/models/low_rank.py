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

    @property
    def whole(self) -> Tensor:
        """W + U V: [O, I]."""
        return self.weight + self.up @ self.down

    def forward(self, inputs: Tensor) -> Tensor:
        """As the merged layer would: [B, O]."""
        return functional.linear(inputs, self.whole, self.bias)

    def merged(self) -> nn.Linear:
        """A plain layer that says the same."""
        with torch.device("meta"):
            plain = nn.Linear(self.in_features, self.out_features)
        plain.weight, plain.bias = nn.Parameter(self.whole.detach()), self.bias
        return plain


def widen(network: nn.Module, rank: int) -> None:
    """Put a product beside every linear layer that has inputs, in the order of their names."""
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Linear) and layer.in_features:
                setattr(parent, name, LowRankLinear(layer, rank))


def products_of(network: nn.Module) -> list[nn.Parameter]:
    """What stands beside weights, and is not part of any of them yet."""
    return [one for layer in network.modules() if isinstance(layer, LowRankLinear) for one in (layer.up, layer.down)]


def whole_weights(network: nn.Module) -> dict[str, Tensor]:
    """All weights by the names that they have without products, which are part of what they stand beside."""
    found: dict[str, Tensor] = {}
    for place, layer in network.named_modules():
        own: dict[str, Tensor] = dict(layer.named_parameters(place, recurse=False))
        if isinstance(layer, LowRankLinear):
            del own[f"{place}.up"], own[f"{place}.down"]
            own[f"{place}.weight"] = layer.whole
        found |= own
    return found


def merge(network: nn.Module) -> None:
    """Make every such layer a plain one."""
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, LowRankLinear):
                setattr(parent, name, layer.merged())
