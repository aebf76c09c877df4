"""Rules, each written once: what quarantine removes a row for, and what the suites expect of the rows that stay.

A rule's mask reads an Arrow column, which tells NaN from null and keeps the type that ingest gave; its checks name
expectations of Great Expectations, which is not loaded here. The bounds of both stand in one place.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Severity = Literal["critical", "warning", "info"]

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # before there were web shops: a wrong unit, such as milliseconds
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
MAX_ID_LENGTH = 256
# C0, DEL, C1 and the two Unicode line breaks; written out because Python's and Arrow's regular expressions share
# no escape for the last two. Emoji are ordinary characters.
CONTROL_CHARACTERS = "[\\x00-\\x1f\\x7f-\u009f\u2028\u2029]"


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


@dataclass(frozen=True)
class Rule:
    """A condition that one row breaks whatever the others hold; a table without the column passes."""

    name: str
    column: str
    breaks: Callable[[pa.ChunkedArray], pa.ChunkedArray]  # null counts as False
    checks: tuple[Check, ...]  # the critical ones of a column fail for just the rows that its rules break, NaN aside
    applies: Callable[[pa.DataType], bool] = lambda _: True  # other types are refused by the column's type


@dataclass(frozen=True)
class Times:
    """What a run expects of times."""

    as_of: datetime | None = None  # end of the data interval; what is later lies in the future. None: not known
    needs_time: bool = False  # the split is made by time, so that a row without one has no place

    @property
    def latest(self) -> datetime:
        """The last time that a row may have."""
        return self.as_of or LATEST


def ids(column: str) -> tuple[Rule, ...]:
    """An id is there, of printable characters, and not a text."""

    def is_missing(values: pa.ChunkedArray) -> pa.ChunkedArray:
        null = pc.is_null(values)
        return pc.or_(null, pc.fill_null(pc.equal(values, ""), False)) if _is_text(values.type) else null

    present = Check("not_null", "critical", "ExpectColumnValuesToNotBeNull", "an id in each row",
                    "deliver the missing ids", {"column": column})  # fmt: skip
    printable = Check("id_characters", "critical", "ExpectColumnValuesToNotMatchRegex", "no control characters",
                      "deliver ids of printable characters",
                      {"column": column, "regex": CONTROL_CHARACTERS})  # fmt: skip
    short = Check("id_length", "critical", "ExpectColumnValueLengthsToBeBetween", f"1 to {MAX_ID_LENGTH} characters",
                  "deliver ids, not texts",
                  {"column": column, "min_value": 1, "max_value": MAX_ID_LENGTH})  # fmt: skip
    return (
        Rule(f"missing_{column}", column, is_missing, (present,)),
        Rule(
            f"control_characters_in_{column}",
            column,
            lambda values: pc.match_substring_regex(values, CONTROL_CHARACTERS),
            (printable,),
            _is_text,
        ),
        Rule(
            f"too_long_{column}",
            column,
            lambda values: pc.greater(pc.utf8_length(values), MAX_ID_LENGTH),
            (short,),
            _is_text,
        ),
    )


def finite(column: str) -> Rule:
    """A number is finite or not there."""
    largest = float(np.finfo(np.float64).max)
    check = Check("finite", "critical", "ExpectColumnValuesToBeBetween", "finite numbers",
                  "correct the infinite values at their source",
                  {"column": column, "min_value": -largest, "max_value": largest})  # fmt: skip
    return Rule(
        f"non_finite_{column}",
        column,
        lambda values: pc.invert(pc.is_finite(values)),
        (check,),
        lambda kind: bool(pa.types.is_floating(kind)),
    )


def not_negative(column: str) -> Rule:
    """A number is zero, more, or not there."""
    check = Check(f"{column}_not_negative", "critical", "ExpectColumnValuesToBeBetween", f"{column}s of zero or more",
                  f"correct the {column}s at their source", {"column": column, "min_value": 0})  # fmt: skip
    return Rule(
        f"negative_{column}",
        column,
        lambda values: pc.less(values, 0),
        (check,),
        lambda kind: bool(pa.types.is_floating(kind) or pa.types.is_integer(kind)),
    )


def in_time(column: str, times: Times) -> Rule:
    """A time lies in the range in which there is data, and is there where the split needs it."""

    def is_outside(values: pa.ChunkedArray) -> pa.ChunkedArray:
        first, last = (pa.scalar(bound, values.type) for bound in (EARLIEST, times.latest))
        return pc.fill_null(pc.or_(pc.less(values, first), pc.greater(values, last)), times.needs_time)

    present = Check("time_present", "critical" if times.needs_time else "info", "ExpectColumnValuesToNotBeNull",
                    "a time in each row", "deliver the missing times", {"column": column})  # fmt: skip
    within = Check("time_range", "critical", "ExpectColumnValuesToBeBetween",
                   f"times from {EARLIEST:%Y-%m-%d} to {times.latest:%Y-%m-%d %H:%M}",
                   "look at the unit of the times (seconds, milliseconds) and at the clock that wrote them",
                   {"column": column, "min_value": EARLIEST, "max_value": times.latest})  # fmt: skip
    return Rule(f"bad_{column}", column, is_outside, (present, within), lambda kind: bool(pa.types.is_timestamp(kind)))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
