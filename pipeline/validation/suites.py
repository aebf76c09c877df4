"""The expectation suites, as plain values: which expectation, how severe, and what a person does about it.

Nothing here loads Great Expectations; `checking` turns the values into its expectations.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np
import pandas as pd

from pipeline import columns as c
from pipeline.validation.quarantine import CONTROL_CHARACTERS, EARLIEST, LATEST, MAX_ID_LENGTH

Severity = Literal["critical", "warning", "info"]
MIN_ROWS = 10
OUTLIER_FACTOR = 10.0  # times the 99.9 % quantile
VOLUME_RANGE = (0.5, 2.0)  # of the reference snapshot's rows: below is critical, above a warning
_PANDAS_TYPES = {c.TIMESTAMP: "Timestamp", c.POSITION: "int64", c.VALUE: "float64", c.PRICE: "float64"}


@dataclass(frozen=True)
class Check:
    """One expectation on one table; `expected` and `remedy` are for people."""

    rule: str
    severity: Severity
    expectation: str  # the name of a class in great_expectations.expectations
    expected: str
    remedy: str
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns whose values the expectation reads; none where it looks at the table as a whole."""
        one = self.arguments.get("column")
        return (one,) if one else tuple(self.arguments.get("column_list", ()))


def interaction_checks(
    frame: pd.DataFrame, domain: str, reference_rows: int | None, as_of: datetime | None = None,
    needs_time: bool = False,
) -> tuple[Check, ...]:  # fmt: skip
    """The suite of a domain's interactions, after the row rules.

    Args:
        frame: The clean table; checks on columns that it lacks are left out, but for the required ones.
        domain: The one value that the column `domain` may have.
        reference_rows: Rows of the reference snapshot, for the volume; None where any number will do, also none.
        as_of: End of the run's data interval, None where it is not known.
        needs_time: Whether the split is made by time.
    """
    checks = [
        *_schema(frame, c.REQUIRED["interactions"]),
        *_ids(frame, (c.USER, c.ITEM)),
        *_domain(frame, domain),
        *_numbers(frame, c.VALUE),
    ]
    if c.TIMESTAMP in frame:
        checks += _times(as_of or LATEST, "critical" if needs_time else "info")
    key = [name for name in (c.USER, c.ITEM, c.TIMESTAMP, c.POSITION, c.EVENT, c.SPLIT) if name in frame]
    if {c.USER, c.ITEM} <= set(key):
        checks.append(
            Check("unique_key", "warning", "ExpectCompoundColumnsToBeUnique", f"one row for each {', '.join(key)}",
                  "decide which of the values counts and deliver one row for each key", {"column_list": key})
        )  # fmt: skip
    if reference_rows is not None:
        checks += _volume(reference_rows)
        both = ((c.USER, "users"), (c.ITEM, "items"))
        checks += [_at_least_two(name, what) for name, what in both if name in frame]
    return tuple(checks)


def item_checks(frame: pd.DataFrame, domain: str) -> tuple[Check, ...]:
    """The suite of a domain's items, after the row rules; columns as in `interaction_checks`."""
    checks = [*_schema(frame, c.REQUIRED["items"]), *_ids(frame, (c.ITEM,)), *_domain(frame, domain)]
    if c.ITEM in frame:
        checks.append(
            Check("unique_key", "critical", "ExpectColumnValuesToBeUnique", "one row for each item_id",
                  "keep one row of each item; two titles for one item cannot both be right", {"column": c.ITEM})
        )  # fmt: skip
        checks.append(_at_least_two(c.ITEM, "items"))
    if c.TITLE in frame:
        checks.append(
            Check("titles_present", "info", "ExpectColumnValuesToNotBeNull", "a title for each item",
                  "an item without a title gets no word features; deliver the titles", {"column": c.TITLE})
        )  # fmt: skip
    if c.PRICE in frame:
        checks.append(
            Check("price_not_negative", "critical", "ExpectColumnValuesToBeBetween", "prices of zero or more",
                  "correct the prices at their source", {"column": c.PRICE, "min_value": 0})
        )  # fmt: skip
    return (*checks, *_numbers(frame, c.PRICE))


def _schema(frame: pd.DataFrame, required: Iterable[str]) -> Iterator[Check]:
    for name in required:
        yield Check("column_exists", "critical", "ExpectColumnToExist", f"a column {name}",
                    f"map a column to {name} in the scenario's `columns`", {"column": name})  # fmt: skip
    for name in (*c.INTERACTIONS, *c.ITEMS[2:]):
        if name in frame:
            kind = _PANDAS_TYPES.get(name, "str")
            yield Check("column_type", "critical", "ExpectColumnValuesToBeOfType", f"type {kind}",
                        "correct the column's type in the table that is read",
                        {"column": name, "type_": kind})  # fmt: skip


def _ids(frame: pd.DataFrame, names: Iterable[str]) -> Iterator[Check]:
    for name in names:
        if name in frame:
            yield Check("not_null", "critical", "ExpectColumnValuesToNotBeNull", "an id in each row",
                        "deliver the missing ids", {"column": name})  # fmt: skip
        if name in frame and isinstance(frame[name].dtype, pd.StringDtype):
            yield Check("id_length", "critical", "ExpectColumnValueLengthsToBeBetween",
                        f"1 to {MAX_ID_LENGTH} characters", "deliver ids, not texts",
                        {"column": name, "min_value": 1, "max_value": MAX_ID_LENGTH})  # fmt: skip
            yield Check("id_characters", "critical", "ExpectColumnValuesToNotMatchRegex", "no control characters",
                        "deliver ids of printable characters",
                        {"column": name, "regex": CONTROL_CHARACTERS})  # fmt: skip


def _domain(frame: pd.DataFrame, domain: str) -> Iterator[Check]:
    if c.DOMAIN in frame:
        yield Check("one_domain", "critical", "ExpectColumnValuesToBeInSet", f"the value {domain!r} in each row",
                    "correct the column or constant `domain` in the scenario's tables",
                    {"column": c.DOMAIN, "value_set": [domain]})  # fmt: skip


def _volume(reference_rows: int) -> Iterator[Check]:
    low, high = (int(share * reference_rows) for share in VOLUME_RANGE)
    yield Check("enough_rows", "critical", "ExpectTableRowCountToBeBetween", f"at least {MIN_ROWS} rows",
                "deliver more rows: so few cannot be learnt from", {"min_value": MIN_ROWS})  # fmt: skip
    yield Check("volume_fell", "critical", "ExpectTableRowCountToBeBetween",
                f"at least {low:,} rows, half of the reference snapshot",
                "look for a delivery that broke off; if the loss is meant, remove the scenario's reference passport",
                {"min_value": low})  # fmt: skip
    yield Check("volume_rose", "warning", "ExpectTableRowCountToBeBetween",
                f"at most {high:,} rows, twice the reference snapshot",
                "look for rows that were delivered twice", {"max_value": high})  # fmt: skip


def _times(latest: datetime, missing: Severity) -> Iterator[Check]:
    yield Check("time_present", missing, "ExpectColumnValuesToNotBeNull", "a time in each row",
                "deliver the missing times", {"column": c.TIMESTAMP})  # fmt: skip
    yield Check("time_range", "critical", "ExpectColumnValuesToBeBetween",
                f"times from {EARLIEST:%Y-%m-%d} to {latest:%Y-%m-%d %H:%M}",
                "look at the unit of the times (seconds, milliseconds) and at the clock that wrote them",
                {"column": c.TIMESTAMP, "min_value": EARLIEST, "max_value": latest})  # fmt: skip
    yield Check("newest_time", "info", "ExpectColumnMaxToBeBetween",
                f"the newest time is before {latest:%Y-%m-%d %H:%M}", "nothing: this line shows how new the data is",
                {"column": c.TIMESTAMP, "max_value": latest})  # fmt: skip


def _numbers(frame: pd.DataFrame, name: str) -> Iterator[Check]:
    """Finite, and an outlook on outliers: beyond ten times the 99.9 % quantile of the absolute values."""
    if name not in frame or not pd.api.types.is_float_dtype(frame[name]):
        return
    largest = float(np.finfo(np.float64).max)
    yield Check("finite", "critical", "ExpectColumnValuesToBeBetween", "finite numbers",
                "correct the infinite values at their source",
                {"column": name, "min_value": -largest, "max_value": largest})  # fmt: skip
    sizes = frame[name].abs().to_numpy()
    sizes = sizes[np.isfinite(sizes)]
    if len(sizes):
        bound = OUTLIER_FACTOR * float(np.quantile(sizes, 0.999))
        yield Check("outliers", "info", "ExpectColumnValuesToBeBetween",
                    f"from {-bound:g} to {bound:g}: ten times the 99.9 % quantile",
                    "look at the extreme values",
                    {"column": name, "min_value": -bound, "max_value": bound})  # fmt: skip


def _at_least_two(name: str, what: str) -> Check:
    return Check(f"two_{what}", "critical", "ExpectColumnUniqueValueCountToBeBetween", f"at least 2 different {what}",
                 f"deliver more {what}: with one there is nothing to rank",
                 {"column": name, "min_value": 2})  # fmt: skip
