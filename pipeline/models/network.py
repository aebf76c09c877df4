"""An encoder and a head over one space of items: all that is trained.

Shapes: B rows of a side, D feature dimensions, I items of the target.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from torch import Tensor, nn
from torch.nn import functional

from pipeline.models.items import ItemSpace
from pipeline.models.sides import Inputs, Outputs

if TYPE_CHECKING:
    from pipeline.views import Histories


class Encoder(nn.Module, ABC):
    """Turns a row's inputs into features with mean square one, so that a distance means the same for each encoder."""

    @abstractmethod
    def read(self, histories: "Histories") -> Inputs:
        """What it reads of some users, whole: CSR [n, I_d] of each domain, an absent one counting as empty."""

    def encode(self, inputs: Inputs) -> Tensor:
        """The features of each row: [B, D], of length sqrt(D); zero where the inputs say nothing."""
        raw_BD = self.combine(inputs)
        scaled: Tensor = functional.normalize(raw_BD, dim=-1) * raw_BD.shape[1] ** 0.5
        return scaled

    @abstractmethod
    def combine(self, inputs: Inputs) -> Tensor:
        """The features of each row before they are scaled: [B, D]."""

    def own(self) -> list[nn.Parameter]:
        """The weights that say how much each domain counts: they train where all else is kept."""
        return []


class Head(nn.Module, ABC):
    """Predicts from features."""

    @abstractmethod
    def losses(self, output: Outputs) -> Tensor:
        """The loss of each labelled row: [B]."""

    @abstractmethod
    def scorer(self, domain: str) -> Callable[[Tensor], Tensor]:
        """From features [B, D] to scores [B, I] of a domain's items; what no feature decides is computed once."""


class Network(nn.Module):
    """Features of histories, and scores of items, in one space."""

    def __init__(self, items: ItemSpace, encoder: Encoder, head: Head, target: str) -> None:
        """`target` is the domain that is served in the end."""
        super().__init__()
        self.items, self.encoder, self.head, self.target = items, encoder, head, target

    def encode(self, inputs: Inputs) -> Tensor:
        """The features of each row: [B, D]."""
        return self.encoder.encode(inputs)

    def losses(self, output: Outputs) -> Tensor:
        """The loss of each labelled row: [B]."""
        return self.head.losses(output)

    def own_parameters(self) -> list[Tensor]:
        """What is the target's alone: the vectors of its items, what the head has beside them, the domains' weights."""
        return [self.items.own(self.target).weight, *self.head.parameters(), *self.encoder.own()]

    def shared_state(self) -> dict[str, Tensor]:
        """All weights by name, for safetensors."""
        return {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}

    def load_known(self, state: dict[str, Tensor]) -> Self:
        """Take the weights of the domains that this network and the state have in common."""
        own = self.state_dict()
        self.load_state_dict({**own, **{name: value for name, value in state.items() if name in own}})
        return self
