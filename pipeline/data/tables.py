"""Kinds of tables as values: their columns, key and rules, written once.

Casting, the snapshot, the quarantine, the suites and a test of the documentation all read them here, so that a new kind
is one value.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pyarrow as pa

from pipeline import columns as c
from pipeline.data.rules import Check, Rule, Severity, Times, finite, ids, in_time, not_negative

Type = Literal["id", "text", "bag", "time", "whole number", "number", "measure", "flag", "picture"]

ARROW_TYPES: dict[Type, pa.DataType] = {
    "id": pa.string(),
    "text": pa.string(),
    "bag": pa.string(),  # names and how often each is in it: `good:2 bad`
    "time": pa.timestamp("us", tz="UTC"),
    "whole number": pa.int64(),
    "number": pa.float64(),
    "measure": pa.float64(),  # a number of which NaN says that it is missing
    "flag": pa.bool_(),
    "picture": pa.string(),  # the name of its content, which lies beside the tables
}


@dataclass(frozen=True)
class Column:
    """A canonical column."""

    name: str
    type: Type
    required: bool = False
    used: bool = True  # something reads it; else it is kept, and a value that cannot be read costs no row
    things: str = ""  # what its different values are called, where they are counted and one alone is no use
    asked_by: str = ""  # the setting of the scenario that makes it required


@dataclass(frozen=True)
class Key:
    """Columns that together tell the rows apart, and what it means where they do not."""

    columns: tuple[str, ...]  # optional ones count where the table has them
    severity: Severity
    remedy: str


@dataclass(frozen=True)
class TableKind:
    """What a table of this kind holds and what is expected of its rows."""

    name: str  # in the scenario's `tables`, in the names of files, in messages
    row: str  # what one row is
    columns: tuple[Column, ...]  # in their canonical order; `domain` is one of them
    key: Key
    rules: Callable[[Times], tuple[Rule, ...]]  # in the order in which they are tried
    told: tuple[Check, ...] = ()  # further checks, for whose sake no row leaves
    main: bool = False  # its rows are learnt from, so their number counts; the others only describe

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """The columns by their names."""
        return {column.name: column for column in self.columns}

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Names of the columns that must be there."""
        return tuple(column.name for column in self.columns if column.required)


INTERACTIONS = TableKind(
    name="interactions",
    row="interaction",
    columns=(
        Column(c.USER, "id", required=True, things="users"),
        Column(c.ITEM, "id", required=True, things="items"),
        Column(c.DOMAIN, "id", required=True),
        Column(c.TIMESTAMP, "time"),
        Column(c.POSITION, "whole number"),
        Column(c.ORDER, "id"),
        Column(c.EVENT, "text", used=False),
        Column(c.VALUE, "number", used=False),
        Column(c.SPLIT, "text"),
    ),
    key=Key(
        (c.USER, c.ITEM, c.TIMESTAMP, c.POSITION, c.ORDER, c.EVENT, c.SPLIT),
        "warning",
        "decide which of the values counts and deliver one row for each key",
    ),
    rules=lambda times: (*ids(c.USER), *ids(c.ITEM), in_time(c.TIMESTAMP, times), finite(c.VALUE)),
    main=True,
)

ITEMS = TableKind(
    name="items",
    row="item",
    columns=(
        Column(c.ITEM, "id", required=True, things="items"),
        Column(c.DOMAIN, "id", required=True),
        Column(c.TITLE, "text"),
        Column(c.CATEGORY, "text"),
        Column(c.BRAND, "text", used=False),
        Column(c.PRICE, "number", used=False),
        Column(c.IMAGE, "text", used=False),
    ),
    key=Key((c.ITEM,), "critical", "keep one row of each item; two titles for one item cannot both be right"),
    rules=lambda _: (*ids(c.ITEM), finite(c.PRICE), not_negative(c.PRICE)),
    told=(
        Check("titles_present", "info", "ExpectColumnValuesToNotBeNull", "a title for each item",
              "an item without a title gets no word features; deliver the titles", {"column": c.TITLE}),
    ),
)  # fmt: skip

KINDS = {kind.name: kind for kind in (INTERACTIONS, ITEMS)}  # those whose columns no scenario declares
