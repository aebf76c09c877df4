"""A network over one space of items: histories are read and items are ranked by the same vectors."""

from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from pipeline.models.heads import ItemsHead
from pipeline.models.items import ItemSpace
from pipeline.models.network import Encoder, Network
from pipeline.models.sides import Inputs

if TYPE_CHECKING:
    from pipeline.views import Histories


class Reads(Protocol):
    """What an encoder of histories can do beside encoding."""

    def read(self, histories: "Histories") -> Inputs:
        """What it reads of some users, whole: CSR [n, I_d] of each domain, an absent one counting as empty."""
        ...


class ItemNetwork(Network):
    """Features of histories, and scores of items."""

    head: ItemsHead

    def __init__(self, items: ItemSpace, encoder: Encoder, head: ItemsHead, target: str) -> None:
        """`encoder` also reads: see `Reads`."""
        super().__init__(encoder, head, target)
        self.items = items

    def read(self, histories: "Histories") -> Inputs:
        """What the encoder reads of some users, whole."""
        reader: Reads = self.encoder  # type: ignore[assignment]  # modules do not say what else they are
        return reader.read(histories)

    def own_parameters(self) -> list[Tensor]:
        """The vectors of the target's items too."""
        return [self.items.own(self.target).weight, *super().own_parameters()]
