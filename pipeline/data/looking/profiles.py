"""What stands in the columns of a file: types, examples, counts."""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import columns as c
from pipeline.data.looking.roles import guess_label, guess_roles, is_personal
from pipeline.data.values.casting import Place, read
from pipeline.data.values.dates import OrderError
from pipeline.data.values.ids import NOTHING
from pipeline.data.values.spelling import shape
from pipeline.errors import DataError

EXAMPLES = 3
_LONGEST = 40  # characters of an example
_STRAY = 0.01  # of the values that may be none of a column's type
_FEW = 20  # different texts that are counted each
_WHOLE, _NUMBER = r"^-?\d{1,19}$", r"^[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?$"
_DATED = r"\d{4}|\d\d?[-/.:]\d\d?"  # what no time lacks
_FLAGS = frozenset({"true", "false", "yes", "no", "t", "f", "y", "n"})
_RECENT = tuple((8.5e8 * unit, 2.1e9 * unit) for unit in (1, 1e3, 1e6, 1e9))  # 1996 to 2036 in s, ms, us, ns
_MAIL = r"^[^@\s]+@[^@\s]+\.[A-Za-z]{2,}$"
_PROSE = r"\S+\s+\S+\s+\S|[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]{8}"  # several words
_PHONE = r"^(?:\+|00|\()[\d\s()/.-]{7,}$|^\d{2,5}[ /-]\d{3,}(?:[ -]\d{2,})*$"


def _all(unique: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(unique, pattern)).as_py())


_TYPES: tuple[tuple[Callable[[Any], bool], str], ...] = (  # of a file that states them
    (pa.types.is_temporal, "time"),
    (pa.types.is_boolean, "flag"),
)
_LOOKS: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (lambda unique: _all(unique, _WHOLE), "whole number"),
    (lambda unique: _all(unique, _NUMBER), "number"),
    (lambda unique: len(unique) <= len(_FLAGS) and _FLAGS.issuperset(pc.utf8_lower(unique).to_pylist()), "flag"),
)


@dataclass(frozen=True)
class Column:
    """One column."""

    name: str
    type: str  # whole number, number, time, flag, text, nothing
    distinct: int
    empty: int
    personal: bool
    examples: tuple[str, ...]  # of a personal column their shape alone
    texts: tuple[str, ...] = field(default=(), repr=False)  # all of them, where they are few
    prose: bool = False  # most of them are of several words
    problem: str = ""  # why it cannot be read as what it seems to be
    role: str = ""  # the canonical column that it seems to be
    why: str = ""


@dataclass(frozen=True)
class Profile:
    """What stands in the rows that were looked at."""

    rows: int
    whole: bool
    columns: tuple[Column, ...]
    repeated: int  # rows that stood there before
    users: int | None = None
    items: int | None = None
    first: str | None = None  # time of the earliest row
    last: str | None = None
    events: dict[str, int] = field(default_factory=dict)  # rows by kind of event
    domains: dict[str, int] = field(default_factory=dict)  # rows by what seems to be the shop, market or the like
    label: str | None = None

    def column_of(self, role: str) -> str | None:
        """The column that seems to be a canonical one."""
        return next((column.name for column in self.columns if column.role == role), None)

    def as_json(self) -> dict[str, Any]:
        """All of it, but for the texts of columns."""
        told = asdict(self)
        for column in told["columns"]:
            del column["texts"]
        return told


def profile(table: pa.Table, whole: bool, named: bool) -> Profile:
    """What stands in a table.

    Args:
        table: Columns as they are, at best texts.
        whole: Whether these are all rows.
        named: Whether the file says the columns' names.
    """
    seen = [_column(name, table[name], named) for name in table.column_names]
    roles = guess_roles(seen, named)
    by_column = {name: (role, why) for role, (name, why) in roles.items()}
    if roles.get(c.TITLE, ("",))[0].lower() == "name" and c.ITEM not in roles:  # of a person, as far as can be seen
        del by_column[roles.pop(c.TITLE)[0]]
        seen = [replace(one, personal=one.personal or one.name.lower() == "name") for one in seen]
    columns = []
    for one in seen:
        role, why = by_column.get(one.name, ("", ""))
        hidden = one.personal or role == c.USER
        examples = tuple(dict.fromkeys(shown(shape(text) if hidden else text) for text in one.examples))
        columns.append(replace(one, personal=hidden, examples=examples, role=role, why=why))
    label = None if {c.USER, c.ITEM} <= set(roles) else guess_label(columns)
    counted = {role: pc.count_distinct(values_of(table[name])).as_py() for role, (name, _) in roles.items()}
    return Profile(
        rows=table.num_rows, whole=whole, columns=tuple(columns), repeated=_repeated(table),
        users=counted.get(c.USER), items=counted.get(c.ITEM), label=label,
        events=_counts(table, roles, c.EVENT), domains=_counts(table, roles, c.DOMAIN),
        **_range(table, roles),
    )  # fmt: skip


def values_of(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Its values [N] as texts without blanks around them; what says that there is none is none."""
    texts = pc.utf8_trim_whitespace(_as_text(column))
    return pc.if_else(pc.is_in(texts, pa.array(("", *NOTHING))), None, texts)


def shown(text: str) -> str:
    """A text that no terminal obeys, and no longer than an example may be."""
    plain = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 3] + "..."


def _column(name: str, values: pa.ChunkedArray, named: bool) -> Column:
    texts = values_of(values).drop_null()
    unique = pc.unique(texts)
    kind, problem = _type(name, values.type, unique, named)
    personal = (named and is_personal(name)) or (kind == "text" and _like(unique, _MAIL, _PHONE))
    few = tuple(sorted(unique.to_pylist())) if len(unique) <= _FEW else ()
    examples = tuple(unique[:EXAMPLES].to_pylist())
    prose = kind == "text" and len(unique) > _FEW and _like(unique, _PROSE)
    return Column(name, kind, len(unique), len(values) - len(texts), personal, examples, few, prose, problem)


def _type(name: str, kind: pa.DataType, unique: pa.Array, named: bool) -> tuple[str, str]:
    """The type of a column by that of the file and its different values, and why it cannot be read as one."""
    stated = next((told for has, told in _TYPES if has(kind)), None)
    found = "nothing" if not len(unique) else stated or next((told for fits, told in _LOOKS if fits(unique)), "text")
    if found == "whole number" and _counts_time(name, unique, named):
        return "time", ""
    if found == "text" and pc.all(pc.match_substring_regex(unique[:1000], _DATED)).as_py():
        return _dated(name, unique)
    return found, ""


def _counts_time(name: str, unique: pa.Array, named: bool) -> bool:
    """Whether whole numbers are times: all of them lie in the same decades, and the name, if any, does not object."""
    numbers = pc.cast(unique, pa.float64())
    low, high = pc.min(numbers).as_py(), pc.max(numbers).as_py()
    if not any(first <= low and high <= last for first, last in _RECENT) or _all(unique, "^0"):
        return False
    return not named or bool(re.search(r"time|date|(^|_)ts$|stamp|created|updated|_at$|At$", name, re.IGNORECASE))


def _dated(name: str, unique: pa.Array) -> tuple[str, str]:
    """Whether texts are times; they are also where the scenario must say what is the day, the month and the year."""
    try:
        found = read(pa.chunked_array([unique]), "time", Place("", name, hidden=True))
    except OrderError as error:
        return "time", str(error).removeprefix(": ").removesuffix(".")
    except DataError:
        return "text", ""
    return ("time" if found.values.null_count <= _STRAY * len(unique) else "text"), ""


def _range(table: pa.Table, roles: dict[str, tuple[str, str]]) -> dict[str, str]:
    """The earliest and the latest time, as far as they can be read."""
    if c.TIMESTAMP not in roles:
        return {}
    try:
        times = read(table[roles[c.TIMESTAMP][0]], "time", Place("", "", hidden=True)).values
    except DataError:
        return {}
    ends = pc.min_max(times)
    if not ends["min"].is_valid:
        return {}
    return {key: ends[end].as_py().isoformat() for key, end in (("first", "min"), ("last", "max"))}


def _counts(table: pa.Table, roles: dict[str, tuple[str, str]], role: str) -> dict[str, int]:
    """Rows by the values of a column that has few, the most frequent first."""
    if role not in roles:
        return {}
    counted = pc.value_counts(values_of(table[roles[role][0]]).drop_null().combine_chunks()).to_pylist()
    return {one["values"]: one["counts"] for one in sorted(counted, key=lambda one: -one["counts"])}


def _repeated(table: pa.Table) -> int:
    if not table.num_rows or not table.num_columns:
        return 0
    plain = pa.table({str(place): _as_text(column) for place, column in enumerate(table.columns)})
    return int(table.num_rows - plain.group_by(plain.column_names).aggregate([]).num_rows)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.chunked_array([pa.array([str(value) for value in column.to_pylist()], pa.string())])
    texts = column.cast(pa.string())
    return pc.replace_substring_regex(texts, r"\.0+(Z?)$", r"\1") if pa.types.is_timestamp(kind) else texts


def _like(unique: pa.Array, *patterns: str) -> bool:
    """Whether half of the texts look like this, or any does that nobody writes by chance."""
    return any(pc.sum(pc.match_substring_regex(unique, one)).as_py() * 2 >= len(unique) for one in patterns)
