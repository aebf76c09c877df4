"""Low-rank adaptation: the start stays, and a small correction beside each linear layer trains."""

from pipeline.models.low_rank import widen
from pipeline.models.network import Network
from pipeline.transfer.method import Frozen, State


class LowRank(Frozen):
    """W + U V in the place of W in each layer of the encoder; W is frozen, what predicts is not.

    Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2022, with their scale alpha / r at one. A
    predictor has W + U V as one matrix, so that it serves like any other.
    """

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.rank = rank

    def initialise(self, network: Network, start: State | None) -> None:
        """Take the start, freeze it, and put the products beside it."""
        super().initialise(network, start)
        widen(network.encoder, self.rank)
