"""Which interactions train, choose and test, as a split says, and from when on sources must not know anything."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from pipeline import columns as c
from pipeline.config import ColdUsersSplit, HashSplit, LeaveLastOutSplit, RankingTask, ShippedSplit, TimeSplit
from pipeline.data import splits
from pipeline.data.cold_users import cold_users
from pipeline.data.duplicates import settle_pairs
from pipeline.data.splits import PART, TEST, VALID, Border, Parted
from pipeline.rows.interactions import weights
from pipeline.rows.interactions.prepared import PART_CODES, DomainData
from pipeline.rows.interactions.weights import RELEVANT
from pipeline.rows.kind import NOT_RELEVANT, VALID_NOT_RELEVANT, Given, Parts, Tables
from pipeline.views import WEIGHT

log = logging.getLogger(__name__)

Until = Callable[[pd.DataFrame], pd.Series | None]  # of parted rows: from when on their repeats add nothing


def _no_border(data: DomainData) -> Border:
    del data
    return None


def _always(parted: pd.DataFrame) -> None:
    """All repeats add: no part comes after another one, or each part that the data ships has repeats of its own."""
    del parted


@dataclass(frozen=True)
class Bordered:
    """Rows with their part; the border, from what is published; and until when repeats add to what a row counts."""

    parted: Parted
    border: Callable[[DomainData], Border] = _no_border
    until: Until = _always


def _by_user(data: DomainData) -> Border:
    """Each user's first row of validation and test, where rows have an order."""
    if data.rows.empty or not splits.order_column(data.rows):
        return None
    return splits.user_limits(data.rows.assign(**{c.USER: data.users[c.USER].to_numpy()[data.rows["user"]]}))


def _shipped(given: Given, sources: Mapping[str, Tables]) -> Bordered:
    del sources
    return Bordered(splits.shipped(given.tables["interactions"], given.split, given.domain))


def _by_time(given: Given, sources: Mapping[str, Tables]) -> Bordered:
    del sources
    cuts = splits.time_cuts(given.tables["interactions"], given.split, given.domain)
    parted = splits.by_time(given.tables["interactions"], cuts)
    return Bordered(parted, lambda _: cuts.valid, lambda rows: weights.until_cuts(rows, cuts))


def _last_out(given: Given, sources: Mapping[str, Tables]) -> Bordered:
    del sources
    parted = splits.leave_last_out(given.tables["interactions"], given.domain)
    return Bordered(parted, _by_user, weights.until_own_next)


def _by_hash(given: Given, sources: Mapping[str, Tables]) -> Bordered:
    del sources
    return Bordered(splits.by_user_hash(given.tables["interactions"], given.split))


def _cold_users(given: Given, sources: Mapping[str, Tables]) -> Bordered:
    known = {user for tables in sources.values() for user in tables["interactions"][c.USER].unique()}
    return Bordered(cold_users(given.tables["interactions"], given.split, known, given.domain), _by_user)


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
            DataError: the split or the task needs a column that is missing, or an event is not known.
        """
        settled = _settled(given, self.task)
        weights.refuse_unknown_answers(given.tables["interactions"], self.task, given.domain)
        rows = settled.given.tables["interactions"]
        if rows.empty:
            return _published(settled, Parted(rows.assign(**{PART: 0})), self.task)[1], None
        bordered = TARGETS[type(given.split)](settled.given, sources)
        data, parts = _published(settled, bordered.parted, self.task, bordered.until)
        return parts, bordered.border(data)

    def source(self, given: Given, border: Border) -> Parts:
        """Part a source's rows, those from before the border.

        Raises:
            DataError: as for `target`.
        """
        settled = _settled(given, self.task)
        rows = settled.given.tables["interactions"]
        if isinstance(given.split, ShippedSplit):
            parted = splits.shipped(rows, given.split, given.domain)
        elif border is None:
            first = splits.first_of_pairs(rows)
            parted = Parted(splits.with_hashed_valid(first), {"repeated": len(rows) - len(first)})
        else:
            parted = splits.source_before(rows, border, given.domain)
        return _published(settled, parted, self.task, lambda rows: weights.until_border(rows, border))[1]


@dataclass(frozen=True)
class _Settled:
    """Tables with one row for each user and item, as the scenario says; by part where the data ships a split.

    `repeated`: how many rows that took; `every`: all of them, where those of a pair are taken together.
    """

    given: Given
    repeated: int
    every: pd.DataFrame | None


def _settled(given: Given, task: RankingTask) -> _Settled:
    summed = given.duplicates == "sum"
    rows = given.tables["interactions"].astype({c.USER: "category", c.ITEM: "category"})
    rows = weights.weighed(rows.reset_index(drop=True), task, given.domain, summed=summed)
    within = (c.SPLIT,) if isinstance(given.split, ShippedSplit) and c.SPLIT in rows else ()
    settled = settle_pairs(rows, given.duplicates, given.domain, within)
    _tell_ignored(rows, given, task, within)
    every = weights.numbered(rows, within) if summed else None
    tables = {**given.tables, "interactions": settled}
    return _Settled(replace(given, tables=tables), len(rows) - len(settled), every)


def _tell_ignored(rows: pd.DataFrame, given: Given, task: RankingTask, within: tuple[str, ...]) -> None:
    """Say that later rows of a pair are not looked at, where events and ratings matter: a purchase follows a view."""
    looked = task.weight.event or task.weight.rating or task.judges_some
    repeated = int(rows.duplicated([c.USER, c.ITEM, *within]).sum()) if looked and given.duplicates == "first" else 0
    if repeated:
        log.warning(
            "%s: %s rows repeat a user and an item, and of these `duplicates: first` looks at the first row alone, "
            "whatever the event or rating of a later one; `duplicates: sum` takes them together", given.domain,
            f"{repeated:,}",
        )  # fmt: skip


def _published(
    settled: _Settled, parted: Parted, task: RankingTask, until: Until = _always
) -> tuple[DomainData, Parts]:
    given, span = settled.given, splits.span(parted.rows)
    parted = splits.with_enough_rows(parted, task.min_rows.users, task.min_rows.items)
    rows = weights.counted(parted.rows, settled.every, task, until(parted.rows))
    lost = (rows[PART] == TEST) & ~rows[RELEVANT] if RELEVANT in rows else pd.Series(False, index=rows.index)
    items: pd.DataFrame | None = given.tables.get("items")
    data = DomainData.build(given.domain, rows[~lost], items, given.share, given.draw)
    part, learnt = data.rows["part"], data.rows["kept"] & (data.rows["part"] != PART_CODES[c.TEST])
    counts = {name: int((part == code).sum()) for name, code in PART_CODES.items()}
    if RELEVANT in rows and (others := int((~data.answers & (part == VALID)).sum())):
        counts |= {c.VALID: counts[c.VALID] - others, VALID_NOT_RELEVANT: others}
    left_out = {NOT_RELEVANT: int(lost.sum())} if lost.any() else {}
    dropped = {**parted.dropped, **left_out, "outside_catalogue": int((~lost).sum()) - len(data.rows)}
    if settled.repeated:
        dropped["repeated"] = dropped.get("repeated", 0) + settled.repeated
    known = {"users": len(data.users), "catalogue": len(data.items), "words": c.TITLE in data.items}
    if WEIGHT in data.rows:
        weights.refuse_weightless(data.rows.loc[learnt & (part != VALID), WEIGHT], given.domain)
        known["weightless"] = int((learnt & (data.rows[WEIGHT] == 0)).sum())
    return data, Parts(data.write, counts, int(learnt.sum()), dropped, known, span)
