"""The expectation suites, as plain values: which expectation, how severe, and what a person does about it.

Nothing here loads Great Expectations; `checking` turns the values into its expectations.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline import columns as c
from pipeline.data.rules import Check, Times
from pipeline.data.tables import TableKind, Type

MIN_ROWS = 10
OUTLIER_FACTOR = 10.0  # times the 99.9 % quantile
VOLUME_RANGE = (0.5, 2.0)  # of the reference snapshot's rows: below is critical, above a warning
_PANDAS_TYPES: dict[Type, str] = {
    "id": "str",
    "text": "str",
    "bag": "str",
    "picture": "str",
    "time": "Timestamp",
    "whole number": "int64",
    "number": "float64",
    "measure": "float64",
}  # a flag is bool or, where one is missing, object


def suite(
    kind: TableKind, frame: pd.DataFrame, domain: str, times: Times, reference_rows: int | None
) -> tuple[Check, ...]:
    """The suite of a domain's table, after the row rules.

    Args:
        kind: What kind of table it is.
        frame: The clean table; checks on columns that it lacks are left out, but for the required ones.
        domain: The one value that the column `domain` may have.
        times: What the run expects of times.
        reference_rows: Rows of the reference snapshot, for the volume of a main table; None where any number will do,
            also none.
    """
    checks = [
        *_schema(kind, frame),
        *_rules(kind, frame, times),
        *_domain(frame, domain),
        *_outlook(kind, frame, times),
        *_key(kind, frame),
    ]
    if kind.main and reference_rows is not None:
        checks += _volume(reference_rows)
    if not kind.main or reference_rows is not None:
        checks += [_at_least_two(one.name, one.things) for one in kind.columns if one.things and one.name in frame]
    return tuple(checks)


def _schema(kind: TableKind, frame: pd.DataFrame) -> Iterator[Check]:
    for name in kind.required:
        yield Check("column_exists", "critical", "ExpectColumnToExist", f"a column {name}",
                    f"map a column to {name} in the scenario's `columns`", {"column": name})  # fmt: skip
    for column in kind.columns:
        if column.name in frame and column.type in _PANDAS_TYPES:
            wanted = _PANDAS_TYPES[column.type]
            yield Check("column_type", "critical", "ExpectColumnValuesToBeOfType", f"type {wanted}",
                        "correct the column's type in the table that is read",
                        {"column": column.name, "type_": wanted})  # fmt: skip


def _rules(kind: TableKind, frame: pd.DataFrame, times: Times) -> Iterator[Check]:
    """What the quarantine should have left nothing of."""
    for rule in kind.rules(times):
        if rule.column in frame and rule.applies(pa.chunked_array(frame[rule.column].iloc[:0]).type):
            yield from rule.checks


def _domain(frame: pd.DataFrame, domain: str) -> Iterator[Check]:
    if c.DOMAIN in frame:
        yield Check("one_domain", "critical", "ExpectColumnValuesToBeInSet", f"the value {domain!r} in each row",
                    "correct the column or constant `domain` in the scenario's tables",
                    {"column": c.DOMAIN, "value_set": [domain]})  # fmt: skip


def _outlook(kind: TableKind, frame: pd.DataFrame, times: Times) -> Iterator[Check]:
    """What is only told: how new the data is, and what lies far out."""
    for column in kind.columns:
        if column.name in frame and column.type in _OUTLOOKS:
            yield from _OUTLOOKS[column.type](frame[column.name], column.name, times)
    yield from (check for check in kind.told if set(check.columns) <= set(frame.columns))


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


def _newest(_values: pd.Series, name: str, times: Times) -> Iterator[Check]:
    yield Check("newest_time", "info", "ExpectColumnMaxToBeBetween",
                f"the newest time is before {times.latest:%Y-%m-%d %H:%M}",
                "nothing: this line shows how new the data is",
                {"column": name, "max_value": times.latest})  # fmt: skip


def _outliers(values: pd.Series, name: str, _times: Times) -> Iterator[Check]:
    """Beyond ten times the 99.9 % quantile of the absolute values."""
    sizes = values.abs().to_numpy() if pd.api.types.is_float_dtype(values) else np.empty(0)
    sizes = sizes[np.isfinite(sizes)]
    if len(sizes):
        bound = OUTLIER_FACTOR * float(np.quantile(sizes, 0.999))
        yield Check("outliers", "info", "ExpectColumnValuesToBeBetween",
                    f"from {-bound:g} to {bound:g}: ten times the 99.9 % quantile",
                    "look at the extreme values",
                    {"column": name, "min_value": -bound, "max_value": bound})  # fmt: skip


_OUTLOOKS: dict[Type, Callable[[pd.Series, str, Times], Iterator[Check]]] = {
    "time": _newest,
    "number": _outliers,
    "measure": _outliers,
}


def _key(kind: TableKind, frame: pd.DataFrame) -> Iterator[Check]:
    """One row for each value of the key, as far as the table has its columns."""
    key = [name for name in kind.key.columns if name in frame]
    if not set(kind.key.columns) & set(kind.required) <= set(key):
        return  # a missing column is told already
    if not key:
        return  # rows without names cannot be told apart
    alone = len(key) == 1
    yield Check("unique_key", kind.key.severity,
                "ExpectColumnValuesToBeUnique" if alone else "ExpectCompoundColumnsToBeUnique",
                f"one row for each {', '.join(key)}", kind.key.remedy,
                {"column": key[0]} if alone else {"column_list": key})  # fmt: skip


def _at_least_two(name: str, what: str) -> Check:
    return Check(f"two_{what}", "critical", "ExpectColumnUniqueValueCountToBeBetween", f"at least 2 different {what}",
                 f"deliver more {what}: with one there is nothing to rank",
                 {"column": name, "min_value": 2})  # fmt: skip
