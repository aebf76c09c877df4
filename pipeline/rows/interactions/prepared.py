"""The splits and features of one domain, and several domains side by side over the union of their users.

Shapes: U users of all domains together, I_d items of domain d.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy import sparse

from pipeline import columns as c
from pipeline.config import Bridge
from pipeline.data.splits import PART, TEST, baskets, is_kept, order_column, places_by
from pipeline.rows.interactions.recent import recent_items
from pipeline.rows.kind import PARTED_UNIT
from pipeline.views import PAST, ROW, UNIT, IntArray, ItemLabel, Past, View, taken_elsewhere

BASKET = "basket"
PART_CODES = {part: code for code, part in enumerate(c.PARTS)}  # 0 train, 1 valid, 2 test


@dataclass(frozen=True)
class DomainData:
    """One domain as arrays; dense ids are places in `users` and `items`.

    `rows` has the columns user, item (dense ids, int32), part (0 train, 1 valid, 2 test; int8), kept (bool: False where
    thinning took a training or validation row away) and, where the data has time, timestamp, else position where it has
    that, and `basket` where rows name their order; sorted by user and item. A validation row is a training row too,
    held out while settings are chosen. `items` has item_id, its training count `train_count` (kept rows for training
    and validation) and, where titles exist, title and category as they were brought.
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
            rows: What a split gave: user_id, item_id, part and what orders them.
            goods: Items with item_id and, where they have them, title and category.
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
                **({BASKET: baskets(rows).to_numpy()} if c.ORDER in rows else {}),
            }
        )
        numbers = (owners.astype(np.int64) * len(items) + places) * len(c.PARTS) + table[PART].to_numpy()
        table = table.take(places_by(table, numbers)).reset_index(drop=True)
        trained = table.loc[table["kept"] & (table[PART] != TEST), "item"]
        catalogue = pd.DataFrame(
            {c.ITEM: items, "train_count": np.bincount(trained, minlength=len(items)).astype(np.int64)}
        )
        if goods is not None and c.TITLE in goods and goods[c.TITLE].notna().any():
            described = goods.drop_duplicates(c.ITEM).set_index(c.ITEM).reindex(items)
            for column in (c.TITLE, c.CATEGORY):
                if column in described:
                    catalogue[column] = described[column].array
        return cls(name, pd.DataFrame({c.USER: np.asarray(users, dtype=object)}), catalogue, table)

    @classmethod
    def read(cls, folder: Path, name: str) -> "DomainData":
        """The domain that `prepare` published in a folder."""
        return cls(name, *(pd.read_parquet(folder / f"{part}.parquet") for part in ("users", "items", "rows")))

    def write(self, folder: Path) -> None:
        """Write the three tables; equal tables give equal bytes."""
        for part in ("users", "items", "rows"):
            getattr(self, part).to_parquet(folder / f"{part}.parquet", index=False, compression="zstd")

    @cached_property
    def has_text(self) -> bool:
        """Whether items are described by words."""
        return c.TITLE in self.items


@dataclass(frozen=True)
class Domains:
    """Source domains and the target over one index of users, which is made anew whenever domains meet."""

    units: ClassVar[str] = "users"
    sources: tuple[DomainData, ...]
    target: DomainData

    @classmethod
    def read(cls, folders: Mapping[str, Path], target: str) -> "Domains":
        """What `prepare` published of each domain; the sources in the order of the folders."""
        every = {name: DomainData.read(folder, name) for name, folder in folders.items()}
        return cls(tuple(data for name, data in every.items() if name != target), every[target])

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
        return Domains(self.sources[1:], self.sources[0])

    def each_placed(self) -> tuple["Domains", ...]:
        """Each domain in the target's place, the others beside it; the target first."""
        every = (self.target, *self.sources)
        return tuple(Domains(tuple(other for other in every if other is not one), one) for one in every)

    def with_all_rows(self) -> "Domains":
        """The same as before thinning."""
        rows, items = self.target.rows.assign(kept=True), self.target.items
        trained = rows.loc[rows["part"] != PART_CODES[c.TEST], "item"]
        counts = np.bincount(trained, minlength=len(items)).astype(np.int64)
        return Domains(self.sources, replace(self.target, rows=rows, items=items.assign(train_count=counts)))

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
        rows = domain.rows
        wanted = np.isin(rows["part"].to_numpy(), [PART_CODES[part] for part in parts])
        if thinned:
            wanted &= rows["kept"].to_numpy()
        users = self.user_index(domain)[rows["user"].to_numpy()[wanted]]
        items = rows["item"].to_numpy()[wanted]
        matrix = sparse.csr_matrix(
            (np.ones(len(users), dtype=np.float32), (users, items)), shape=(len(self.users), len(domain.items))
        )
        matrix.sum_duplicates()
        matrix.data[:] = 1.0
        return matrix

    def histories(self, parts: tuple[str, ...] = (c.TRAIN,)) -> dict[str, sparse.csr_matrix]:
        """The matrix of each domain; the target's parts as named, the sources' always train and valid."""
        sources = {domain.name: self.matrix(domain, (c.TRAIN, c.VALID)) for domain in self.sources}
        return {**sources, self.target.name: self.matrix(self.target, parts)}

    def seen(self, domain: DomainData, parts: tuple[str, ...]) -> sparse.csr_matrix:
        """What is left out of a user's ranking: a domain's rows of the parts, also those that thinning took away.

        So each user has the same items to rank at every share, and an item that the user is known to have taken does
        not count as a wrong answer.
        """
        return self.matrix(domain, parts, thinned=False)

    def training(self, held_back: Collection[str] = ()) -> dict[str, View]:
        """The rows of each domain that may be learnt from: each user and item once.

        Args:
            held_back: Domains whose validation rows choose, and are not among them.
        """
        parts = {one.name: (c.TRAIN,) if one.name in held_back else (c.TRAIN, c.VALID) for one in self.all}
        past = Past({one.name: self.matrix(one, parts[one.name]) for one in self.all})
        found = {}
        for one in self.all:
            pairs = past.taken[one.name].tocoo()
            rows = pd.DataFrame({ROW: np.arange(pairs.nnz), UNIT: pairs.row.astype(np.int64)})
            label = ItemLabel(pairs.col.astype(np.int64), one.items, self.seen(one, parts[one.name]))
            found[one.name] = View(one.name, rows, {PAST: past}, (label,))
        return found

    def held_out(self, part: str) -> View:
        """The target's rows of a part whose item is in the catalogue, with what may be known when they are predicted.

        Validation rows are predicted from training rows, test rows from training and validation rows. Thinning takes
        validation rows too: a poor target has few rows to choose by.
        """
        known = (c.TRAIN,) if part == c.VALID else (c.TRAIN, c.VALID)
        rows = self.target.rows
        chosen = rows[(rows["part"] == PART_CODES[part]) & rows["kept"]]
        users = self.user_index(self.target)[chosen["user"].to_numpy()]
        table = pd.DataFrame({ROW: chosen.index.to_numpy(), UNIT: users})
        label = ItemLabel(chosen["item"].to_numpy(dtype=np.int64), self.target.items, self.seen(self.target, known))
        return View(self.target.name, table, {PAST: Past(self.histories(known))}, (label,))

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

    def as_served(self, bridges: Collection[Bridge], *, target_labels: bool) -> "Domains":
        """The same; where nothing of the target was learnt from, an item is as popular as the sources have it."""
        if target_labels or "items" not in bridges:
            return self
        catalogues = {domain.name: domain.items for domain in self.all}
        counts = taken_elsewhere(Past(self.histories((c.TRAIN, c.VALID))), catalogues, self.target.name)
        return Domains(self.sources, replace(self.target, items=self.target.items.assign(train_count=counts)))
