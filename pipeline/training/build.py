"""Models and rows for each phase of a transfer, from prepared domains."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import sparse

from pipeline.config import Scenario
from pipeline.data.prepared import DomainData, Domains
from pipeline.models.history import HistoryModel
from pipeline.tasks.ranking import InputRows, RankingRows
from pipeline.training.fit import Rows

if TYPE_CHECKING:
    from pipeline.data.prepared import Histories

State = dict[str, torch.Tensor]


def words(domain: DomainData, buckets: int) -> sparse.csr_matrix | None:
    """The words of a domain's items, binary CSR [I, buckets]; None where it has no titles."""
    if not domain.has_text:
        return None
    lists = domain.items["tokens"]
    lengths = lists.map(len).to_numpy()
    indptr = np.concatenate([[0], lengths.cumsum()])
    indices = np.concatenate(lists.tolist()) if lengths.sum() else np.zeros(0, dtype=np.int64)
    return sparse.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=(len(domain.items), buckets))


def new_model(
    scenario: Scenario, domains: tuple[DomainData, ...], histories: "Histories", own: frozenset[str]
) -> HistoryModel:
    """A model with random weights that knows these domains.

    Args:
        scenario: Whose model and seed.
        domains: The domains, in the order in which their weights are drawn.
        histories: Where the counts of each domain's items come from.
        own: The domains whose items get vectors of their own.
    """
    torch.manual_seed(scenario.seed)
    model = HistoryModel(scenario.model)
    for domain in domains:
        counts = np.asarray(histories[domain.name].sum(axis=0)).ravel()
        model.add_domain(domain.name, counts, words(domain, scenario.model.text_buckets), own=domain.name in own)
    return model


def copy_shared_items(model: HistoryModel, domains: Domains) -> None:
    """Give target items the vectors of the source items with the same id."""
    own = model.items(domains.target.name).own
    assert own is not None
    ids = domains.target.items["item_id"]
    for source in reversed(domains.sources):  # the first source has the last word
        table = model.items(source.name).own
        assert table is not None
        place = source.items.reset_index().set_index("item_id")["index"].reindex(ids).to_numpy()
        shared = np.flatnonzero(~np.isnan(place))
        with torch.no_grad():
            own.weight[shared] = table.weight[place[shared].astype(np.int64)]


def place_by_takers(model: HistoryModel, domains: Domains, histories: "Histories") -> None:
    """Start each target item at the mean features of the users who took it, as their source histories show them.

    x_i = mean_{u took i} u, a class prototype (Snell, Swersky and Zemel, 2017) in the space of the source model: with
    users in common it ranks about as well as a trained target table before any training. Items without a taker whose
    source history is known keep their start.
    """
    names = tuple(source.name for source in domains.sources)
    features = model.ranker(names[0], names).features({name: histories[name] for name in names})
    known = np.linalg.norm(features, axis=1) > 0
    takers = sparse.csr_matrix(histories[domains.target.name][known].T)
    counts = np.diff(takers.indptr)
    own = model.items(domains.target.name).own
    assert own is not None
    placed = np.flatnonzero(counts)
    means = np.asarray(takers[placed] @ features[known], dtype=np.float32) / counts[placed, None].astype(np.float32)
    with torch.no_grad():
        own.weight[torch.from_numpy(placed)] = torch.from_numpy(means)


def labelled(scenario: Scenario, domain: str, histories: "Histories", reads: tuple[str, ...]) -> RankingRows:
    """The labelled rows of one domain, seen through the histories that the model reads."""
    training, model = scenario.training, scenario.model
    return RankingRows(
        domain, {name: histories[name] for name in reads}, batch_size=training.batch_size,
        negatives=training.negatives, dropout=model.dropout, seed=scenario.seed,
    )  # fmt: skip


def target_inputs(scenario: Scenario, domains: Domains, reads: tuple[str, ...]) -> InputRows:
    """The target's users of the training split, without their labels, where they have anything that the model reads."""
    histories = domains.histories(("train", "valid"))
    readable = sum(np.diff(histories[name].indptr) for name in reads)
    users = np.flatnonzero((np.diff(histories[domains.target.name].indptr) > 0) & (readable > 0))
    chosen = {name: histories[name] for name in reads}
    seed = scenario.seed + 1  # not the draws of the labelled rows
    return InputRows(domains.target.name, torch.from_numpy(users), chosen, scenario.training.batch_size, seed)


def rows_of(target: str, labelled_rows: list[RankingRows], inputs: InputRows | None = None) -> Rows:
    """Rows for a fit."""
    return Rows(target, tuple(labelled_rows), inputs)
