"""What serves rankings: items and histories beside the model, read from a package and written into it.

Shapes: U users with a history, I_d items of domain d, n requests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from pipeline import columns as c
from pipeline.config import RankingTask, TaskConfig
from pipeline.errors import ConfigError, StorageError, UserError
from pipeline.past import Histories, Past
from pipeline.rows.interactions.filters import CANDIDATES, CATEGORIES
from pipeline.rows.interactions.prepared import Domains
from pipeline.rows.interactions.requests import HISTORY, HISTORY_EVENTS, HISTORY_TIMES, SOURCE_HISTORY, TIME, answer
from pipeline.rows.kind import EXPLAIN, Carried, PackageInfo
from pipeline.rows.learnt import LEARNT, NOTHING, Learnt
from pipeline.views import WEIGHT, IntArray, ItemScorer

ITEM = "item"  # the label
_TESTED = "tested.parquet"
_SECONDS = "seconds"  # what orders histories, where that is a time


@dataclass(frozen=True)
class OtherNight:
    """A scorer that speaks of another night's items.

    Args:
        scorer: The model, which knows its own items by their places.
        places: For each domain that it knows [I_d of the other night], the place of each item; -1 where unknown.
        sizes: How many items it knows of each domain.
        target: The domain whose items are ranked.
    """

    scorer: ItemScorer
    places: Mapping[str, IntArray]
    sizes: Mapping[str, int]
    target: str

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        """Score the other night's items [n, I]; those that the model does not know get minus infinity: they come last.

        Unknown domains are left out.
        """
        own = (
            Past.over(histories)
            .only(self.places)
            .each(lambda name, matrix: _recolumn(matrix, self.places[name], self.sizes[name]))
        )
        known, targets = self.scorer.scores(own), self.places[self.target]
        result = np.full((known.shape[0], len(targets)), -np.inf, dtype=np.float32)
        result[:, targets >= 0] = known[:, targets[targets >= 0]]
        return result


@dataclass(frozen=True)
class ServedInteractions:
    """A package in memory.

    Args:
        info: What the package is.
        ranker: The evaluated model.
        items: Items of each domain in dense order: item_id, train_count and, where there are any, title and
            category.
        users: [U] user ids, sorted.
        histories: Of U + 1 users: what each thing counts, 0 if it is known and no sign; the last row is empty, so that
            place -1 is a user without history.
        before: The rows that what it began with had learnt from.
        tested: What users took that the model was judged by, and knows nothing of: [U' + 1, I], the last row empty.
        tested_users: [U'] their ids, sorted.
    """

    info: PackageInfo
    ranker: ItemScorer
    items: Mapping[str, pd.DataFrame]
    users: pd.Index
    histories: Past
    before: Learnt
    tested: sparse.csr_matrix
    tested_users: pd.Index

    @cached_property
    def learnt(self) -> Learnt:
        """Of which user and item each row is that it was trained on."""
        users, named = self.users.to_numpy(dtype=object), {}
        for name, items in self.items.items():
            taken, ids = self.histories[name].tocoo(), items[c.ITEM].to_numpy(dtype=object)
            named[name] = pd.MultiIndex.from_arrays([users[taken.row], ids[taken.col]])
        return Learnt.of(named) | self.before

    @cached_property
    def everyone(self) -> tuple[pd.Index, IntArray, IntArray]:
        """All user ids [E], and the places [E + 1] of each among those with a history, and with test rows.

        -1 where a user is not among them; the last entry, at place -1, is that of nobody.
        """
        every = self.users.union(self.tested_users)
        history, tested = (np.append(own.get_indexer(every), -1) for own in (self.users, self.tested_users))
        return every, history, tested

    @property
    def requests(self) -> dict[str, str]:
        """A user, what somebody took, and what may be answered; each may be left out."""
        timed = {TIME: "any", HISTORY_TIMES: "texts"} if self.histories.timed else {}
        kinds = {HISTORY_EVENTS: "texts"} if self.histories.kinds else {}
        lists = dict.fromkeys((HISTORY, SOURCE_HISTORY, CANDIDATES, CATEGORIES), "texts")
        return {c.USER: "any", **lists, **timed, **kinds}

    def answer(self, frame: pd.DataFrame, params: Mapping[str, Any]) -> pd.DataFrame:
        """Rank the k best target items for each request; see `pipeline.rows.interactions.requests.answer`."""
        return answer(self, frame, int(params["k"]), int(params.get(EXPLAIN, 0)))

    def on(self, prepared: Domains) -> OtherNight:
        """Make the model rank another night's catalogue from that night's histories.

        Raises:
            ConfigError: the other night's target is another domain.
        """
        if prepared.target.name != self.info.target:
            raise ConfigError(
                f"target: {self.info.scenario} now names {prepared.target.name!r}, but the model that serves ranks "
                f"{self.info.target!r}; give the changed scenario a name of its own."
            )
        known = [domain for domain in prepared.all if domain.name in self.items]
        places = {domain.name: self._places(domain.name, domain.items[c.ITEM]) for domain in known}
        return OtherNight(self.ranker, places, {name: len(self.items[name]) for name in places}, self.info.target)

    def carried(self, task: TaskConfig) -> Carried:
        """The ranker, with the items that it knows.

        Raises:
            UserError: the other task ranks nothing.
        """
        if not task.labels & RankingTask.labels:
            raise UserError(
                f"source_model: it ranks items, and the task {task.name} does not; name a model of that task."
            )
        names = dict.fromkeys((self.info.target, *self.items))
        return Carried({ITEM: self.ranker}, {name: self.items[name] for name in names})

    def examples(self) -> list[dict[str, Any]]:
        """Make the three ways of being served: a known user, a history that belongs to nobody, and nothing at all."""
        target = self.items[self.info.target]
        popular = target.sort_values(["train_count", c.ITEM], ascending=[False, True])[c.ITEM].head(3).tolist()
        user = str(self.users[0]) if len(self.users) else None
        return [
            {c.USER: user, HISTORY: []},
            {c.USER: None, HISTORY: [str(item) for item in popular]},
            {c.USER: None, HISTORY: []},
        ]

    def _places(self, domain: str, item_ids: "pd.Series[str]") -> IntArray:
        """Find the place in this package of each item; -1 where it is not known."""
        return np.asarray(pd.Index(self.items[domain][c.ITEM]).get_indexer(pd.Index(item_ids)), dtype=np.int64)


class ServeInteractions:
    """Packages that rank items.

    What the test rows hold is written as well, by itself: no model has learnt from it, and nobody wants it twice.
    """

    params: ClassVar[Mapping[str, int]] = {"k": 10, EXPLAIN: 0}  # how many items, and how many reasons of each
    example_params: ClassVar[Mapping[str, int]] = {"k": 5}

    def write(self, folder: Path, prepared: Domains, before: Learnt) -> None:
        """Write the items of each domain and what users took: what was learnt from; equal domains give equal bytes."""
        for domain in prepared.all:
            columns = [c.ITEM, "train_count", *(name for name in (c.TITLE, c.CATEGORY) if name in domain.items)]
            items = domain.items[columns]
            items.to_parquet(folder / f"items.{domain.name}.parquet", index=False, compression="zstd")
        _write_histories(folder, prepared)
        _write_tested(folder, prepared)
        if before.rows:
            before.write(folder)

    def read(self, folder: Path, info: PackageInfo, predictor: ItemScorer) -> ServedInteractions:
        """Read what `write` wrote.

        Raises:
            StorageError: a file is missing or damaged.
        """
        try:
            items = {name: pd.read_parquet(folder / f"items.{name}.parquet") for name in info.domains}
            users, histories = _read_histories(folder, items)
            tested, tested_users = _read_tested(folder, len(items[info.target]))
            before = Learnt.read(folder) if (folder / LEARNT).exists() else NOTHING
        except (OSError, pa.ArrowInvalid) as error:
            raise StorageError(f"{folder}: expected a package of a served model ({error}).") from error
        return ServedInteractions(info, predictor, items, users, histories, before, tested, tested_users)


def _write_histories(folder: Path, domains: Domains) -> None:
    users = domains.users.to_numpy(dtype=object)
    weighed, past = any(WEIGHT in domain.rows for domain in domains.all), domains.known()
    tables = []
    for domain in domains.all:
        matrix = past.taken[domain.name]
        present = np.flatnonzero(np.diff(matrix.indptr))
        offsets = pa.array(np.append(matrix.indptr[present], matrix.indptr[-1]).astype(np.int32))
        columns = {c.USER: pa.array(users[present], pa.string()),
                   c.DOMAIN: pa.array(np.full(len(present), domain.name, dtype=object), pa.string()),
                   "items": pa.ListArray.from_arrays(offsets, pa.array(matrix.indices.astype(np.int32)))}  # fmt: skip
        if weighed:
            columns["weights"] = pa.ListArray.from_arrays(offsets, pa.array(matrix.data, pa.float32()))
        if past.when:
            when = pa.array(past.when[domain.name].data, pa.float64())
            columns[_SECONDS if past.timed else "when"] = pa.ListArray.from_arrays(offsets, when)
        if past.kinds:
            kinds = pa.array(past.kinds[domain.name].data.astype(np.int16))
            columns["kinds"] = pa.ListArray.from_arrays(offsets, kinds)
        tables.append(pa.table(columns))
    pq.write_table(pa.concat_tables(tables), folder / "histories.parquet", compression="zstd")


def _read_histories(folder: Path, items: Mapping[str, pd.DataFrame]) -> tuple[pd.Index, Past]:
    table = pq.read_table(folder / "histories.parquet")
    ids = table[c.USER].to_numpy(zero_copy_only=False)
    users = pd.Index(np.unique(ids.astype(object)), dtype=object, name=c.USER)
    lists = table["items"].combine_chunks()
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False)
    rows = np.repeat(users.get_indexer(pd.Index(ids, dtype=object)), lengths)
    domains = np.repeat(table[c.DOMAIN].to_numpy(zero_copy_only=False), lengths)
    taken = lists.flatten().to_numpy(zero_copy_only=False)

    def placed(values: NDArray[Any]) -> dict[str, sparse.csr_matrix]:
        return {
            name: sparse.csr_matrix(
                (values[domains == name], (rows[domains == name], taken[domains == name])),
                shape=(len(users) + 1, len(frame)),
            )
            for name, frame in items.items()
        }

    told = {
        column: placed(table[column].combine_chunks().flatten().to_numpy(zero_copy_only=False))
        for column in ("weights", "when", _SECONDS, "kinds")
        if column in table.column_names
    }
    counts = told.get("weights") or placed(np.ones(len(taken), dtype=np.float32))
    timed = _SECONDS in told
    return users, Past(counts, told.get(_SECONDS if timed else "when", {}), told.get("kinds", {}), timed)


def _write_tested(folder: Path, domains: Domains) -> None:
    """What users of the target took in its test rows, a row each; no file where nobody did."""
    matrix = domains.matrix(domains.target, (c.TEST,), thinned=False)
    present = np.flatnonzero(np.diff(matrix.indptr))
    if not len(present):
        return
    users = pa.array(domains.users.to_numpy(dtype=object)[present], pa.string())
    offsets = pa.array(np.append(matrix.indptr[present], matrix.indptr[-1]).astype(np.int32))
    items = pa.ListArray.from_arrays(offsets, pa.array(matrix.indices.astype(np.int32)))
    pq.write_table(pa.table({c.USER: users, "items": items}), folder / _TESTED, compression="zstd")


def _read_tested(folder: Path, count: int) -> tuple[sparse.csr_matrix, pd.Index]:
    """The same over `count` items, with an empty row more, and the users; packages of before have none."""
    users, lists = np.empty(0, dtype=object), pa.array([], pa.list_(pa.int32()))
    if (folder / _TESTED).exists():
        table = pq.read_table(folder / _TESTED)
        users, lists = table[c.USER].to_numpy(zero_copy_only=False).astype(object), table["items"].combine_chunks()
    lengths, places = lists.value_lengths().to_numpy(zero_copy_only=False), lists.flatten().to_numpy()
    starts = np.concatenate([[0], lengths.cumsum(), [len(places)]])
    taken = sparse.csr_matrix((np.ones(len(places), np.float32), places, starts), shape=(len(users) + 1, count))
    return taken, pd.Index(users, dtype=object, name=c.USER)


def _recolumn(matrix: sparse.csr_matrix, places: IntArray, width: int) -> sparse.csr_matrix:
    """Move column j to `places[j]`; where that is -1 it is left out."""
    coo = matrix.tocoo()
    known = places[coo.col] >= 0
    return sparse.csr_matrix(
        (coo.data[known], (coo.row[known], places[coo.col[known]])), shape=(matrix.shape[0], width)
    )
