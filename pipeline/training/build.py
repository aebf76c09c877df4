"""Models and rows for each phase of a transfer, from prepared domains."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from torch import nn

from pipeline.config import AdaptSettings, Role, TrainSettings, TuneSettings
from pipeline.data.prepared import DomainData, Domains
from pipeline.data.tokens import item_tokens
from pipeline.errors import CrossliftError
from pipeline.models.build import build_network
from pipeline.models.items import Catalogue
from pipeline.models.network import Network
from pipeline.tasks.ranking import InputRows, RankingRows, Sampling
from pipeline.training.fit import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.data.prepared import Histories


def words(domain: DomainData, buckets: int) -> sparse.csr_matrix | None:
    """The words of a domain's items, binary CSR [I, buckets]; None where it has no titles."""
    if not domain.has_text:
        return None
    lists = item_tokens(domain.items, buckets)
    lengths = lists.map(len).to_numpy()
    indptr = np.concatenate([[0], lengths.cumsum()])
    indices = np.concatenate(lists.tolist()) if lengths.sum() else np.zeros(0, dtype=np.int64)
    return sparse.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=(len(domain.items), buckets))


def new_network(
    settings: TrainSettings, domains: tuple[DomainData, ...], histories: "Histories", own: frozenset[str]
) -> Network:
    """A network with random weights that knows these domains.

    Args:
        settings: Whose model and seed.
        domains: The domains, in the order in which their weights are drawn; the last one is served in the end.
        histories: Where the counts of each domain's items come from.
        own: The domains whose items get vectors of their own.
    """
    catalogues = {
        domain.name: Catalogue(
            np.asarray(histories[domain.name].sum(axis=0)).ravel(),
            words(domain, settings.model.text_buckets),
            own=domain.name in own,
        )
        for domain in domains
    }
    torch.manual_seed(settings.seed)
    return build_network(settings.model, catalogues, domains[-1].name)


def copy_shared_items(network: Network, domains: Domains, *, blank: bool) -> None:
    """Give target items the vectors of the source items with the same id; the others get none if `blank`."""
    own = network.items.own(domains.target.name)
    if blank:
        nn.init.zeros_(own.weight)
    for source in reversed(domains.sources):  # the first source has the last word
        table = network.items.own(source.name)
        shared, there = shared_items(domains.target, source)
        with torch.no_grad():
            own.weight[shared] = table.weight[there]


def shared_items(target: DomainData, source: DomainData) -> tuple["NDArray[np.int64]", "NDArray[np.int64]"]:
    """Places of the items with the same id: in the target, and in the source."""
    places = pd.Index(source.items["item_id"]).get_indexer(pd.Index(target.items["item_id"]))
    shared = np.flatnonzero(places >= 0)
    return shared, places[shared].astype(np.int64)


def place_by_takers(network: Network, domains: Domains, histories: "Histories") -> None:
    """Start each target item at the mean features of the users who took it, as their source histories show them.

    x_i = mean_{u took i} u / sqrt(D), a class prototype (Snell, Swersky and Zemel, 2017) in the space of the source
    model: with users in common it ranks about as well as a trained target table before any training. Items without a
    taker whose source history is known keep their start.
    """
    names = tuple(source.name for source in domains.sources)
    with torch.no_grad():
        features = network.encode(network.encoder.read({name: histories[name] for name in names})).numpy()
    known = np.linalg.norm(features, axis=1) > 0
    takers = sparse.csr_matrix(histories[domains.target.name][known].T)
    counts = np.diff(takers.indptr)
    own = network.items.own(domains.target.name)
    placed = np.flatnonzero(counts)
    means = np.asarray(takers[placed] @ features[known], dtype=np.float32) / counts[placed, None].astype(np.float32)
    means /= np.float32(features.shape[1] ** 0.5)  # items are drawn near length one
    with torch.no_grad():
        own.weight[torch.from_numpy(placed)] = torch.from_numpy(means)


def labelled(settings: TrainSettings, domain: str, histories: "Histories", reads: tuple[str, ...]) -> RankingRows:
    """The labelled rows of one domain, seen through the histories that the model reads."""
    sampling = Sampling(
        settings.training.batch_size, settings.training.negatives, settings.model.dropout, settings.seed
    )
    role: Role = "target" if domain == settings.target else "source"
    return RankingRows(domain, role, {name: histories[name] for name in reads}, sampling)


def in_source_items(domains: Domains, histories: "Histories") -> "Histories":
    """The same histories, what a user took in the target read as the sources' items with the same ids as well."""
    target, read = domains.target, dict(histories)
    for source in domains.sources:
        shared, there = shared_items(target, source)
        same = (np.ones(len(shared), np.float32), (shared, there))
        same_items = sparse.csr_matrix(same, shape=(len(target.items), len(source.items)))
        read[source.name] = sparse.csr_matrix(histories[source.name] + histories[target.name] @ same_items)
    return read


def target_inputs(
    settings: AdaptSettings | TuneSettings, domains: Domains, histories: "Histories", reads: tuple[str, ...]
) -> InputRows:
    """The target's users of the training split, without their labels, where they have anything that the model reads.

    Raises:
        CrossliftError: the model can read nothing of any of them.
    """
    target = domains.target
    known = histories[target.name] if settings.target_labels else domains.seen(("train", "valid"))
    active = np.diff(known.indptr) > 0
    readable = sum(np.diff(histories[name].indptr) for name in reads)
    users = np.flatnonzero(active & (readable > 0))
    if not len(users):
        raise CrossliftError(
            f"adapt_domain: no user of {target.name}'s training split has a history that a model of "
            f"{', '.join(domain.name for domain in domains.sources)} can read, so there is nothing to adapt to; check "
            f"`bridges` ({', '.join(settings.bridges)}), or leave the adaptation out."
        )
    chosen = {name: histories[name] for name in reads}
    seed = settings.seed + 1  # not the draws of the labelled rows
    return InputRows(target.name, torch.from_numpy(users), chosen, settings.training.batch_size, seed)


def rows_of(labelled_rows: list[RankingRows], inputs: InputRows | None = None) -> Rows:
    """Rows for a fit."""
    return Rows(tuple(labelled_rows), inputs)
