"""Quarantine: a row that breaks a rule of its table leaves it, with the name of the first rule that it broke.

So does a row of which a value could not be read, under the name of its column. Everything works on Arrow tables, which
tell NaN from null and keep the types that ingest gave.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline import columns as c
from pipeline.data.rules import Rule

Mask = NDArray[np.bool_]  # one entry a row, True where the row breaks the rule

DUPLICATE = "duplicate_row"
UNREADABLE = "unreadable_"  # before the name of a column


@dataclass(frozen=True)
class Sorted:
    """A table after the row rules: what stays, what left (with the column `rule`), and the count of each rule."""

    clean: pa.Table
    removed: pa.Table
    counts: dict[str, int]


def sort_rows(table: pa.Table, rules: tuple[Rule, ...], *, named: bool = True) -> Sorted:
    """Part a table's rows by the row rules.

    Args:
        table: The rows.
        rules: In the order in which they are tried.
        named: Whether the columns tell rows apart, so that of rows that are equal in all of them only the first stays.
            Two visits that nobody gave a number may well be alike.
    """
    verdict = np.full(len(table), -1, dtype=np.int64)  # place of the first rule that the row breaks
    for place, rule in enumerate(rules):
        if rule.column in table.column_names and rule.applies(table.schema.field(rule.column).type):
            broken = pc.fill_null(rule.breaks(table.column(rule.column)), False).to_numpy().astype(bool)
            verdict[(verdict < 0) & broken] = place
    if named:
        verdict[(verdict < 0) & _repeats(table, verdict < 0)] = len(rules)
    names = np.array([*(rule.name for rule in rules), DUPLICATE], dtype=object)
    removed = verdict >= 0
    table = table.replace_schema_metadata(None)  # pandas writes its version and the row count there
    rest = table.filter(pa.array(removed))
    rest = rest.append_column(c.RULE, pa.array(names[verdict[removed]], pa.string()))
    counts = np.bincount(verdict[removed], minlength=len(names))
    found = {str(name): int(count) for name, count in zip(names, counts, strict=True) if count}
    return Sorted(table.filter(pa.array(~removed)), rest, found)


def _repeats(table: pa.Table, candidates: Mask) -> Mask:
    """Rows equal to an earlier candidate row in all columns; rows that broke a rule do not count as earlier."""
    repeats = np.zeros(len(table), dtype=bool)
    if table.num_columns and candidates.any():
        rows = table.filter(pa.array(candidates)).to_pandas()
        alike = rows.duplicated(list(rows.columns[:2]), keep=False).to_numpy()  # few are: less to compare in full
        repeats[np.flatnonzero(candidates)[alike]] = rows[alike].duplicated().to_numpy()
    return repeats


def with_rule(unread: pa.Table) -> pa.Table:
    """Rows of which a value could not be read, with the column `rule`."""
    return unread.append_column(c.RULE, pc.binary_join_element_wise(UNREADABLE, unread[c.UNREAD], ""))


def unread_counts(unread: pa.Table | None, table: str) -> dict[str, int]:
    """How many rows of a table have a value that could not be read, by rule, in the order of their names."""
    if unread is None:
        return {}
    rules = unread.filter(pc.equal(unread[c.TABLE], table))[c.RULE].combine_chunks()
    return dict(sorted((one["values"], one["counts"]) for one in pc.value_counts(rules).to_pylist()))


def unread_examples(removed: pa.Table, personal: Collection[str], count: int = 3) -> dict[str, tuple[str, ...]]:
    """Up to `count` values by rule that could not be read: where each stands, what was expected, and what is there.

    Args:
        removed: Rows in quarantine.
        personal: Columns whose values must not appear.
        count: Values a rule.
    """
    found: dict[str, tuple[str, ...]] = {}
    if c.UNREAD in removed.column_names:
        for row in removed.filter(pc.is_valid(removed[c.UNREAD])).select([c.RULE, *c.UNREADS]).to_pylist():
            if len(found.get(row[c.RULE], ())) < count:
                hidden = row[c.UNREAD] in personal or row[c.UNREAD_VALUE] is None
                got = "" if hidden else f", got {row[c.UNREAD_VALUE]}"
                place = f"{row[c.UNREAD_FILE]}, row {row[c.UNREAD_ROW]}, column {row[c.UNREAD_COLUMN]!r}"
                told = f"{place}: expected {row[c.UNREAD_EXPECTED]}{got}"
                found[row[c.RULE]] = (*found.get(row[c.RULE], ()), told)
    return found
