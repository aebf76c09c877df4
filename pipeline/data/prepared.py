"""The splits and features of one domain, and several domains side by side over the union of their users.

Shapes: U users of all domains together, I_d items of domain d.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from pipeline import columns as c
from pipeline.data.splits import PART, TEST, is_kept, order_column

IntArray = np.ndarray[tuple[int], np.dtype[np.int64]]
PART_CODES = {part: code for code, part in enumerate(c.PARTS)}  # 0 train, 1 valid, 2 test


@dataclass(frozen=True)
class DomainData:
    """One domain as arrays; dense ids are places in `users` and `items`.

    `rows` has the columns user, item (dense ids, int32), part (0 train, 1 valid, 2 test; int8), kept (bool: False where
    thinning took a training or validation row away) and, where the data has time, timestamp, else position where it has
    that; sorted by user and item. A validation row is a training row too, held out while settings are chosen.
    `items` has item_id, its training count `train_count` (kept rows for training and validation) and, where titles
    exist, title and category as they were brought.
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
        items = pd.Index(np.unique(np.concatenate([column.to_numpy(dtype=object) for column in known])))
        places = items.get_indexer(pd.Index(rows[c.ITEM].to_numpy(dtype=object)))
        rows, places = rows[places >= 0], places[places >= 0]
        users, owners = np.unique(rows[c.USER].to_numpy(dtype=object), return_inverse=True)
        kept = (rows[PART].to_numpy() == TEST) | is_kept(rows, share, draw)
        order = order_column(rows)
        table = pd.DataFrame(
            {
                "user": owners.astype(np.int32),
                "item": places.astype(np.int32),
                PART: rows[PART].to_numpy(dtype=np.int8),
                "kept": kept,
                **({order: rows[order].array} if order else {}),
            }
        ).sort_values(["user", "item", PART, *([order] if order else [])], ignore_index=True)
        trained = table.loc[table["kept"] & (table[PART] != TEST), "item"]
        catalogue = pd.DataFrame(
            {c.ITEM: items, "train_count": np.bincount(trained, minlength=len(items)).astype(np.int64)}
        )
        if goods is not None and c.TITLE in goods and goods[c.TITLE].notna().any():
            described = goods.drop_duplicates(c.ITEM).set_index(c.ITEM).reindex(items)
            for column in (c.TITLE, c.CATEGORY):
                if column in described:
                    catalogue[column] = described[column].array
        return cls(name, pd.DataFrame({c.USER: users}), catalogue, table)

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


Columns = Mapping[str, IntArray]  # domain -> [I_d], the place of each of its items among the columns of all domains


@dataclass(frozen=True)
class Domains:
    """Source domains and the target over one index of users, which is made anew whenever domains meet."""

    sources: tuple[DomainData, ...]
    target: DomainData

    @cached_property
    def all(self) -> tuple[DomainData, ...]:
        """The sources, then the target."""
        return (*self.sources, self.target)

    def of_sources(self) -> "Domains":
        """The sources alone, the first in the target's place."""
        return Domains(self.sources[1:], self.sources[0])

    def with_all_rows(self) -> "Domains":
        """The same as before thinning."""
        rows, items = self.target.rows.assign(kept=True), self.target.items
        trained = rows.loc[rows["part"] != PART_CODES[c.TEST], "item"]
        counts = np.bincount(trained, minlength=len(items)).astype(np.int64)
        return Domains(self.sources, replace(self.target, rows=rows, items=items.assign(train_count=counts)))

    def with_source_counts(self) -> "Domains":
        """The same, an item of the target being as popular as it is in the sources."""
        items = self.target.items.assign(train_count=self.source_counts())
        return Domains(self.sources, replace(self.target, items=items))

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

    def item_columns(self) -> Columns:
        """The column of each domain's items in one matrix of all: the target's first, one column for each item id."""
        own = pd.Index(self.target.items[c.ITEM])
        ids = pd.Index(np.unique(np.concatenate([domain.items[c.ITEM].to_numpy(dtype=object) for domain in self.all])))
        every = own.append(ids.difference(own, sort=True))
        return {domain.name: every.get_indexer(pd.Index(domain.items[c.ITEM])).astype(np.int64) for domain in self.all}

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

    def source_counts(self) -> IntArray:
        """How often each target item was taken in the sources under the same id: [I_target]."""
        columns, own = self.item_columns(), len(self.target.items)
        every = np.concatenate([columns[source.name] for source in self.sources])
        taken = [np.asarray(self.matrix(source, (c.TRAIN, c.VALID)).sum(axis=0)).ravel() for source in self.sources]
        counts = np.bincount(every, np.concatenate(taken), minlength=own)[:own]
        return counts.astype(np.int64)

    def histories(self, parts: tuple[str, ...] = (c.TRAIN,)) -> dict[str, sparse.csr_matrix]:
        """The matrix of each domain; the target's parts as named, the sources' always train and valid."""
        sources = {domain.name: self.matrix(domain, (c.TRAIN, c.VALID)) for domain in self.sources}
        return {**sources, self.target.name: self.matrix(self.target, parts)}

    def seen(self, parts: tuple[str, ...]) -> sparse.csr_matrix:
        """What is left out of a user's ranking: the target's rows of the parts, also those that thinning took away.

        So each user has the same items to rank at every share, and an item that the user is known to have taken does
        not count as a wrong answer.
        """
        return self.matrix(self.target, parts, thinned=False)

    def held_out(self, part: str) -> pd.DataFrame:
        """The target's rows of a part whose item is in the catalogue: user (in the union), item.

        Thinning takes validation rows too: a poor target has few rows to choose by.
        """
        rows = self.target.rows
        chosen = rows[(rows["part"] == PART_CODES[part]) & rows["kept"]]
        return pd.DataFrame(
            {
                "row": chosen.index.to_numpy(),
                "user": self.user_index(self.target)[chosen["user"].to_numpy()],
                "item": chosen["item"].to_numpy(dtype=np.int64),
            }
        )


Histories = Mapping[str, sparse.csr_matrix]
