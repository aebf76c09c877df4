"""Which interactions train, choose and test, as a split says, and from when on sources must not know anything."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from pipeline import columns as c
from pipeline.config import ColdUsersSplit, HashSplit, LeaveLastOutSplit, RankingTask, ShippedSplit, TimeSplit
from pipeline.data import splits
from pipeline.data.cold_users import cold_users
from pipeline.data.duplicates import settle_pairs
from pipeline.data.splits import Border, Parted
from pipeline.rows.interactions.prepared import PART_CODES, DomainData
from pipeline.rows.kind import Given, Parts, Tables

Bordered = tuple[Parted, Callable[[DomainData], Border]]  # rows with their part; the border, from what is published


def _no_border(data: DomainData) -> Border:
    del data
    return None


def _by_user(data: DomainData) -> Border:
    """Each user's first row of validation and test, where rows have an order."""
    if data.rows.empty or not splits.order_column(data.rows):
        return None
    return splits.user_limits(data.rows.assign(**{c.USER: data.users[c.USER].to_numpy()[data.rows["user"]]}))


def _shipped(given: Given, sources: Mapping[str, Tables]) -> Bordered:
    del sources
    return splits.shipped(given.tables["interactions"], given.split, given.domain), _no_border


def _by_time(given: Given, sources: Mapping[str, Tables]) -> Bordered:
    del sources
    cuts = splits.time_cuts(given.tables["interactions"], given.split, given.domain)
    return splits.by_time(given.tables["interactions"], cuts), lambda data: cuts.valid  # noqa: ARG005


def _last_out(given: Given, sources: Mapping[str, Tables]) -> Bordered:
    del sources
    return splits.leave_last_out(given.tables["interactions"], given.domain), _by_user


def _by_hash(given: Given, sources: Mapping[str, Tables]) -> Bordered:
    del sources
    return splits.by_user_hash(given.tables["interactions"], given.split), _no_border


def _cold_users(given: Given, sources: Mapping[str, Tables]) -> Bordered:
    known = {user for tables in sources.values() for user in tables["interactions"][c.USER].unique()}
    return cold_users(given.tables["interactions"], given.split, known, given.domain), _by_user


# config class of a split -> how it parts a target
TARGETS: dict[type[Any], Callable[[Given, Mapping[str, Tables]], Bordered]] = {
    ShippedSplit: _shipped,
    TimeSplit: _by_time,
    LeaveLastOutSplit: _last_out,
    ColdUsersSplit: _cold_users,
    HashSplit: _by_hash,
}


@dataclass(frozen=True)
class PartInteractions:
    """Interactions as prepared domains."""

    task: RankingTask

    def target(self, given: Given, sources: Mapping[str, Tables]) -> tuple[Parts, Border]:
        """Part the target's rows; a target without any row has nothing to part.

        Raises:
            DataError: the split needs a column that is missing.
        """
        given, repeated = _settled(given)
        rows = given.tables["interactions"]
        if rows.empty:
            return _published(given, Parted(rows.assign(**{splits.PART: 0})), self.task)[1], None
        parted, border = TARGETS[type(given.split)](given, sources)
        data, parts = _published(given, parted, self.task, repeated)
        return parts, border(data)

    def source(self, given: Given, border: Border) -> Parts:
        """Part a source's rows, those from before the border.

        Raises:
            DataError: as for `target`.
        """
        given, repeated = _settled(given)
        rows = given.tables["interactions"]
        if isinstance(given.split, ShippedSplit):
            parted = splits.shipped(rows, given.split, given.domain)
        elif border is None:
            first = splits.first_of_pairs(rows)
            parted = Parted(splits.with_hashed_valid(first), {"repeated": len(rows) - len(first)})
        else:
            parted = splits.source_before(rows, border, given.domain)
        return _published(given, parted, self.task, repeated)[1]


def _settled(given: Given) -> tuple[Given, int]:
    """With one row for each user and item as the scenario says, and how many rows that took; by part where it ships."""
    rows = given.tables["interactions"].astype({c.USER: "category", c.ITEM: "category"})
    within = (c.SPLIT,) if isinstance(given.split, ShippedSplit) and c.SPLIT in rows else ()
    settled = settle_pairs(rows, given.duplicates, given.domain, within)
    return replace(given, tables={**given.tables, "interactions": settled}), len(rows) - len(settled)


def _published(given: Given, parted: Parted, task: RankingTask, repeated: int = 0) -> tuple[DomainData, Parts]:
    span = splits.span(parted.rows)
    parted = splits.with_enough_rows(parted, task.min_rows.users, task.min_rows.items)
    items: pd.DataFrame | None = given.tables.get("items")
    data = DomainData.build(given.domain, parted.rows, items, given.share, given.draw)
    part = data.rows["part"]
    counts = {name: int((part == code).sum()) for name, code in PART_CODES.items()}
    kept = int((data.rows["kept"] & (part != PART_CODES[c.TEST])).sum())
    dropped = {**parted.dropped, "outside_catalogue": len(parted.rows) - len(data.rows)}
    if repeated:
        dropped["repeated"] = dropped.get("repeated", 0) + repeated
    known = {"users": len(data.users), "catalogue": len(data.items), "words": data.has_text}
    return data, Parts(data.write, counts, kept, dropped, known, span)
