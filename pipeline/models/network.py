"""An encoder and a head: all that is trained.

Shapes: B rows of a side, D feature dimensions.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from pipeline.models.low_rank import merge
from pipeline.models.optimizer import RowAdagrad
from pipeline.models.sides import Inputs, Outputs

if TYPE_CHECKING:
    from pipeline.past import Histories


class Encoder(nn.Module, ABC):
    """Turns a row's inputs into features with mean square one, so that a distance means the same for each encoder."""

    def encode(self, inputs: Inputs) -> Tensor:
        """The features of each row: [B, D], of length sqrt(D); zero where the inputs say nothing."""
        return self.scaled(self.combine(inputs))

    def scaled(self, raw_BD: Tensor) -> Tensor:
        """Features of that length in the same direction: [B, D]."""
        scaled: Tensor = functional.normalize(raw_BD, dim=-1) * raw_BD.shape[1] ** 0.5
        return scaled

    @abstractmethod
    def combine(self, inputs: Inputs) -> Tensor:
        """The features of each row before they are scaled: [B, D]."""

    def optimizer(self, parameters: Iterable[nn.Parameter], rate: float) -> Optimizer:
        """What trains a network with this encoder: Adagrad, unless an encoder says otherwise."""
        return RowAdagrad(parameters, lr=rate)

    def own(self) -> list[nn.Parameter]:
        """The weights that say how much each domain counts: they train where all else is kept."""
        return []


class ItemEncoder(Encoder):
    """Encodes what users did in some domains."""

    @abstractmethod
    def read(self, histories: "Histories") -> Inputs:
        """Whole histories in all domains that it knows; an absent domain counts as empty."""


class Head(nn.Module, ABC):
    """Predicts from features."""

    classes: tuple[str, ...] = ()  # that it tells apart, by name
    linear: bool = False  # whether its labels are columns, `wanted`, that a regression could aim at

    @abstractmethod
    def losses(self, output: Outputs) -> Tensor:
        """The loss of each labelled row: [B]."""

    def wanted(self, labels: Any) -> Tensor:
        """Labels as columns: [B, K]."""
        raise NotImplementedError


class Network(nn.Module):
    """An encoder and a head."""

    encoder: Encoder
    head: Head

    def __init__(self, encoder: Encoder, head: Head, target: str) -> None:
        """`target` is the domain that is served in the end."""
        super().__init__()
        self.encoder, self.head, self.target = encoder, head, target

    def encode(self, inputs: Inputs) -> Tensor:
        """The features of each row: [B, D]."""
        return self.encoder.encode(inputs)

    def losses(self, output: Outputs) -> Tensor:
        """The loss of each labelled row: [B]."""
        return self.head.losses(output)

    def own_parameters(self) -> list[Tensor]:
        """What is the target's alone: what the head has, and the domains' weights."""
        return [*self.head.parameters(), *self.encoder.own()]

    def shared_state(self) -> dict[str, Tensor]:
        """All weights by name, for safetensors."""
        return {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}

    def merged(self) -> Self:
        """A copy on the CPU in which what trains beside a weight is part of it: plain weights, the same answers."""
        own = copy.deepcopy(self).cpu()
        merge(own)
        return own

    def load_known(self, state: dict[str, Tensor]) -> Self:
        """Take the weights of the domains that this network and the state have in common."""
        own = self.state_dict()
        self.load_state_dict({**own, **{name: value for name, value in state.items() if name in own}})
        return self
