"""EMCDR: what the source says of a user is mapped to what the target says.

Shapes: B rows of a side, D feature dimensions.
"""

from collections.abc import Sequence

from torch import Tensor

from pipeline.models.encoders.history import HistoryEncoder
from pipeline.models.mapping import FeatureMap
from pipeline.models.network import Network
from pipeline.models.sides import Outputs
from pipeline.transfer.method import Frozen, State


class Mapped(Frozen):
    """L_target + weight * mean over rows of users in both |f(u_source) - u_target|^2 / D.

    Man et al., "Cross-Domain Recommendation: An Embedding and Mapping Approach", 2017, equations 4 and 5, with features
    of mean square one. The source's model stays as it is; the target's learns beside the map, which does not move it.
    """

    def __init__(self, dim: int, hidden: int, weight: float) -> None:
        super().__init__()
        self.dim, self.hidden, self.weight = dim, hidden, weight

    def initialise(self, network: Network, start: State | None) -> None:
        """Take the source's model, freeze it, and put the map behind it."""
        super().initialise(network, start)
        _encoder(network).map_to(network.target, FeatureMap(self.dim, self.hidden))

    def penalty(self, network: Network, seen: Sequence[Outputs]) -> Tensor:
        """The weight times the squared distance, of users who are known in both; 0 where there is none."""
        encoder, total = _encoder(network), super().penalty(network, seen)
        for output in seen:
            own_BD, others_BD = encoder.apart(output.side.inputs)
            both_B = (own_BD.abs().sum(dim=1) > 0) & (others_BD.abs().sum(dim=1) > 0)
            if both_B.any():
                said_BD = encoder.map(encoder.scaled(others_BD[both_B]))
                total = total + (said_BD - encoder.scaled(own_BD[both_B]).detach()).square().mean()
        return self.weight * total


def _encoder(network: Network) -> HistoryEncoder:
    assert isinstance(network.encoder, HistoryEncoder)  # a scenario with another is refused when it is read
    return network.encoder
