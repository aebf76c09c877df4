"""The splits and features of one domain, and several domains side by side over the union of their users.

Shapes: U users of all domains together, I_d items of domain d.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from pipeline import columns as c
from pipeline.config import Bridge, Encoded
from pipeline.data.embeddings import Embeddings, is_empty
from pipeline.data.item_names import described, item_texts
from pipeline.data.splits import PART, TEST, baskets, is_kept, order_column, places_by
from pipeline.past import Past
from pipeline.rows.interactions.pasts import known_of, past_of
from pipeline.rows.interactions.recent import recent_items
from pipeline.rows.interactions.weights import RELEVANT, train_counts
from pipeline.rows.kind import PARTED_UNIT
from pipeline.views import PAST, ROW, UNIT, WEIGHT, IntArray, ItemLabel, Mask, View, taken_elsewhere

BASKET = "basket"
PART_CODES = {part: code for code, part in enumerate(c.PARTS)}  # 0 train, 1 valid, 2 test


@dataclass(frozen=True)
class DomainData:
    """One domain as arrays; dense ids are places in `users` and `items`.

    `rows` has the columns user, item (dense ids, int32), part (0 train, 1 valid, 2 test; int8), kept (bool: False where
    thinning took a training or validation row away) and, where the data has time, timestamp, else position where it has
    that; where rows have them `event`, `basket` (of those who name their order), `weight` (float32, how they count) and
    `relevant` (bool, which held-out rows are answers); sorted by user and item. A validation row is a training row too,
    held out while settings are chosen. `items` has item_id, `train_count` (what kept rows for training and validation
    count together) and what describes it, as it was brought.
    """

    name: str
    users: pd.DataFrame
    items: pd.DataFrame
    rows: pd.DataFrame

    @classmethod
    def build(
        cls, name: str, rows: pd.DataFrame, goods: pd.DataFrame | None, share: float, draw: int = 0
    ) -> "DomainData":
        """A domain from its rows with their part, and its table of items where it has one.

        The catalogue is every item that has a row for training or validation before thinning, or stands in the table.
        Test rows on other items are left out.

        Args:
            name: The domain.
            rows: What a split gave: user_id, item_id, part, what orders them, and weight and relevant if there are any.
            goods: Items with item_id and what describes them.
            share: Share of the rows for training and validation that thinning keeps, in [0, 1].
            draw: Which of the draws of that share.
        """
        known = [rows.loc[rows[PART] != TEST, c.ITEM], *([] if goods is None else [goods[c.ITEM]])]
        items = pd.Index(np.unique(np.concatenate([np.asarray(column.unique(), dtype=object) for column in known])))
        codes, taken = pd.factorize(rows[c.ITEM])
        places = items.get_indexer(pd.Index(taken, dtype=object))[codes]
        rows, places = rows[places >= 0], places[places >= 0]
        owners, users = pd.factorize(rows[c.USER], sort=True)
        kept = (rows[PART].to_numpy() == TEST) | is_kept(rows, share, draw)
        order = order_column(rows)
        table = pd.DataFrame(
            {
                "user": owners.astype(np.int32),
                "item": places.astype(np.int32),
                PART: rows[PART].to_numpy(dtype=np.int8),
                "kept": kept,
                **({order: rows[order].array} if order else {}),
                **({c.EVENT: rows[c.EVENT].astype("category").array} if c.EVENT in rows else {}),
                **({BASKET: baskets(rows).to_numpy()} if c.ORDER in rows else {}),
                **({WEIGHT: rows[WEIGHT].to_numpy(dtype=np.float32)} if WEIGHT in rows else {}),
                **({RELEVANT: rows[RELEVANT].to_numpy()} if RELEVANT in rows else {}),
            }
        )
        numbers = (owners.astype(np.int64) * len(items) + places) * len(c.PARTS) + table[PART].to_numpy()
        table = table.take(places_by(table, numbers)).reset_index(drop=True)
        catalogue = pd.DataFrame({c.ITEM: items, "train_count": train_counts(table, len(items))})
        people = pd.DataFrame({c.USER: np.asarray(users, dtype=object)})
        return cls(name, people, described(catalogue, goods), table)

    @classmethod
    def read(cls, folder: Path, name: str) -> "DomainData":
        """The domain that `prepare` published in a folder."""
        return cls(name, *(pd.read_parquet(folder / f"{part}.parquet") for part in ("users", "items", "rows")))

    def write(self, folder: Path) -> None:
        """Write the three tables; equal tables give equal bytes."""
        for part in ("users", "items", "rows"):
            getattr(self, part).to_parquet(folder / f"{part}.parquet", index=False, compression="zstd")

    @property
    def answers(self) -> Mask:
        """Which rows are answers to be found once they are held out."""
        every = np.ones(len(self.rows), dtype=bool)
        return self.rows[RELEVANT].to_numpy() if RELEVANT in self.rows else every


@dataclass(frozen=True)
class Domains:
    """Source domains and the target over one index of users, which is made anew whenever domains meet."""

    units: ClassVar[str] = "users"
    sources: tuple[DomainData, ...]
    target: DomainData
    embeddings: Embeddings | None = None  # what a pretrained encoder says of the items' texts

    @classmethod
    def read(cls, folders: Mapping[str, Path], target: str, embeddings: Embeddings | None = None) -> "Domains":
        """What `prepare` published of each domain; the sources in the order of the folders."""
        every = {name: DomainData.read(folder, name) for name, folder in folders.items()}
        return cls(tuple(data for name, data in every.items() if name != target), every[target], embeddings)

    def contents(self, kind: Encoded) -> list[str]:
        """The different texts of all items, but for empty ones, in the order of their letters; of pictures none."""
        assert kind == "text", "no model of items names an encoder of pictures"
        every = pd.concat([item_texts(domain.items) for domain in self.all])
        return sorted(every[~is_empty(every)].unique())

    @cached_property
    def all(self) -> tuple[DomainData, ...]:
        """The sources, then the target."""
        return (*self.sources, self.target)

    @property
    def name(self) -> str:
        """The domain that is the target."""
        return self.target.name

    def of_sources(self) -> "Domains":
        """The sources alone, the first in the target's place."""
        return replace(self, sources=self.sources[1:], target=self.sources[0])

    def each_placed(self) -> tuple["Domains", ...]:
        """Each domain in the target's place, the others beside it; the target first."""
        every = (self.target, *self.sources)
        return tuple(
            replace(self, sources=tuple(other for other in every if other is not one), target=one) for one in every
        )

    def with_all_rows(self) -> "Domains":
        """The same as before thinning."""
        rows, items = self.target.rows.assign(kept=True), self.target.items
        counts = train_counts(rows, len(items))
        return replace(self, target=replace(self.target, rows=rows, items=items.assign(train_count=counts)))

    def folds(self) -> "tuple[Domains, ...]":
        """As they are: of each user's rows some are held out, and people are many."""
        return (self,)

    def parted(self) -> pd.DataFrame:
        """The target's rows that are used, with part, user and time."""
        rows = self.target.rows
        return rows[rows["kept"] | (rows["part"] == PART_CODES[c.TEST])].rename(columns={"user": PARTED_UNIT})

    @cached_property
    def users(self) -> pd.Index:
        """The union of the domains' user ids, sorted."""
        ids = [domain.users[c.USER] for domain in self.all]
        union: pd.Index = pd.Index(
            np.unique(np.concatenate([column.to_numpy(dtype=object) for column in ids])), name=c.USER
        )
        return union

    def user_index(self, domain: DomainData) -> IntArray:
        """Place in the union of each of a domain's users."""
        return self.users.get_indexer(pd.Index(domain.users[c.USER])).astype(np.int64)

    def matrix(
        self, domain: DomainData, parts: tuple[str, ...] = (c.TRAIN,), *, thinned: bool = True
    ) -> sparse.csr_matrix:
        """What users took: binary [U, I_d] over the rows of the parts, those that thinning kept or all of them."""
        rows = self.chosen(domain, parts, thinned=thinned)
        matrix = self.placed(domain, rows, np.ones(len(rows), dtype=np.float32))
        matrix.data[:] = 1.0
        return matrix

    def weighed(self, domain: DomainData, parts: tuple[str, ...]) -> sparse.csr_matrix:
        """What users took by what it counts: float32 [U, I_d] over kept rows; an entry of 0 is known, but no sign.

        A user and item in two parts, as a shipped split may have them, count what the larger one does.
        """
        if WEIGHT not in domain.rows:
            return self.matrix(domain, parts)
        rows = self.chosen(domain, parts, thinned=True).sort_values(WEIGHT, kind="stable")
        rows = rows.drop_duplicates(["user", "item"], keep="last").sort_index()
        return self.placed(domain, rows, rows[WEIGHT].to_numpy())

    @staticmethod
    def chosen(domain: DomainData, parts: tuple[str, ...], *, thinned: bool) -> pd.DataFrame:
        """A domain's rows of the parts, those that thinning kept or all of them."""
        wanted = np.isin(domain.rows["part"].to_numpy(), [PART_CODES[part] for part in parts])
        return domain.rows[wanted & domain.rows["kept"].to_numpy() if thinned else wanted]

    def placed(self, domain: DomainData, rows: pd.DataFrame, values: NDArray[Any]) -> sparse.csr_matrix:
        """Values of rows of a domain, those of one user and item added up: [U, I_d]."""
        users = self.user_index(domain)[rows["user"].to_numpy()]
        shape = (len(self.users), len(domain.items))
        matrix = sparse.csr_matrix((values, (users, rows["item"].to_numpy())), shape=shape)
        matrix.sum_duplicates()
        return matrix

    def histories(self, parts: tuple[str, ...] = (c.TRAIN,), judged: str | None = None) -> Past:
        """What is known of each domain; the target's parts as named, the sources' always train and valid.

        Of a part that is `judged` nothing later is known, see `past_of`.
        """
        return past_of(self, {**self._every, self.target.name: parts}, judged)

    def known(self) -> Past:
        """What is known of each domain when it serves, with what counts nothing."""
        return known_of(self, self._every)

    @property
    def _every(self) -> dict[str, tuple[str, ...]]:
        return dict.fromkeys((domain.name for domain in self.all), (c.TRAIN, c.VALID))

    def seen(self, domain: DomainData, parts: tuple[str, ...]) -> sparse.csr_matrix:
        """What is left out of a user's ranking: a domain's rows of the parts, also those that thinning took away.

        So each user has the same items to rank at every share, and an item that the user is known to have taken does
        not count as a wrong answer.
        """
        return self.matrix(domain, parts, thinned=False)

    def training(self, held_back: Collection[str] = ()) -> dict[str, View]:
        """The rows of each domain that may be learnt from: each user and item once, those of weight 0 left out.

        Args:
            held_back: Domains whose validation rows choose, and are not among them.
        """
        parts = {one.name: (c.TRAIN,) if one.name in held_back else (c.TRAIN, c.VALID) for one in self.all}
        past = past_of(self, parts)
        found = {}
        for one in self.all:
            pairs = past.taken[one.name].tocoo()
            weights = {WEIGHT: pairs.data} if WEIGHT in one.rows else {}
            rows = pd.DataFrame({ROW: np.arange(pairs.nnz), UNIT: pairs.row.astype(np.int64), **weights})
            seen = self.seen(one, parts[one.name])
            label = ItemLabel(pairs.col.astype(np.int64), one.items, seen, embeddings=self.embeddings)
            found[one.name] = View(one.name, rows, {PAST: past}, (label,))
        return found

    def held_out(self, part: str) -> View:
        """The target's answers of a part, of items in the catalogue, with what may be known when they are predicted.

        Validation rows are predicted from training rows, test rows from training and validation rows. Thinning takes
        validation rows too: a poor target has few rows to choose by.
        """
        known = (c.TRAIN,) if part == c.VALID else (c.TRAIN, c.VALID)
        rows = self.target.rows
        chosen = rows[(rows["part"] == PART_CODES[part]) & rows["kept"] & self.target.answers]
        users = self.user_index(self.target)[chosen["user"].to_numpy()]
        table = pd.DataFrame({ROW: chosen.index.to_numpy(), UNIT: users})
        places, seen = chosen["item"].to_numpy(dtype=np.int64), self.seen(self.target, known)
        label = ItemLabel(places, self.target.items, seen, embeddings=self.embeddings)
        return View(self.target.name, table, {PAST: self.histories(known, part)}, (label,))

    def stand_in(self, bridges: Collection[Bridge]) -> View:
        """The validation rows; as of strangers where items alone are the bridge, as the target's users will be."""
        view = self.held_out(c.VALID)
        if "items" in bridges and "users" not in bridges:
            return replace(view, fields={PAST: view.fields[PAST].emptied()})
        return view

    def named(self, view: View) -> pd.MultiIndex:
        """Name rows by user_id and item_id."""
        users = self.users.to_numpy(dtype=object)[view.units]
        return pd.MultiIndex.from_arrays([users, view.label.catalogue[c.ITEM].to_numpy(dtype=object)[view.label.value]])

    def recent(self, view: View, most: int) -> list[tuple[str, ...]]:
        """What each row's user took last, in all domains, as far as it was known before the test.

        The newest first where rows have times; else each domain by its positions, the target first.
        """
        return recent_items(self, view.units, most)

    def as_served(self, bridges: Collection[Bridge], *, target_labels: bool, personal: Collection[str]) -> "Domains":
        """The same; where nothing of the target was learnt from, an item is as popular as the sources have it."""
        del personal  # its example shows a pseudonym and popular items
        if target_labels or "items" not in bridges:
            return self
        catalogues = {domain.name: domain.items for domain in self.all}
        taken = taken_elsewhere(self.histories((c.TRAIN, c.VALID)), catalogues, self.target.name)
        counts = pd.Series(taken).astype(self.target.items["train_count"].dtype).to_numpy()
        return replace(self, target=replace(self.target, items=self.target.items.assign(train_count=counts)))
