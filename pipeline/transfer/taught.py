"""A student that learns what a teacher says of the target's rows, beside their labels.

Shapes: T rows of target inputs, K columns of what a head says.
"""

from collections.abc import Sequence

from torch import Tensor

from pipeline.models.label_heads import LabelHead
from pipeline.models.network import Network
from pipeline.models.sides import TAUGHT, Outputs
from pipeline.transfer.method import Method


class Taught(Method):
    """L_target + weight * mean of divergence(teacher, student) over the target's inputs.

    Of classes the divergence is T^2 KL(softmax(z_teacher / T) | softmax(z_student / T)) over those that the teacher
    knows, of tags the same of each tag, of numbers the squared distance in units of the spread (Hinton, Vinyals and
    Dean, "Distilling the Knowledge in a Neural Network", 2015; the T^2 is theirs).
    """

    def __init__(self, weight: float, temperature: float) -> None:
        super().__init__()
        self.weight, self.temperature = weight, temperature

    def penalty(self, network: Network, seen: Sequence[Outputs]) -> Tensor:
        """The weight times the mean divergence; what the teacher says stands among the inputs."""
        head = network.head
        assert isinstance(head, LabelHead)
        each = [
            head.divergence(one.features_BD, one.side.inputs[TAUGHT], self.temperature)
            for one in seen
            if one.side.role == "inputs"
        ]
        return self.weight * sum((one.mean() for one in each), super().penalty(network, seen))
