"""From a model's config and what is known of the items to a network with random weights."""

from collections.abc import Mapping

from pipeline.config import HistoryModel
from pipeline.models.encoders.history import HistoryEncoder
from pipeline.models.heads import ItemsHead
from pipeline.models.items import Catalogue, ItemSpace
from pipeline.models.network import Network


def build_network(config: HistoryModel, catalogues: Mapping[str, Catalogue], target: str) -> Network:
    """A network that knows these domains, whose weights are drawn in their order; `target` is served in the end."""
    items = ItemSpace(config.dim, config.text_buckets, catalogues)
    counts = {name: known.counts for name, known in catalogues.items()}
    head = ItemsHead(items.vectors, config.temperature, counts)
    return Network(items, HistoryEncoder(items.vectors, catalogues), head, target)
