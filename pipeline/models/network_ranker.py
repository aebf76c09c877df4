"""A trained network as it serves: the very modules that were trained, on the CPU, in one thread."""

import copy
from typing import TYPE_CHECKING, Any, Self

import torch

from pipeline.models.build import network_from_state, network_state
from pipeline.models.heads import ItemsHead
from pipeline.models.item_network import ItemNetwork
from pipeline.models.ranker import Arrays, Ranker, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.past import Histories


class NetworkRanker(Ranker):
    """What the head says of the encoder's features."""

    kind = "network"
    needs: tuple[str, ...] = ("torch",)

    def __init__(self, network: ItemNetwork) -> None:
        """`network` is on the CPU, and trained no further."""
        self.network = network.eval()
        with torch.no_grad():
            self._score = network.head.scorer(network.target)

    @classmethod
    def of(
        cls, network: ItemNetwork, target: str, *, counts: "NDArray[Any] | None" = None, prior_weight: float = 1.0
    ) -> Self:
        """A copy of a network, which may be trained on.

        Args:
            network: What was trained.
            target: The domain whose items are ranked.
            counts: [I_target] how often each item was taken, for the prior; without, as the head was told.
            prior_weight: Times the prior. Training has it at 1; with few rows vectors say less than they seem to.
        """
        own = copy.deepcopy(network).cpu()
        own.target = target
        assert isinstance(own.head, ItemsHead)
        own.head.weigh(target, prior_weight, counts)
        return cls(own)

    def scores(self, histories: "Histories") -> Scores:
        """Scores of the target's items; a domain that the network does not know is not looked at."""
        with torch.no_grad():
            scores: Scores = self._score(self.network.encode(self.network.encoder.read(histories))).numpy()
        return scores

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Weights, and what is known of the items."""
        return network_state(self.network)

    @classmethod
    def from_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same modules with the same weights; from here on PyTorch has one thread, so that sums have one order."""
        torch.set_num_threads(1)
        return cls(network_from_state(settings, arrays))
