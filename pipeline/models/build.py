"""From a model's config and what is known of the items to a network, and from a network to plain values and back."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter
from scipy import sparse

from pipeline.config import Config, HistoryModel, ItemModel, Model, SequenceModel
from pipeline.models.encoders.history import HistoryEncoder
from pipeline.models.encoders.sequence import SequenceEncoder
from pipeline.models.heads import ItemsHead
from pipeline.models.item_network import ItemNetwork
from pipeline.models.items import Catalogue, ItemSpace, Vectors
from pipeline.models.mapping import FeatureMap
from pipeline.models.network import ItemEncoder
from pipeline.models.ranker import Arrays

# config class of a model -> builder(config, how items are looked up, the domains that it reads)
ENCODERS: dict[type[Config], Callable[[Any, Vectors, Iterable[str]], ItemEncoder]] = {
    HistoryModel: lambda config, vectors, domains: HistoryEncoder(vectors, domains),  # noqa: ARG005
    SequenceModel: SequenceEncoder,
}
_UNTOLD = {"prior_weights"}  # settings that no network is built by: the one that was picked is told beside them


def build_network(config: ItemModel, catalogues: Mapping[str, Catalogue], target: str) -> ItemNetwork:
    """A network that knows these domains, whose weights are drawn in their order; `target` is served in the end."""
    items = ItemSpace(config.dim, config.text_buckets, catalogues, config.own_dropout)
    counts = {name: known.counts for name, known in catalogues.items()}
    head = ItemsHead(items.vectors, config.temperature, counts)
    encoder = ENCODERS[type(config)](config, items.vectors, catalogues)
    return ItemNetwork(config, items, encoder, head, target)


def network_state(network: ItemNetwork) -> tuple[dict[str, Any], Arrays]:
    """Settings as plain JSON values, and arrays: all that `network_from_state` needs."""
    items, head = network.items, network.head
    assert isinstance(head, ItemsHead)
    settings = {
        "target": network.target,
        "domains": list(items.domains),
        "model": network.config.model_dump(mode="json", exclude=_UNTOLD),
        "prior_weight": head.prior_weight,
        "mapped": map_of(network),
    }
    arrays: Arrays = {f"weights/{name}": tensor.numpy() for name, tensor in network.shared_state().items()}
    for name in items.domains:
        domain = items.of(name)
        arrays |= {f"counts/{name}": head.counts(name).numpy(), f"rows/{name}": domain.rows.numpy()}
        if domain.has_text:
            arrays |= {f"tokens/{name}": domain.tokens.numpy(), f"token_starts/{name}": domain.token_starts.numpy()}
        if domain.meanings.shape[1]:
            arrays[f"meanings/{name}"] = domain.meanings.numpy()
    return settings, arrays


def network_from_state(settings: Mapping[str, Any], arrays: Arrays) -> ItemNetwork:
    """The network that `network_state` took apart.

    Raises:
        KeyError, TypeError, ValueError: something is missing, or does not fit.
    """
    config: Any = TypeAdapter(Model).validate_python(settings["model"])
    catalogues = {name: _catalogue(name, arrays, config.text_buckets) for name in settings["domains"]}
    with torch.device("meta"):  # nothing is drawn: the weights are there
        network = build_network(config, catalogues, settings["target"])
        if (hidden := settings.get("mapped")) is not None:
            assert isinstance(network.encoder, HistoryEncoder)
            network.encoder.map_to(network.target, FeatureMap(config.dim, hidden))
    weights = {name: arrays[f"weights/{name}"] for name in network.state_dict()}
    if wrong := [name for name, value in network.state_dict().items() if value.shape != weights[name].shape]:
        raise ValueError(f"weights of another shape: {', '.join(wrong)}")
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, assign=True)
    assert isinstance(network.head, ItemsHead)
    network.head.weigh(settings["target"], settings["prior_weight"], None)
    return network


def map_of(network: ItemNetwork) -> int | None:
    """How wide the hidden layer of a map between domains is; None where there is no map."""
    made = getattr(network.encoder, "map", None)
    return made.hidden if isinstance(made, FeatureMap) else None


def _catalogue(name: str, arrays: Arrays, buckets: int) -> Catalogue:
    counts, tokens = arrays[f"counts/{name}"], None
    if f"tokens/{name}" in arrays:
        places, starts = arrays[f"tokens/{name}"], arrays[f"token_starts/{name}"]
        ones = np.ones(len(places), np.float32)
        tokens = sparse.csr_matrix((ones, places, starts), shape=(len(counts), buckets))
    return Catalogue(counts, tokens, arrays[f"rows/{name}"], arrays.get(f"meanings/{name}"))
