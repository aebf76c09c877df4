"""What a batch is made of: sides, each of one domain, with labels or without.

Shapes: B rows of a side, D feature dimensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from pipeline.config import Role


class Movable(Protocol):
    """Tensors, or something made of them."""

    def to(self, device: torch.device, /) -> Self:
        """The same on another device."""
        ...


Inputs = Mapping[str, Any]  # what an encoder reads, by name; each value is Movable


@dataclass(frozen=True)
class Side:
    """Rows of one domain in a batch.

    Args:
        domain: Whose rows.
        role: What they are to the method.
        inputs: What the encoder reads, by name.
        labels: What the head holds the features against; None where nothing is known, or nothing is to be used.
        weights_B: What each row counts.
    """

    domain: str
    role: Role
    inputs: Inputs
    labels: Movable | None
    weights_B: Tensor

    def to(self, device: torch.device) -> "Side":
        """The same on another device; Lightning calls this."""
        inputs = {name: part.to(device) for name, part in self.inputs.items()}
        labels = None if self.labels is None else self.labels.to(device)
        return Side(self.domain, self.role, inputs, labels, self.weights_B.to(device))


@dataclass(frozen=True)
class Outputs:
    """A side with what the encoder made of its inputs."""

    side: Side
    features_BD: Tensor
