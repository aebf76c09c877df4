"""What a network over items of one scenario can begin with, of a registered one: the vectors of items by their ids.

Shapes: n items that the registered network has a vector of its own for, D dimensions.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch

from pipeline import columns as c
from pipeline.config import ItemModel, TrainSettings
from pipeline.errors import UserError
from pipeline.models.build import map_of
from pipeline.models.item_network import ItemNetwork
from pipeline.models.learner import Taught

BEFORE = "Before"  # what holds the vectors of a registered network among the domains; no domain is spelt so
ITEMS, COUNTS = "items", "counts"  # what is known of them


def start_of(
    network: ItemNetwork, catalogues: Mapping[str, pd.DataFrame], settings: TrainSettings
) -> tuple[dict[str, torch.Tensor], Taught]:
    """Weights that the network of a scenario may begin with; ids of the n items, and how often they were taken.

    An item of several domains has the vector by which the first of them ranks it, which is the one that was served;
    domains whose ids mean other items are left out. What says how much a domain counts is that of the served one.

    Raises:
        UserError: the network is of another kind or size, or reads users of two domains by a map.
    """
    model = settings.model
    assert isinstance(model, ItemModel)  # the one that is learnt by tasks on items
    own, other = model.as_built().model_dump(), network.config.as_built().model_dump()
    if unlike := [f"{key}: {other[key]}" for key in other if own.get(key) != other[key]]:
        raise UserError(f"source_model: it is of another size; write model: {{{', '.join(unlike)}}}.")
    if map_of(network) is not None:
        raise UserError(
            "source_model: it reads users by a map from another shop's, who are not known here; name a version whose "
            "lane is no mapping."
        )
    catalogues = {name: catalogues[name] for name in _of_one_meaning(network, catalogues)}
    ids, vectors = _own_vectors(network, catalogues)
    shared = {name: one for name, one in network.items.state_dict().items() if not name.startswith("domains.")}
    weights = {f"items.{name}": one for name, one in shared.items()}
    weights |= {f"items.domains.{BEFORE}.own.weight": vectors} if len(ids) else {}
    weights |= _encoder(network, settings.target)
    taken = pd.concat(list(catalogues.values())).groupby(c.ITEM)["train_count"].sum()
    known = {ITEMS: ids.tolist(), COUNTS: taken.reindex(ids).astype(float).tolist()}
    return {name: one.detach().cpu().contiguous() for name, one in weights.items()}, known


def _of_one_meaning(network: ItemNetwork, catalogues: Mapping[str, pd.DataFrame]) -> list[str]:
    """The domains that it knows where an id is the item that it is in the first: one that both have has one vector."""
    rows = {
        name: pd.Series(network.items.of(name).rows.numpy(), index=pd.Index(items[c.ITEM], dtype=object))
        for name, items in catalogues.items()
        if name in network.items.domains  # a lane on the target alone knows no source
    }
    first = rows[next(iter(catalogues))]
    beside = {name: pd.concat([first, one], axis=1, join="inner") for name, one in rows.items()}
    differ = {name: (one >= 0).all(axis=1) & (one[0] != one[1]) for name, one in beside.items()}
    return [name for name, one in differ.items() if not one.any()]


def _own_vectors(network: ItemNetwork, catalogues: Mapping[str, pd.DataFrame]) -> tuple[pd.Index, torch.Tensor]:
    """The different items that have an own vector, and these: [n, D]."""
    ids, vectors = pd.Index([], dtype=object), [torch.zeros(0, network.config.dim)]
    for name, items in catalogues.items():
        here = pd.Index(items[c.ITEM], dtype=object)
        fresh = np.flatnonzero((network.items.of(name).rows.numpy() >= 0) & ~here.isin(ids))
        with torch.no_grad():
            vectors.append(network.items.own_vectors(name, torch.from_numpy(fresh)))
        ids = ids.append(here[fresh])
    return ids, torch.cat(vectors)


def _encoder(network: ItemNetwork, target: str) -> dict[str, torch.Tensor]:
    """The encoder's weights; of those that a domain has of its own, the served one's under the target's name."""
    apart = {id(one) for one in network.encoder.own()}
    found = {}
    for name, one in network.encoder.state_dict(keep_vars=True).items():
        above, _, domain = name.rpartition(".")
        if id(one) not in apart:
            found[f"encoder.{name}"] = one
        elif domain == network.target:
            found[f"encoder.{above}.{target}"] = one
    return found
