"""The logs of users: what each did, one event after the other, in all domains.

Events of one instant have no order among themselves, so that none of them is known before another. Where such an
instant is past, its events stand by item and then by kind: the same wherever they are read.

Shapes: T events of all users, K kinds of event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd

from pipeline import columns as c
from pipeline.config.tasks import OTHER
from pipeline.data.splits import order_column
from pipeline.data.tokens import stable_hash
from pipeline.errors import DataError
from pipeline.views import FloatArray, IntArray, Mask

PLACE = "place"  # of a row: where its event stands in the log of its domain


@dataclass(frozen=True, eq=False)
class Logs:
    """Events of all users end to end, sorted by user and then by time.

    Args:
        kinds: Names of the kinds [K], the last of which are all others.
        starts: [U + 1] where the events of each user begin, and where the last one's end.
        kind: [T] places among the kinds.
        item: [T] a number for each item; -1 where it is not known.
        when: [T] seconds, or positions; in one user's log it never falls.
        domain: [T] a number for each domain.
        timed: Whether these are seconds.
        place: [T] where each event stood before it was sorted.
    """

    kinds: tuple[str, ...]
    starts: IntArray
    kind: IntArray
    item: IntArray
    when: FloatArray
    domain: IntArray
    timed: bool
    place: IntArray

    @classmethod
    def of(cls, kinds: tuple[str, ...], events: pd.DataFrame, *, timed: bool) -> Self:
        """Sort events [T]: user (places among U, the last of whom is there), kind, item, when, domain."""
        users, kind, item, domain = (events[name].to_numpy(np.int64) for name in ("user", "kind", "item", "domain"))
        when = events["when"].to_numpy(np.float64)
        order = np.lexsort((kind, item, when, users)).astype(np.int64)
        counts = np.bincount(users, minlength=int(users.max(initial=-1)) + 1)
        starts = np.concatenate([[0], counts.cumsum()]).astype(np.int64)
        return cls(kinds, starts, kind[order], item[order], when[order], domain[order], timed, order)

    @cached_property
    def begins(self) -> IntArray:
        """[T] where the log of each event's user begins."""
        return np.repeat(self.starts[:-1], np.diff(self.starts))

    @cached_property
    def known(self) -> IntArray:
        """[T] of each event, in the order in which they were given, where what was before it ends."""
        there = np.arange(len(self.kind))
        new = np.ones(len(there), dtype=np.bool_)
        new[1:] = (self.begins[1:] != self.begins[:-1]) | (self.when[1:] != self.when[:-1])
        ends = np.maximum.accumulate(np.where(new, there, 0))
        found = np.empty(len(there), dtype=np.int64)
        found[self.place] = ends
        return found

    @cached_property
    def first(self) -> IntArray:
        """[T] of each event, in the order in which they were given, where its user's log begins."""
        found = np.empty(len(self.kind), dtype=np.int64)
        found[self.place] = self.begins
        return found


def kind_codes(events: "pd.Series[Any]", kinds: tuple[str, ...]) -> IntArray:
    """[T] places among the kinds; what none of them is called is the last."""
    found = pd.Index(kinds[:-1]).get_indexer(pd.Index(events.to_numpy(dtype=object)))
    return np.where(found < 0, len(kinds) - 1, found).astype(np.int64)


def kinds_of(events: tuple[str, ...]) -> tuple[str, ...]:
    """The names of all kinds, of those that the scenario does not name last."""
    return (*events, OTHER)


def joint(logs: Mapping[str, pd.DataFrame], kinds: tuple[str, ...]) -> tuple[Logs, pd.Index, dict[str, IntArray]]:
    """The logs of several domains as one.

    Args:
        logs: user_id, item (a hash), event, and `timestamp` or `position`, of each domain; none is missing.
        kinds: All kinds of event.

    Returns:
        (the logs, the ids of the users in their order, of each domain where its events were before sorting).

    Raises:
        DataError: the domains share neither a time nor a position, or a row has none of what they share.
    """
    order = next((one for one in (c.TIMESTAMP, c.POSITION) if all(one in log for log in logs.values())), None)
    if order is None:
        raise DataError(
            f"interactions: what follows in a log needs its order, but the tables of {', '.join(logs)} do not all have "
            f"the column {c.TIMESTAMP}, or all the column {c.POSITION}; name it under `columns`."
        )
    for name, log in logs.items():
        if missing := int(log[order].isna().sum()):  # it would stand after all others, and know them
            raise DataError(
                f"{name}: interactions: {missing:,} rows have a {c.TIMESTAMP} and no {order}, which is the only order "
                f"that all domains share; give each row its {order}, or all domains the column {c.TIMESTAMP}."
            )
    every = pd.concat([log[[c.USER, c.ITEM, c.EVENT, order]] for log in logs.values()], ignore_index=True)
    codes, users = pd.factorize(every[c.USER], sort=True)
    sizes = np.cumsum([0, *(len(log) for log in logs.values())])
    timed = order == c.TIMESTAMP
    events = pd.DataFrame({
        "user": codes, "kind": kind_codes(every[c.EVENT], kinds), "item": pd.factorize(every[c.ITEM], sort=True)[0],
        "when": seconds(every[order]) if timed else every[order], "domain": np.repeat(range(len(logs)), np.diff(sizes)),
    })  # fmt: skip
    found = Logs.of(kinds, events, timed=timed)
    places = {name: np.arange(sizes[at], sizes[at + 1]) for at, name in enumerate(logs)}
    return found, pd.Index(users, dtype=object), places


def seconds(times: "pd.Series[Any]") -> FloatArray:
    """Seconds since 1970 [N]; NaN where a time is missing."""
    read = pd.to_datetime(times, utc=True).dt.as_unit("us")
    whole = np.asarray(read.astype("int64"), dtype=np.float64) / 1e6
    return np.where(read.isna(), np.nan, whole)


def log_of(rows: pd.DataFrame, domain: str) -> pd.DataFrame:
    """The events of a domain in the order of its log: user_id, item (a hash), event, timestamp and position if there.

    Raises:
        DataError: nothing says which event came first.
    """
    order = order_column(rows)
    if order is None:
        raise DataError(
            f"{domain}: interactions: what follows in a log needs its order, and there is neither a column "
            f"{c.TIMESTAMP!r} nor {c.POSITION!r}; name one under `columns`."
        )
    dated = rows[rows[order].notna()]
    kept = [one for one in (c.TIMESTAMP, c.POSITION) if one in rows]
    table = dated[[c.USER, c.EVENT, *kept]].assign(**{c.ITEM: stable_hash(dated[c.ITEM].astype(str))})
    if c.SPLIT in rows:
        table[c.SPLIT] = dated[c.SPLIT]
    return table.sort_values([c.USER, order, c.ITEM, c.EVENT], kind="stable", ignore_index=True)


def has_past(log: pd.DataFrame, order: str) -> Mask:
    """[N] whether something of the same user came before each event of a domain's log."""
    first = log.groupby(c.USER, sort=False, observed=True)[order].transform("min")
    return (log[order] > first).to_numpy(dtype=np.bool_)
