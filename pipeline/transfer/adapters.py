"""Tunings that leave the start as it is and train little beside it."""

from pipeline.models.bottleneck import insert
from pipeline.models.low_rank import widen
from pipeline.models.network import Network
from pipeline.transfer.method import Frozen, State


class Adapters(Frozen):
    """A bottleneck behind each block of the encoder trains, and what predicts.

    Houlsby et al., "Parameter-Efficient Transfer Learning for NLP", 2019. A saved network carries them.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def initialise(self, network: Network, start: State | None) -> None:
        """Take the start, freeze it, and put the bottlenecks behind its blocks."""
        super().initialise(network, start)
        insert(network.encoder, self.width)


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
