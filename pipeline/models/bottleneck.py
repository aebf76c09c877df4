"""A narrow network behind a block of an encoder, which says nothing at the start.

Shapes: B rows, D dimensions, W width.
"""

from torch import Tensor, nn
from torch.nn import functional


class Bottleneck(nn.Module):
    """h + U relu(V h + b) + c: V [W, D] drawn, U [D, W] and c zero at the start."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(dim, width), nn.Linear(width, dim)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden_BD: Tensor) -> Tensor:
        """What is behind the block: [B, D]."""
        moved: Tensor = self.up(functional.relu(self.down(hidden_BD)))
        return hidden_BD + moved


class Block(nn.Module):
    """A block of an encoder with a place behind it, where a bottleneck may stand."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.adapter: nn.Module = nn.Identity()


def insert(encoder: nn.Module, width: int) -> None:
    """Put a bottleneck behind each block; none where the width is 0."""
    for block in encoder.modules():
        if isinstance(block, Block) and width:
            block.adapter = Bottleneck(block.dim, width)


def width_of(encoder: nn.Module) -> int:
    """The width of the bottlenecks; 0 where there are none."""
    return max((one.down.out_features for one in encoder.modules() if isinstance(one, Bottleneck)), default=0)
