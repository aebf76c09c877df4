"""The tables of a scenario by domain, as Parquet whose bytes depend on the content alone."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from pipeline import columns as c
from pipeline.data.pictures import FILE, write_pictures
from pipeline.data.pseudonyms import pseudonymise
from pipeline.data.tables import TableKind
from pipeline.errors import DataError
from pipeline.results import IngestFacts

NONE: Mapping[str, bytes] = {}
UNREADABLE = "unreadable.parquet"
_NAMED = 20  # domains that are named where they are ignored


def content_hash(table: pa.Table) -> str:
    """SHA-256 of a canonical table whatever the order of its rows, also where it says which row was not readable."""
    sink = pa.BufferOutputStream()
    _write(_ordered(table.select([name for name in table.column_names if name != c.UNREAD_ROW])), sink)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def assemble(
    parts: Iterable[tuple[str, pa.Table]],
    kinds: Mapping[str, TableKind],
    domains: Sequence[str],
    key: bytes | None,
    without_rows: str = "",
) -> dict[str, pa.Table]:
    """One table of each kind: the inputs under each other, with pseudonyms if there is a key.

    Args:
        parts: Name of the kind and rows of each input.
        kinds: The kinds by name.
        domains: Those of the scenario.
        key: Of the pseudonyms, or None.
        without_rows: The domain that may have no rows in the main table.

    Raises:
        DataError: a domain of the scenario has no rows in one of the tables.
    """
    by_kind: dict[str, list[pa.Table]] = {}
    for kind, part in parts:
        by_kind.setdefault(kind, []).append(part)
    tables = {kind: _joined(kinds[kind], those) for kind, those in by_kind.items()}
    for kind, table in tables.items():
        found = sorted(pc.unique(table[c.DOMAIN]).drop_null().to_pylist())
        needed = [domain for domain in domains if domain != without_rows or not kinds[kind].main]
        if missing := [domain for domain in needed if domain not in found]:
            # a column of hundreds of values is no column of domains, and may be one of people
            there = ", ".join(map(repr, found)) if len(found) <= 20 else f"{len(found)} others"
            raise DataError(
                f"tables.{kind}: no row has the domain {', '.join(map(repr, missing))} of the scenario. The tables "
                f"have: {there or 'none'}. Correct `sources` and `target`, or name the "
                "domain of a file with `constants: {domain: ...}`."
            )
        if key is not None and c.USER in table.column_names:
            place = table.column_names.index(c.USER)
            tables[kind] = table.set_column(place, c.USER, pseudonymise(table[c.USER], key))
    return tables


def write_domain(
    tables: Mapping[str, pa.Table],
    kinds: Mapping[str, TableKind],
    domain: str,
    folder: Path,
    pictures: Mapping[str, bytes] = NONE,
) -> IngestFacts:
    """Write each table of a domain, such as `interactions.parquet`, and its pictures, where it has any.

    Rows are sorted by the columns in their order; a column that is not required and has no value in the domain is left
    out. Equal content gives equal bytes. Rows of which a value could not be read stand in `unreadable.parquet` instead,
    where there are any, with the name of their `table`.

    Returns:
        Rows of the main table and how many different things it counts, such as users; rows of the others; all without
        those that could not be read, whose number by table stands beside them.
    """
    rows, found, unread, shown = 0, dict[str, int](), dict[str, pa.Table](), set[str]()
    for kind, table in ((kinds[name], table) for name, table in tables.items()):
        part, unread[kind.name] = _parted(table.filter(pc.equal(table[c.DOMAIN], domain)))
        kept = [name for name in part.column_names if name in kind.required or part[name].null_count < part.num_rows]
        _write(_ordered(part.select(kept)), folder / f"{kind.name}.parquet")
        named = [column.name for column in kind.columns if column.type == "picture" and column.name in kept]
        shown.update(*(pc.unique(part[name]).drop_null().to_pylist() for name in named))
        if kind.main:
            counted = [column for column in kind.columns if column.things]
            found |= {column.things: pc.count_distinct(part[column.name]).as_py() for column in counted}
            rows = part.num_rows
        else:
            found[f"{kind.row}_rows"] = part.num_rows
    if shown:
        write_pictures(pictures, shown, folder / FILE)
    unread = {name: part for name, part in unread.items() if part.num_rows}
    if unread:
        told = [
            part.append_column(c.TABLE, pa.array([name] * part.num_rows, pa.string())) for name, part in unread.items()
        ]
        _write(_ordered(pa.concat_tables(told, promote_options="default")), folder / UNREADABLE)
    return IngestFacts(rows=rows, counted=found, unreadable={name: part.num_rows for name, part in unread.items()})


def count_ignored(tables: Mapping[str, pa.Table], domains: Sequence[str]) -> dict[str, dict[str, int]]:
    """Rows of domains that the scenario does not name, by kind of table and domain; the rarest are summed up."""
    found = {}
    for kind, table in tables.items():
        counted = pc.value_counts(table[c.DOMAIN].combine_chunks()).to_pylist()
        others = [(_shown(one["values"]), one["counts"]) for one in counted if one["values"] not in domains]
        others.sort(key=lambda one: (-one[1], one[0]))
        found[kind] = dict(others[:_NAMED])
        if rest := sum(count for _, count in others[_NAMED:]):
            found[kind][f"{len(others) - _NAMED} more"] = rest
    return found


def _joined(kind: TableKind, parts: list[pa.Table]) -> pa.Table:
    """The parts under each other, their columns in the order of the kind, whichever part came first."""
    joined = pa.concat_tables(parts, promote_options="default")
    return joined.select([name for name in (*kind.by_name, *c.UNREADS) if name in joined.column_names])


def _parted(rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Rows that could be read, and the others."""
    if c.UNREAD not in rows.column_names:
        return rows, rows.slice(0, 0)
    unread = pc.is_valid(rows[c.UNREAD])
    return rows.filter(pc.invert(unread)).drop_columns(list(c.UNREADS)), rows.filter(unread)


def _shown(domain: str | None) -> str:
    return "(none)" if domain is None else domain[:60]


def _ordered(table: pa.Table) -> pa.Table:
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in table.column_names])
    return table.take(order).combine_chunks()


def _write(table: pa.Table, where: Path | pa.NativeFile) -> None:
    """One way to write, so that nothing but the content decides the bytes."""
    parquet.write_table(
        table,
        where,
        compression="zstd",
        version="2.6",
        row_group_size=1 << 20,
        write_statistics=True,
        store_schema=False,
    )
