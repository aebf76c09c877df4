"""Which row trains, which chooses and which tests: pure functions on the rows of one domain.

A split never depends on the seed, on the order of the rows, or on anything but the rows and the rule. Every function
takes interactions with `user_id` and `item_id` and gives back some of them with the column `part` (0 train, 1 valid,
2 test) and, in `Parted.dropped`, how many it left out and why.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import columns as c
from pipeline.config import HashSplit, ShippedSplit, TimeSplit
from pipeline.data.tokens import mixed, stable_hash
from pipeline.errors import DataError

TRAIN, VALID, TEST = range(len(c.PARTS))
PART = "part"
FEWEST_ROWS = 4  # users with fewer training rows give none for validation

Mask = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Border = pd.Timestamp | pd.Series | None  # what a source may know: before an instant, or by user; None: everything


@dataclass(frozen=True)
class Parted:
    """Rows with their part, and the counts of what was left out by reason."""

    rows: pd.DataFrame
    dropped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Cuts:
    """Where a split by time cuts: validation begins at `valid`, the test at `test`."""

    valid: pd.Timestamp
    test: pd.Timestamp


def pair_hash(rows: pd.DataFrame, purpose: str) -> NDArray[np.uint64]:
    """A 64-bit hash of user, item and purpose [N]: equal in every process, and unrelated between purposes."""
    hashed = np.full(len(rows), stable_hash(pd.Index([purpose]))[0], dtype=np.uint64)
    for column in (c.USER, c.ITEM):
        codes, ids = pd.factorize(rows[column])
        hashed = mixed(hashed ^ stable_hash(pd.Index(ids))[codes])
    return hashed


def is_kept(rows: pd.DataFrame, share: float, draw: int = 0) -> Mask:
    """Which rows thinning keeps [N]: what a smaller share keeps, a larger one of the same draw keeps too."""
    hashed = pair_hash(rows, f"share {draw}" if draw else "share")
    return np.asarray((hashed >> np.uint64(11)) / 2.0**53 < share)  # exact: a double has 53 bits


def span(rows: pd.DataFrame) -> tuple[pd.Timestamp, pd.Timestamp] | None:
    """The times of the first and the last row, None where there are no times."""
    times = rows[c.TIMESTAMP].dropna() if c.TIMESTAMP in rows else pd.Series([], dtype="datetime64[us, UTC]")
    return None if times.empty else (pd.Timestamp(times.min()), pd.Timestamp(times.max()))


def order_column(rows: pd.DataFrame) -> str | None:
    """The column that says which row came first: the time, else the position, else none."""
    return next((column for column in (c.TIMESTAMP, c.POSITION) if column in rows), None)


def baskets(rows: pd.DataFrame) -> "pd.Series[int]":
    """One number [N] for the rows of one order of a user, indexed like the rows.

    Those with one `order_id` belong together, else those of one time or position; without any of them each is alone.
    """
    alone = np.arange(len(rows)) + len(rows)  # numbers that no place among the values has
    order = order_column(rows)
    what = alone
    for column in ([order] if order else []) + ([c.ORDER] if c.ORDER in rows else []):
        codes = pd.factorize(rows[column])[0]
        what = np.where(codes >= 0, codes + (0 if column != c.ORDER else 2 * len(rows)), what)
    together = pd.DataFrame({"user": _users(rows), "what": what})
    return together.groupby(["user", "what"], sort=False).ngroup()


def first_of_pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """The first row of each user and item, in the order of user and item."""
    users, (items, known) = _users(rows, sort=True), pd.factorize(rows[c.ITEM], sort=True)
    pairs = users.to_numpy() * len(known) + items
    places = places_by(rows, pairs)
    return rows.take(places[np.diff(pairs[places], prepend=-1) != 0])


def places_by(rows: pd.DataFrame, numbers: NDArray[np.integer[Any]]) -> IntArray:
    """Where the rows [N] stand sorted by a number each, and those of one number by what orders rows, missing last."""
    order = order_column(rows)
    places = np.asarray(rows[order].argsort(kind="stable") if order else np.arange(len(rows)), dtype=np.int64)
    return places[np.argsort(numbers[places], kind="stable")]


def shipped(rows: pd.DataFrame, split: ShippedSplit, domain: str) -> Parted:
    """The split that the data set ships; repeats in validation and test stay, for the audit to mark.

    Raises:
        DataError: the column `split` is missing.
    """
    if c.SPLIT not in rows:
        raise DataError(
            f"{domain}: interactions: the split is 'shipped', which needs the column 'split', but there are "
            f"{', '.join(rows.columns)}; name it under `columns`, or choose the split 'time' or 'leave_last_out'."
        )
    named = rows[c.SPLIT]
    train = first_of_pairs(rows[named.isin(split.train)])
    held = [
        rows[named.isin(names)].assign(**{PART: part}) for part, names in ((VALID, split.valid), (TEST, split.test))
    ]
    parts = train.assign(**{PART: TRAIN}) if split.valid else with_hashed_valid(train)
    known = named.isin((*split.train, *split.valid, *split.test))
    dropped = {"split_not_used": int((~known).sum()), "repeated": int(named.isin(split.train).sum()) - len(train)}
    return Parted(pd.concat([parts, *held]), dropped)


def with_hashed_valid(rows: pd.DataFrame) -> pd.DataFrame:
    """Training rows, as `first_of_pairs` gives them, where each user with four or more gives an order for validation.

    It is the one with the smallest hash, of its first item; unless none would be left to train on.
    """
    users = _users(rows)
    hashed = pd.Series(pair_hash(rows, "valid"), index=rows.index).groupby(baskets(rows)).transform("first")
    smallest = hashed.eq(hashed.groupby(users).transform("min"))
    chosen = smallest & users.groupby(users).transform("size").ge(FEWEST_ROWS)
    chosen &= ~chosen.groupby(users).transform("all")
    return rows.assign(**{PART: np.where(chosen, VALID, TRAIN)})


def time_cuts(rows: pd.DataFrame, split: TimeSplit, domain: str) -> Cuts:
    """The times at which validation and test begin, so that they hold the stated shares of the target's rows.

    Rows of one instant are never divided, so a share may come out larger than stated.

    Raises:
        DataError: there is no time.
    """
    _need(rows, c.TIMESTAMP, domain, "time")
    times = first_of_pairs(rows[rows[c.TIMESTAMP].notna()])[c.TIMESTAMP].sort_values(ignore_index=True)
    if times.empty:
        raise DataError(
            f"{domain}: interactions: column 'timestamp': the split 'time' needs times, but all are missing."
        )
    last = len(times) - 1
    test, valid = (
        min(last, max(0, len(times) - round(len(times) * share))) for share in (split.test, split.test + split.valid)
    )
    return Cuts(times[valid], times[test])


def by_time(rows: pd.DataFrame, cuts: Cuts) -> Parted:
    """Train before validation before test; of a repeated user and item only the first row stays."""
    first, dropped = _ordered(rows, c.TIMESTAMP)
    times = first[c.TIMESTAMP]
    if c.ORDER in first:  # an order is where its last row is
        times = times.groupby(baskets(first)).transform("max")
    return Parted(
        first.assign(**{PART: np.where(times >= cuts.test, TEST, np.where(times >= cuts.valid, VALID, TRAIN))}), dropped
    )


def leave_last_out(rows: pd.DataFrame, domain: str) -> Parted:
    """Each user's last order for the test, the one before it for validation; users with two give only test rows.

    An order is what `baskets` says, and several of one instant are one. A user with one order keeps it for training.

    Raises:
        DataError: neither time nor position says which row is the last.
    """
    order = order_column(rows)
    if order is None:
        _need(rows, c.TIMESTAMP, domain, "leave_last_out")
    first, dropped = _ordered(rows, str(order))
    first = first.take(places_by(first, _users(first, sort=True).to_numpy()))
    users = _users(first)
    when = first[str(order)].groupby(baskets(first)).transform("max").groupby(users)
    from_end, size = when.rank(method="dense", ascending=False), when.transform("nunique")
    is_test, is_valid = (from_end == 1) & (size >= 2), (from_end == 2) & (size >= 3)
    return Parted(first.assign(**{PART: np.where(is_test, TEST, np.where(is_valid, VALID, TRAIN))}), dropped)


def by_user_hash(rows: pd.DataFrame, split: HashSplit) -> Parted:
    """Of each user with four orders or more the stated shares, at least one each and one for training, by a hash.

    An order is what `baskets` says: a row, where there is neither time nor order. All of the others trains.
    """
    first = first_of_pairs(rows)
    hashed = pd.Series(pair_hash(first, f"split {split.draw}"), index=first.index)
    by_user = hashed.groupby(baskets(first)).transform("first").groupby(_users(first))
    place, size = by_user.rank(method="dense").to_numpy() - 1, by_user.transform("nunique").to_numpy()
    test, valid = (np.maximum(1, np.floor(size * share + 0.5)) for share in (split.test, split.valid))
    test = np.minimum(test, size - 2)
    valid = np.minimum(valid, size - 1 - test)
    part = np.where(place < test, TEST, np.where(place < test + valid, VALID, TRAIN))
    part[size < FEWEST_ROWS] = TRAIN
    return Parted(first.assign(**{PART: part}), {"repeated": len(rows) - len(first)})


def with_enough_rows(parted: Parted, users: int, items: int) -> Parted:
    """Leave out training and validation rows until each of their users and items has as many; the test stays.

    With equal numbers k this is the k-core. Test rows are neither counted nor left out: they decide nothing.
    """
    rows = parted.rows
    learnt = (rows[PART] != TEST).to_numpy()
    kept = learnt.copy()
    codes = [(pd.factorize(rows[column])[0], least) for column, least in ((c.USER, users), (c.ITEM, items))]
    while True:
        enough = kept.copy()
        for code, least in codes:
            enough &= np.bincount(code[kept], minlength=len(rows) + 1)[code] >= least
        if (enough == kept).all():
            break
        kept = enough
    left = int(learnt.sum() - kept.sum())
    return Parted(rows[kept | ~learnt], {**parted.dropped, "too_few_rows": left}) if left else parted


def user_limits(target: pd.DataFrame) -> pd.Series:
    """By user, when the first held-out row of the target came: what happened later in a source must not be known.

    Args:
        target: What `leave_last_out` gave, or what is left of it.

    Returns:
        Indexed by user_id, named like the order's column.
    """
    order = str(order_column(target))  # leave_last_out has refused a target without one
    return target[target[PART] != TRAIN].groupby(c.USER)[order].min()


def write_border(border: Border, path: Path) -> None:
    """Write what sources may know: one instant, or one time or position for each user, or no row at all."""
    if isinstance(border, pd.Series):
        table = border.rename_axis(c.USER).reset_index()
    else:
        table = pd.DataFrame({c.TIMESTAMP: [] if border is None else [border]})
    table.to_parquet(path, index=False, compression="zstd")


def read_border(path: Path) -> Border:
    """Read what `write_border` wrote."""
    table = pd.read_parquet(path)
    if c.USER in table:
        limits: pd.Series = table.set_index(c.USER).iloc[:, 0]
        return limits
    return None if table.empty else pd.Timestamp(table[c.TIMESTAMP].iloc[0])


def source_before(rows: pd.DataFrame, limit: pd.Timestamp | pd.Series, domain: str) -> Parted:
    """The rows of a source that may be known, the hash rule choosing among them for validation.

    Args:
        rows: Interactions of the source.
        limit: The instant from which nothing is known, or by user the last one that is still known.
        domain: The source's name, for the message.

    Raises:
        DataError: the source has no time or position to compare with the target's.
    """
    order, kind = (str(limit.name), "leave_last_out") if isinstance(limit, pd.Series) else (c.TIMESTAMP, "time")
    _need(rows, order, domain, kind)
    first, dropped = _ordered(rows, order)
    if isinstance(limit, pd.Series):
        late = first[order] > limit.reindex(first[c.USER]).set_axis(first.index)  # users without a limit: never
    else:
        late = first[order] >= limit
    return Parted(with_hashed_valid(first[~late]), {**dropped, "later_than_target": int(late.sum())})


def _users(rows: pd.DataFrame, *, sort: bool = False) -> "pd.Series[int]":
    """A number [N] for each user, in the order of ids or of rows: numbers are grouped faster than texts."""
    return pd.Series(pd.factorize(rows[c.USER], sort=sort)[0], index=rows.index)


def _ordered(rows: pd.DataFrame, order: str) -> tuple[pd.DataFrame, dict[str, int]]:
    timed = rows[rows[order].notna()]
    first = first_of_pairs(timed)
    return first, {"without_time": len(rows) - len(timed), "repeated": len(timed) - len(first)}


def _need(rows: pd.DataFrame, column: str, domain: str, kind: str) -> None:
    if column not in rows:
        raise DataError(
            f"{domain}: interactions: the split {kind!r} needs the column {column!r}, also in sources, so that no row "
            f"knows something later than the row it helps to predict; there are {', '.join(rows.columns)}. Name it "
            "under `columns`, or choose another split."
        )
