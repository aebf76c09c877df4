"""Models over one space of items in each phase of a transfer: networks, batches and predictors from views."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import sparse

from pipeline import columns as c
from pipeline.config import ItemModel, Role, Strategy, TrainSettings
from pipeline.data.item_names import is_described
from pipeline.data.tokens import item_tokens
from pipeline.errors import CrossliftError, UserError
from pipeline.models.build import build_network
from pipeline.models.content import described
from pipeline.models.cutting import INPUTS, LABELLED
from pipeline.models.item_network import ItemNetwork
from pipeline.models.item_start import BEFORE, COUNTS, ITEMS
from pipeline.models.items import Catalogue
from pipeline.models.learner import Finish, State, Taught
from pipeline.models.network_ranker import NetworkRanker
from pipeline.models.sides import LabelledRows, Rows, UnlabelledRows
from pipeline.past import Histories, Past
from pipeline.views import PAST, FloatArray, IntArray, Mask, View, Views, taken_elsewhere

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ItemLearner:
    """A user is what the user did in all domains; where items are the bridge, one that domains share is one vector."""

    settings: TrainSettings
    taught: Taught = field(default_factory=dict)  # items of a registered model, and how often each was taken there

    @property
    def model(self) -> ItemModel:
        """The model's own settings."""
        assert isinstance(self.settings.model, ItemModel)
        return self.settings.model

    def pretrain(self, views: Views) -> tuple[ItemNetwork, Rows]:
        """All sources; each has own vectors of the items that no source before it has."""
        network = self._network(views, frozenset(views))
        return network, Rows(tuple(self._labelled(views, name, tuple(views)) for name in views))

    def adapt(self, views: Views) -> tuple[ItemNetwork, Rows]:
        """The sources' items by their own vectors, the target's by those of the same items there and by words.

        Raises:
            CrossliftError: the network can read nothing of any of the target's users.
        """
        of = self.settings
        network = self._network(views, frozenset(of.sources))
        labelled = tuple(self._labelled(views, name, of.sources) for name in of.sources)
        return network, Rows(labelled, self._inputs(network, views, of.domains))

    def tune(self, views: Views, strategy: Strategy) -> tuple[ItemNetwork, Rows]:
        """The same; the items that the target alone has get own vectors where its labels can say something of them."""
        of, labels = self.settings, strategy.tune.labels
        reads = (of.target,) if strategy.domains == "target" else of.domains
        known = {name: view for name, view in views.items() if name in reads}
        network = self._network(known, frozenset(reads if "target" in labels else of.sources))
        sides = [*(of.sources if "source" in labels else ()), *([of.target] if "target" in labels else ())]
        inputs = self._inputs(network, views, reads) if strategy.tune.inputs else None
        return network, Rows(tuple(self._labelled(views, name, reads) for name in sides), inputs)

    def teach(self, rows: Rows, views: Views, teacher: State) -> Rows:
        """Nothing: a teacher would have to score all items for every user, and no strategy on items has one."""
        del views, teacher
        return rows

    def carry(self, network: ItemNetwork, views: Views, strategy: Strategy) -> None:
        """Place the items that the target alone has by who took them, where users are shared."""
        if "users" in self.settings.bridges and "target" in strategy.tune.labels:
            place_by_takers(network, views, self.settings.target)

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
        counts = (
            self._taken_before(catalogues[target])
            if self.taught
            else taken_elsewhere(views[target].fields[PAST], catalogues, target)
        )
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
            own: Those that hold own vectors of the items which no view before them has.
        """
        past, model = _past(views), self.model
        ids = {name: pd.Index(view.label.catalogue[c.ITEM], dtype=object) for name, view in views.items()}
        said = {name: words(view, model.text_buckets) for name, view in views.items()}
        worth = {name: self._worth_a_vector(views[name], said[name]) for name in own}
        shared = "items" in self.settings.bridges
        if shared and self.taught.get(ITEMS):
            ids = {BEFORE: self._before(ids[self.settings.target]), **ids}
            worth[BEFORE] = np.ones(len(ids[BEFORE]), dtype=bool)
        rows = own_rows(ids, worth, shared=shared)
        catalogues = {
            name: Catalogue(_taken(past, name), said[name], rows[name], meanings(views[name], model.encoder))
            if name in views
            else Catalogue(np.zeros(len(items)), rows=rows[name])
            for name, items in ids.items()
        }
        torch.manual_seed(self.settings.seed)
        return build_network(model, catalogues, list(views)[-1])

    def _before(self, own: pd.Index) -> pd.Index:
        """The items of a registered model.

        Raises:
            UserError: the target has none of them.
        """
        known = pd.Index(self.taught[ITEMS], dtype=object)
        met = int(own.isin(known).sum())
        if not met:
            raise UserError(
                f"source_model: none of the {len(known):,} items that it knows is one of the {len(own):,} of "
                f"{self.settings.target}; look whether both write their ids alike, or take items out of bridges."
            )
        told = f"{met:,} of the {len(own):,} items of {self.settings.target}"
        log.info("the registered model has vectors of %s; the others begin at random, or by their words", told)
        return known

    def _taken_before(self, items: pd.DataFrame) -> FloatArray:
        """How often each item [I] of the target was taken where the registered model learnt."""
        taken = pd.Series(self.taught[COUNTS], index=pd.Index(self.taught[ITEMS], dtype=object), dtype=np.float64)
        return np.asarray(taken.reindex(items[c.ITEM].to_numpy(dtype=object)).fillna(0.0), dtype=np.float64)

    def _worth_a_vector(self, view: View, said: sparse.csr_matrix | None) -> Mask:
        """Which items [I] of a domain can learn a vector of their own: all, unless words are to stand for some.

        Then those that nobody took have none: it would learn only what they are not. Of a source, rows that choose
        count as well, so that what starts from it has the same.
        """
        items = view.label.catalogue
        if not self.model.own_dropout or said is None:
            return np.ones(len(items), dtype=bool)
        own = view.domain == self.settings.target
        taken = _taken(view.fields[PAST].taken, view.domain) if own else items["train_count"].to_numpy()
        return np.asarray((taken > 0) | (np.diff(said.indptr) == 0), dtype=bool)

    def _labelled(self, views: Views, domain: str, reads: Sequence[str]) -> LabelledRows:
        """The labelled rows of one domain, seen through the histories that the model reads."""
        role: Role = "target" if domain == self.settings.target else "source"
        return LABELLED[type(self.model)](self.settings, views[domain], role, reads)

    def _inputs(self, network: ItemNetwork, views: Views, reads: Sequence[str]) -> UnlabelledRows:
        """The target's users of the training split, without their labels, of whom the model can read anything."""
        of, target, past = self.settings, views[self.settings.target], _past(views)
        known = past[of.target] if of.target_labels else target.label.seen
        readable = sum(past[name] @ network.items.known(name) for name in reads)
        users = np.flatnonzero((np.diff(known.indptr) > 0) & (readable > 0))
        if not len(users):
            raise CrossliftError(
                f"adapt_domain: no user of {of.target}'s training split has a history that a model of "
                f"{', '.join(of.sources)} can read, so there is nothing to adapt to; check "
                f"`bridges` ({', '.join(of.bridges)}), or leave the adaptation out."
            )
        return INPUTS[type(self.model)](of, torch.from_numpy(users), past.only(reads))


def has_text(view: View) -> bool:
    """Whether anything describes the items of a domain."""
    return is_described(view.label.catalogue)


def words(view: View, buckets: int) -> sparse.csr_matrix | None:
    """The words of a domain's items, binary CSR [I, buckets]; None where nothing describes them."""
    if not has_text(view):
        return None
    items = view.label.catalogue
    lists = item_tokens(items, buckets)
    lengths = lists.map(len).to_numpy()
    indptr = np.concatenate([[0], lengths.cumsum()])
    indices = np.concatenate(lists.tolist()) if lengths.sum() else np.zeros(0, dtype=np.int64)
    return sparse.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=(len(items), buckets))


def meanings(view: View, encoder: str | None) -> NDArray[np.float16] | None:
    """What a pretrained encoder says of a domain's items: [I, E]; None where none is asked, or nothing is said."""
    if encoder is None or not has_text(view):
        return None
    return described(view.label).astype(np.float16)


def own_rows(ids: Mapping[str, pd.Index], own: Mapping[str, Mask], *, shared: bool) -> dict[str, IntArray]:
    """The number of each item's own vector, counted in the order of the domains; -1 where it has none.

    Args:
        ids: The different item ids [I_d] of each domain.
        own: Domains that hold own vectors, and of which [I_d] of the items that no domain before them has.
        shared: Whether one id is one item in all domains; else no two have one in common.
    """
    known: pd.Index = pd.Index([], dtype=object)
    found: dict[str, IntArray] = {}
    for name, items in ids.items():
        rows = known.get_indexer(items).astype(np.int64) if shared else np.full(len(items), -1, dtype=np.int64)
        if name in own:
            fresh = np.flatnonzero((rows < 0) & own[name])
            rows[fresh] = len(known) + np.arange(len(fresh))
            known = known.append(items[fresh])
        found[name] = rows
    return found


def place_by_takers(network: ItemNetwork, views: Views, target: str) -> None:
    """Start each target item at the mean features of the users who took it, as their source histories show them.

    x_i = mean_{u took i} u / sqrt(D), a class prototype (Snell, Swersky and Zemel, 2017) in the space of the source
    model: with users in common it ranks about as well as a trained target table before any training. Items without a
    taker whose source history is known keep their start, and so do those that the source has as well. A taker counts
    what taking the item does.
    """
    histories, items = _past(views), network.items.of(target)
    if items.own is None:
        return
    network.eval()  # as it serves: all that it knows
    with torch.no_grad():
        sources = histories.only([name for name in views if name != target])
        features = network.encode(network.encoder.read(sources)).numpy()
    network.train()
    known = np.linalg.norm(features, axis=1) > 0
    takers = sparse.csr_matrix(histories[target][known].T)[items.fresh]
    placed = np.flatnonzero(np.diff(takers.indptr))
    counts = np.asarray(takers[placed].sum(axis=1), dtype=np.float32)
    means = np.asarray(takers[placed] @ features[known], dtype=np.float32) / counts
    means /= np.float32(features.shape[1] ** 0.5)  # items are drawn near length one
    with torch.no_grad():
        items.own.weight[torch.from_numpy(placed)] = torch.from_numpy(means)


def _past(views: Views) -> Past:
    """What all users did in all domains: every view of a lane has the same."""
    past: Past = next(iter(views.values())).fields[PAST]
    return past


def _taken(histories: Histories, domain: str) -> NDArray[Any]:
    """How often each item of a domain was taken, by what it counts: [I]."""
    return np.asarray(histories[domain].sum(axis=0)).ravel()
