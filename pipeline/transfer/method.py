"""What every adaptation and tuning answers: which weights train, what share each label has, what penalty is added."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pipeline.models.history import HistoryModel

Distance = Callable[[Tensor, Tensor], Tensor]


class Method(nn.Module):
    """loss = source_weight * L_source + target_weight * L_target + penalty; the defaults are plain target training."""

    def __init__(self, source_weight: float = 0.0, target_weight: float = 1.0) -> None:
        super().__init__()
        self.source_weight, self.target_weight = source_weight, target_weight

    @property
    def trains(self) -> bool:
        """Whether there is anything to fit."""
        return self.source_weight > 0 or self.target_weight > 0

    def prepare(self, model: HistoryModel, target: str) -> None:
        """Choose the weights that train; all of them unless a method says otherwise."""

    def penalty(self, source: Tensor, target: Tensor) -> Tensor:
        """Added to the labelled loss, from the features of the two batches."""
        del source
        return target.new_zeros(())

    @property
    def uses_penalty(self) -> bool:
        """Whether a batch of the other domain's inputs is needed for the penalty."""
        return False


class Align(Method):
    """Labelled source rows plus a weighted distance between the domains' features."""

    def __init__(self, distance: Distance, weight: float) -> None:
        super().__init__(source_weight=1.0, target_weight=0.0)
        self.distance, self.weight = distance, weight

    def penalty(self, source: Tensor, target: Tensor) -> Tensor:
        """The weight times distance(source features, target features)."""
        return self.weight * self.distance(source, target)

    @property
    def uses_penalty(self) -> bool:
        """Always."""
        return True


class Frozen(Method):
    """Only the target's own vectors and the weight of each domain's history train."""

    def prepare(self, model: HistoryModel, target: str) -> None:
        """Freeze everything but the target's own vectors and the gates."""
        own = model.items(target).own
        assert own is not None
        keep = {id(own.weight), *(id(gate) for gate in model.gates.parameters())}
        for parameter in model.parameters():
            parameter.requires_grad_(id(parameter) in keep)


def trainable(*modules: nn.Module) -> list[torch.nn.Parameter]:
    """The parameters that train, in a fixed order."""
    return [parameter for module in modules for parameter in module.parameters() if parameter.requires_grad]
