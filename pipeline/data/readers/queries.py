"""What a query over files asks for, told from what DuckDB parses it to: chance and clock, and which columns."""

import re
from collections.abc import Collection, Iterator
from typing import Any

_CLOCK = re.compile(
    r"now|today|age|(get_)?current_(date|time|timestamp|local.*)|localtime(stamp)?|transaction_timestamp"
)
_CHANCE = "using sample"  # the one that is no function
# Of a parsed query the parts that name what they read; any other may read columns without a name.
_BY_NAME = {
    "SELECT_NODE", "SET_OPERATION_NODE", "BASE_TABLE", "JOIN", "SUBQUERY", "EMPTY", "ORDER_MODIFIER", "LIMIT_MODIFIER",
    "DISTINCT_MODIFIER", "ORDER_DEFAULT", "ASCENDING", "DESCENDING",
}  # fmt: skip
_WITHOUT_A_NAME = {"STAR", "POSITIONAL_REFERENCE"}


def gives_another_answer(parsed: object, volatile: Collection[str]) -> str:
    """What of a parsed query gives another answer each time, such as a function; empty: nothing does."""
    for part in _parts(parsed):
        names = part.get("column_names", [])
        used = [part["function_name"]] if "function_name" in part else []
        used += names if len(names) == 1 else []  # current_date stands alone like a column
        found = [one for one in map(str.lower, used) if one in volatile or _CLOCK.fullmatch(one)]
        if found or isinstance(part.get("sample"), dict):
            return found[0] if found else _CHANCE
    return ""


def named_columns(parsed: object) -> frozenset[str] | None:
    """The columns that a parsed query may read, by names in small letters, among others; None: it may read all.

    All are read where something without their names does so, such as a star, and where a table stands for its row.
    """
    parts = list(_parts(parsed))
    called = [part for part in parts if "class" not in part]  # tables, and what WITH names
    tables = {str(part[key]).casefold() for part in called for key in ("alias", "table_name", "key") if part.get(key)}
    for part in parts:
        kind = part.get("type")
        if "class" in part:
            unnamed = part["class"] in _WITHOUT_A_NAME
        else:
            unnamed = isinstance(kind, str) and kind not in _BY_NAME
        path = [str(one).casefold() for one in part.get("column_names", [])]
        if unnamed or part.get("ref_type") == "NATURAL" or part.get("column_name_alias") or {*path[-1:]} & tables:
            return None
    return frozenset(text.casefold() for text in _texts(parsed))


def _parts(value: object) -> Iterator[dict[str, Any]]:
    """All mappings in a parsed query."""
    if isinstance(value, dict):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _parts(one)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(one)
