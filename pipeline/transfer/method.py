"""What every adaptation and tuning answers: how weights start and train, what each label weighs, what is added.

Shapes: S source rows, T rows of target inputs, D feature dimensions.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from pipeline.config import Role
from pipeline.models.network import Network
from pipeline.models.sides import Outputs, Rows

Distance = Callable[[Tensor, Tensor], Tensor]
State = dict[str, Tensor]


class Method(nn.Module):
    """loss = sum of share(role) * labelled loss of each side + penalty; the defaults are plain target training."""

    rounds: int = 1  # fits after each other, each from what the one before left

    def __init__(self, source: float = 0.0, target: float = 1.0) -> None:
        """The shares of labelled source and target rows."""
        super().__init__()
        self.shares: dict[Role, float] = {"source": source, "target": target}
        self.told: dict[str, float] = {}  # what it found out about the rows, by name

    def initialise(self, network: Network, start: State | None) -> None:
        """Take the weights of a start, where there is one, and choose those that train: all, unless a method says no.

        Args:
            network: As it was drawn at random.
            start: Weights by name; those that the network does not have are left out.
        """
        if start is not None:
            network.load_known(start)

    def choose(self, network: Network, rows: Rows) -> Rows:
        """The rows that the next round learns from, by what the network says of them now: as they are, unless told."""
        del network
        return rows

    def share(self, role: Role) -> float:
        """What the labelled loss of a side in this role counts."""
        return self.shares.get(role, 0.0)

    def penalty(self, network: Network, seen: Sequence[Outputs]) -> Tensor:
        """Scalar added to the labelled loss, from inputs, features and labels of every side; nothing by default."""
        del network
        return seen[0].features_BD.new_zeros(())


class Align(Method):
    """Labelled rows, plus a weighted distance between the features of source rows and of target inputs."""

    def __init__(self, distance: Distance, weight: float, source: float = 1.0, target: float = 0.0) -> None:
        super().__init__(source, target)
        self.distance, self.weight = distance, weight

    def penalty(self, network: Network, seen: Sequence[Outputs]) -> Tensor:
        """The weight times distance(source features, features of target inputs)."""
        del network
        return self.weight * self.distance(features_of(seen, "source"), features_of(seen, "inputs"))


class Frozen(Method):
    """Only the target's own vectors and the weight of each domain's history train."""

    def initialise(self, network: Network, start: State | None) -> None:
        """Take the start, and freeze all but what is the target's own."""
        super().initialise(network, start)
        keep = {id(parameter) for parameter in network.own_parameters()}
        for parameter in network.parameters():
            parameter.requires_grad_(id(parameter) in keep)


class Held(Method):
    """Every weight that came from the start is held to it; those that did not, such as a new class's, are free.

    weight * sum |w - w_start|^2 (Li, Grandvalet and Davoine, "Explicit Inductive Bias for Transfer Learning", 2018).
    """

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.names: tuple[str, ...] = ()

    def initialise(self, network: Network, start: State | None) -> None:
        """Take the start, and remember it."""
        super().initialise(network, start)
        held = {name: own.detach().clone() for name, own in network.named_parameters() if name in (start or {})}
        self.names = tuple(held)
        for place, weights in enumerate(held.values()):
            # Not kept in checkpoints: a fit that goes on has the same start again.
            self.register_buffer(f"start_{place}", weights, persistent=False)

    def penalty(self, network: Network, seen: Sequence[Outputs]) -> Tensor:
        """The weight times the squared distance from the start."""
        own, total = dict(network.named_parameters()), super().penalty(network, seen)
        for place, name in enumerate(self.names):
            total = total + (own[name] - self.get_buffer(f"start_{place}")).square().sum()
        return self.weight * total


def features_of(seen: Sequence[Outputs], role: Role) -> Tensor:
    """The features of all sides in a role, under each other: [rows, D]."""
    return torch.cat([output.features_BD for output in seen if output.side.role == role])


def trainable(*modules: nn.Module) -> list[torch.nn.Parameter]:
    """The parameters that train, in a fixed order."""
    return [parameter for module in modules for parameter in module.parameters() if parameter.requires_grad]
