"""Models over one space of items in each phase of a transfer: networks, batches and predictors from views."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import nn

from pipeline import columns as c
from pipeline.config import ItemModel, Role, Strategy, TrainSettings
from pipeline.data.tokens import item_tokens
from pipeline.errors import CrossliftError
from pipeline.models.build import build_network
from pipeline.models.cutting import INPUTS, LABELLED
from pipeline.models.item_network import ItemNetwork
from pipeline.models.items import Catalogue
from pipeline.models.learner import Finish
from pipeline.models.network_ranker import NetworkRanker
from pipeline.models.sides import LabelledRows, Rows, UnlabelledRows
from pipeline.past import Histories, Past
from pipeline.views import PAST, IntArray, View, Views, taken_elsewhere


@dataclass(frozen=True)
class ItemLearner:
    """A user is what the user did in all domains; items that domains share speak of the same vector at the start."""

    settings: TrainSettings

    @property
    def model(self) -> ItemModel:
        """The model's own settings."""
        assert isinstance(self.settings.model, ItemModel)
        return self.settings.model

    def pretrain(self, views: Views) -> tuple[ItemNetwork, Rows]:
        """All sources, each with vectors of its own."""
        network = self._network(views, frozenset(views))
        return network, Rows(tuple(self._labelled(views, name, tuple(views)) for name in views))

    def adapt(self, views: Views) -> tuple[ItemNetwork, Rows]:
        """The sources' items by their own vectors, the target's by words alone.

        Raises:
            CrossliftError: the network can read nothing of any of the target's users.
        """
        of = self.settings
        network = self._network(views, frozenset(of.sources))
        reads = (*of.sources, of.target) if has_text(views[of.target]) else of.sources
        seen = in_source_items(views, of.target) if "items" in of.bridges else _past(views)
        labelled = tuple(self._labelled(views, name, of.sources) for name in of.sources)
        return network, Rows(labelled, self._inputs(views, seen, reads))

    def tune(self, views: Views, strategy: Strategy, classes: tuple[str, ...] = ()) -> tuple[ItemNetwork, Rows]:
        """Vectors of their own for the items of every domain whose rows or ids say something of them."""
        del classes
        of, labels = self.settings, strategy.tune.labels
        reads = (of.target,) if strategy.domains == "target" else of.domains
        known = {name: view for name, view in views.items() if name in reads}
        network = self._network(known, frozenset(reads if "target" in labels or "items" in of.bridges else of.sources))
        sides = [*(of.sources if "source" in labels else ()), *([of.target] if "target" in labels else ())]
        inputs = self._inputs(views, _past(views), reads) if strategy.tune.inputs else None
        return network, Rows(tuple(self._labelled(views, name, reads) for name in sides), inputs)

    def carry(self, network: ItemNetwork, views: Views, strategy: Strategy) -> None:
        """Place the target's items by who took them where users are shared, and by their twins where items are."""
        labelled = "target" in strategy.tune.labels
        if "users" in self.settings.bridges and labelled:
            place_by_takers(network, views, self.settings.target)
        if "items" in self.settings.bridges:
            copy_shared_items(network, views, self.settings.target, blank=not labelled)

    def finishes(self, views: Views, strategy: Strategy) -> list[Finish]:
        """How often each target item was taken, as far as it may be known, and how much that may count.

        Zero-shot has the sources' rows alone, and only where items are the bridge: what is popular there may be so
        here.
        """
        weights, target = self.model.prior_weights, self.settings.target
        if "target" in strategy.tune.labels:
            return [{"prior_weight": weight} for weight in weights]
        catalogues = {name: view.label.catalogue for name, view in views.items()}
        nothing: Finish = {"counts": np.zeros(len(catalogues[target]), dtype=np.int64), "prior_weight": 0.0}
        if "items" not in self.settings.bridges:
            return [nothing]
        counts = taken_elsewhere(views[target].fields[PAST], catalogues, target)
        return [*({"counts": counts, "prior_weight": weight} for weight in weights), nothing]

    def told(self, finish: Finish) -> dict[str, float]:
        """The prior's weight."""
        return {"prior_weight": finish["prior_weight"]}

    def predictor(self, network: ItemNetwork, finish: Finish) -> NetworkRanker:
        """Rank the target's items; a copy, which may be trained on."""
        return NetworkRanker.of(network, network.target, **finish)

    def as_trained(self, network: ItemNetwork, view: View) -> NetworkRanker:
        """Rank the items of the view's domain, each as often taken as may be known."""
        return NetworkRanker.of(network, view.domain, counts=_taken(view.fields[PAST].taken, view.domain))

    def _network(self, views: Views, own: Collection[str]) -> ItemNetwork:
        """Random weights, drawn in the order of the views; the last domain is served in the end.

        Args:
            views: The domains that it knows.
            own: Those whose items get vectors of their own.
        """
        past, model = _past(views), self.model
        catalogues = {
            name: Catalogue(_taken(past, name), words(view, model.text_buckets), own=name in own)
            for name, view in views.items()
        }
        torch.manual_seed(self.settings.seed)
        return build_network(model, catalogues, list(views)[-1])

    def _labelled(self, views: Views, domain: str, reads: Sequence[str]) -> LabelledRows:
        """The labelled rows of one domain, seen through the histories that the model reads."""
        role: Role = "target" if domain == self.settings.target else "source"
        return LABELLED[type(self.model)](self.settings, views[domain], role, reads)

    def _inputs(self, views: Views, histories: Histories, reads: Sequence[str]) -> UnlabelledRows:
        """The target's users of the training split, without their labels, of whom the model can read anything."""
        of, target = self.settings, views[self.settings.target]
        known = target.fields[PAST].taken[of.target] if of.target_labels else target.label.seen
        readable = sum(np.diff(histories[name].indptr) for name in reads)
        users = np.flatnonzero((np.diff(known.indptr) > 0) & (readable > 0))
        if not len(users):
            raise CrossliftError(
                f"adapt_domain: no user of {of.target}'s training split has a history that a model of "
                f"{', '.join(of.sources)} can read, so there is nothing to adapt to; check "
                f"`bridges` ({', '.join(of.bridges)}), or leave the adaptation out."
            )
        return INPUTS[type(self.model)](of, torch.from_numpy(users), Past.over(histories).only(reads))


def has_text(view: View) -> bool:
    """Whether the items of a domain are described by words."""
    return c.TITLE in view.label.catalogue


def words(view: View, buckets: int) -> sparse.csr_matrix | None:
    """The words of a domain's items, binary CSR [I, buckets]; None where it has no titles."""
    if not has_text(view):
        return None
    items = view.label.catalogue
    lists = item_tokens(items, buckets)
    lengths = lists.map(len).to_numpy()
    indptr = np.concatenate([[0], lengths.cumsum()])
    indices = np.concatenate(lists.tolist()) if lengths.sum() else np.zeros(0, dtype=np.int64)
    return sparse.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=(len(items), buckets))


def copy_shared_items(network: ItemNetwork, views: Views, target: str, *, blank: bool) -> None:
    """Give target items the vectors of the source items with the same id; the others get none if `blank`."""
    own = network.items.own(target)
    if blank:
        nn.init.zeros_(own.weight)
    for source in reversed([name for name in views if name != target]):  # the first source has the last word
        table = network.items.own(source)
        shared, there = shared_items(views[target], views[source])
        with torch.no_grad():
            own.weight[shared] = table.weight[there]


def shared_items(target: View, source: View) -> tuple[IntArray, IntArray]:
    """Places of the items with the same id: in the target, and in the source."""
    ids = pd.Index(source.label.catalogue[c.ITEM])
    places = ids.get_indexer(pd.Index(target.label.catalogue[c.ITEM]))
    shared = np.flatnonzero(places >= 0)
    return shared, places[shared].astype(np.int64)


def place_by_takers(network: ItemNetwork, views: Views, target: str) -> None:
    """Start each target item at the mean features of the users who took it, as their source histories show them.

    x_i = mean_{u took i} u / sqrt(D), a class prototype (Snell, Swersky and Zemel, 2017) in the space of the source
    model: with users in common it ranks about as well as a trained target table before any training. Items without a
    taker whose source history is known keep their start. A taker counts what taking the item does.
    """
    histories = _past(views)
    with torch.no_grad():
        sources = histories.only([name for name in views if name != target])
        features = network.eval().encode(network.encoder.read(sources)).numpy()
    network.train()
    known = np.linalg.norm(features, axis=1) > 0
    takers = sparse.csr_matrix(histories[target][known].T)
    own = network.items.own(target)
    placed = np.flatnonzero(np.diff(takers.indptr))
    counts = np.asarray(takers[placed].sum(axis=1), dtype=np.float32)
    means = np.asarray(takers[placed] @ features[known], dtype=np.float32) / counts
    means /= np.float32(features.shape[1] ** 0.5)  # items are drawn near length one
    with torch.no_grad():
        own.weight[torch.from_numpy(placed)] = torch.from_numpy(means)


def in_source_items(views: Views, target: str) -> Past:
    """The same histories, what a user took in the target read as the sources' items with the same ids as well.

    What was taken in both counts once, the larger of the two, and when it was last taken.
    """
    read = _past(views)
    for source in (name for name in views if name != target):
        shared, there = shared_items(views[target], views[source])
        same = (np.ones(len(shared), np.float32), (shared, there))
        same_items = sparse.csr_matrix(same, shape=(read[target].shape[1], read[source].shape[1]))
        parts = (
            {**part, source: _largest(part[source], part[target] @ same_items)} if part else part
            for part in (read.taken, read.when)
        )
        read = Past(*parts)
    return read


def _largest(one: sparse.csr_matrix, other: sparse.csr_matrix) -> sparse.csr_matrix:
    """The larger of each two entries, in the order of rows and columns."""
    both = sparse.csr_matrix(one.maximum(sparse.csr_matrix(other)))
    both.sort_indices()
    return both


def _past(views: Views) -> Past:
    """What all users did in all domains: every view of a lane has the same."""
    past: Past = next(iter(views.values())).fields[PAST]
    return past


def _taken(histories: Histories, domain: str) -> NDArray[Any]:
    """How often each item of a domain was taken, by what it counts: [I]."""
    return np.asarray(histories[domain].sum(axis=0)).ravel()
