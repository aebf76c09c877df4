"""A network over one space of items: histories are read and items are ranked by the same vectors."""

from torch import Tensor

from pipeline.config import ItemModel
from pipeline.models.heads import ItemsHead
from pipeline.models.items import ItemSpace
from pipeline.models.network import ItemEncoder, Network


class ItemNetwork(Network):
    """Features of histories, and scores of items."""

    encoder: ItemEncoder
    head: ItemsHead

    def __init__(self, config: ItemModel, items: ItemSpace, encoder: ItemEncoder, head: ItemsHead, target: str) -> None:
        """`config` says how it was built, `target` is the domain that is served in the end."""
        super().__init__(encoder, head, target)
        self.config, self.items = config, items

    def own_parameters(self) -> list[Tensor]:
        """The own vectors of the items that the target alone has, too: those that it shares are the source's."""
        return [*self.items.of(self.target).parameters(), *super().own_parameters()]
