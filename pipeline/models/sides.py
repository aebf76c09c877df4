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


TAUGHT = "taught"  # among the inputs of a side: what a teacher says of its rows, [B, K], for the head alone
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


class LabelledRows(Protocol):
    """The labelled rows of one domain, cut into batches."""

    @property
    def role(self) -> Role:
        """What they are to the method."""
        ...

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        ...

    def batch(self, epoch: int, step: int) -> Side:
        """The side of a step; it depends on the seed and these two alone."""
        ...


class UnlabelledRows(Protocol):
    """Inputs of the target, cut into batches."""

    def batch(self, epoch: int, step: int) -> Side:
        """The side of a step."""
        ...


@dataclass(frozen=True)
class Rows:
    """The labelled rows of each domain, and unlabelled inputs of the target where a penalty looks at them."""

    labelled: tuple[LabelledRows, ...]
    inputs: UnlabelledRows | None = None

    @property
    def steps(self) -> int:
        """Steps in an epoch: once over the target's labelled rows, else once over the largest source's."""
        of_target = [rows.steps for rows in self.labelled if rows.role == "target"]
        return max(of_target or [rows.steps for rows in self.labelled])
