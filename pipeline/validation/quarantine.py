"""Row rules: a row that breaks one leaves its table for the quarantine, with the name of the first rule it broke.

Everything works on Arrow tables, which tell NaN from null and keep the types that ingest gave.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline import columns as c

Mask = NDArray[np.bool_]  # one entry a row, True where the row breaks the rule

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # before there were web shops: a wrong unit, such as milliseconds
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
MAX_ID_LENGTH = 256
# C0, DEL, C1 and the two Unicode line breaks; written out because Python's and Arrow's regular expressions share
# no escape for the last two. Emoji are ordinary characters.
CONTROL_CHARACTERS = "[\\x00-\\x1f\\x7f-\u009f\u2028\u2029]"


@dataclass(frozen=True)
class RowRule:
    """A condition that one row breaks whatever the others hold; a table without the column passes."""

    name: str
    column: str
    expected: str
    breaks: Callable[[pa.ChunkedArray], pa.ChunkedArray]  # null counts as False
    applies: Callable[[pa.DataType], bool] = lambda _: True


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _id_rules(column: str) -> tuple[RowRule, ...]:
    def is_missing(values: pa.ChunkedArray) -> pa.ChunkedArray:
        null = pc.is_null(values)
        return pc.or_(null, pc.fill_null(pc.equal(values, ""), False)) if _is_text(values.type) else null

    return (
        RowRule(f"missing_{column}", column, "an id", is_missing),
        RowRule(
            f"control_characters_in_{column}",
            column,
            "printable characters only",
            lambda values: pc.match_substring_regex(values, CONTROL_CHARACTERS),
            _is_text,
        ),
        RowRule(
            f"too_long_{column}",
            column,
            f"at most {MAX_ID_LENGTH} characters",
            lambda values: pc.greater(pc.utf8_length(values), MAX_ID_LENGTH),
            _is_text,
        ),
    )


def _not_finite(column: str) -> RowRule:
    return RowRule(
        f"non_finite_{column}",
        column,
        "a finite number or nothing",
        lambda values: pc.invert(pc.is_finite(values)),
        pa.types.is_floating,
    )


def row_rules(table: str, as_of: datetime | None = None, needs_time: bool = False) -> tuple[RowRule, ...]:
    """The row rules of a canonical table, in the order in which they are tried.

    Args:
        table: `interactions` or `items`.
        as_of: End of the run's data interval; later timestamps lie in the future. None: only the wide range counts.
        needs_time: Whether the split is made by time, so that a row without one has no place.
    """
    if table == "items":
        negative = RowRule(
            "negative_price",
            c.PRICE,
            "a price of zero or more",
            lambda values: pc.less(values, 0),
            lambda kind: bool(pa.types.is_floating(kind) or pa.types.is_integer(kind)),
        )
        return (*_id_rules(c.ITEM), _not_finite(c.PRICE), negative)
    latest = as_of or LATEST
    time = RowRule(
        "bad_timestamp",
        c.TIMESTAMP,
        f"a time from {EARLIEST:%Y-%m-%d} to {latest:%Y-%m-%d %H:%M}" + (", not null" if needs_time else ""),
        lambda values: pc.fill_null(
            pc.or_(
                pc.less(values, pa.scalar(EARLIEST, values.type)), pc.greater(values, pa.scalar(latest, values.type))
            ),
            needs_time,
        ),
        lambda kind: bool(pa.types.is_timestamp(kind) and kind.tz),
    )
    return (*_id_rules(c.USER), *_id_rules(c.ITEM), time, _not_finite(c.VALUE))


DUPLICATE = "duplicate_row"


@dataclass(frozen=True)
class Sorted:
    """A table after the row rules: what stays, what left (with the column `rule`), and the count of each rule."""

    clean: pa.Table
    removed: pa.Table
    counts: dict[str, int]


def sort_rows(table: pa.Table, rules: tuple[RowRule, ...]) -> Sorted:
    """Part a table's rows by the row rules; of rows that are equal in all columns the first stays."""
    verdict = np.full(len(table), -1, dtype=np.int64)  # place of the first rule that the row breaks
    for place, rule in enumerate(rules):
        if rule.column in table.column_names and rule.applies(table.schema.field(rule.column).type):
            broken = pc.fill_null(rule.breaks(table.column(rule.column)), False).to_numpy().astype(bool)
            verdict[(verdict < 0) & broken] = place
    verdict[(verdict < 0) & _repeats(table, verdict < 0)] = len(rules)
    names = np.array([*(rule.name for rule in rules), DUPLICATE], dtype=object)
    removed = verdict >= 0
    table = table.replace_schema_metadata(None)  # pandas writes its version and the row count there
    rest = table.filter(pa.array(removed))
    rest = rest.append_column("rule", pa.array(names[verdict[removed]], pa.string()))
    counts = np.bincount(verdict[removed], minlength=len(names))
    found = {str(name): int(count) for name, count in zip(names, counts, strict=True) if count}
    return Sorted(table.filter(pa.array(~removed)), rest, found)


def _repeats(table: pa.Table, candidates: Mask) -> Mask:
    """Rows equal to an earlier candidate row in all columns; rows that broke a rule do not count as earlier."""
    repeats = np.zeros(len(table), dtype=bool)
    if table.num_columns and candidates.any():
        repeats[candidates] = table.filter(pa.array(candidates)).to_pandas().duplicated().to_numpy()
    return repeats
