"""One SELECT over files: their rows are put into a database of its own, which is then open for reading alone."""

import json
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.config import FileSource, QueryTable
from pipeline.data.mapping import Mapper
from pipeline.data.readers.duck import connection, name
from pipeline.data.readers.files import SourceFile, partitions
from pipeline.data.readers.queries import gives_another_answer, named_columns
from pipeline.data.readers.reading import READERS, constant, refuse_twice
from pipeline.data.readers.unpacking import unpack
from pipeline.errors import DataError

LIMIT = 15 * 60  # seconds that a query may take
SHOWN = "query over files"
_ZONED = "TIMESTAMP WITH TIME ZONE"
_QUOTES_VALUES = (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException)


def read_files_query(
    spec: QueryTable, files: Mapping[str, Sequence[SourceFile]], mapper: Mapper, scratch: Path
) -> pa.Table:
    """The canonical table of a query over files.

    The query sees tables of the names that `files` gives them and can reach nothing else: when it runs, DuckDB opens
    no file any more, and the database of these tables is open for reading alone.

    Args:
        spec: The files and the query.
        files: Where they lie.
        mapper: Which columns of the result are read, and what they mean.
        scratch: An empty folder for the tables; the caller removes it.

    Raises:
        DataError: a file cannot be read, the query is not one SELECT, it fails, takes longer than `LIMIT` or asks for
            chance or the time, or its result does not fit the scenario.
        StorageError: the scratch folder is full.
    """
    database = scratch / "tables.duckdb"
    with connection(scratch, database) as opened:
        wanted = named_columns(_parsed(opened, spec.query))
        for table, source in spec.files.items():
            for number, file in enumerate(files[table]):
                (folder := scratch / f"{table}-{number}").mkdir()
                _load(opened, table, (file, source), wanted, folder)
    with connection(scratch, database, closed=True) as opened:
        raw = _result(opened, spec.query)
    if raw.num_rows == 0:
        raise DataError(f"{SHOWN}: it gives no rows.")
    return mapper.canonical(raw, SHOWN)


def _load(
    opened: duckdb.DuckDBPyConnection,
    table: str,
    what: tuple[SourceFile, FileSource],
    wanted: Collection[str] | None,
    scratch: Path,
) -> None:
    """Put the rows of one file under those of the files before it, by the names of columns; of all, or those wanted."""
    file, source = what
    plain = unpack(file, source, scratch)
    reader = READERS[plain.format](opened, plain, source, file.shown)
    folders = partitions(file.shown)
    named = [one for one in reader.names if one]
    names = [one for one in named if wanted is None or one.casefold() in wanted] or named[:1]
    refuse_twice([*names, *folders], file.shown)
    there = ", ".join(f"{constant(value)} AS {name(key)}" for key, value in folders.items())
    rows = f"SELECT *{', ' if there else ''}{there} FROM ({reader.rows(names)})"  # noqa: S608  all quoted
    try:
        if opened.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [table]).fetchall():
            _widen(opened, table, rows, file.shown)
            [(count,)] = opened.execute(f"INSERT INTO {name(table)} BY NAME {rows}").fetchall()
        else:
            [(count,)] = opened.execute(f"CREATE TABLE {name(table)} AS {rows}").fetchall()
    except duckdb.Error as error:
        raise reader.explain(error, names) from None
    reader.check(count)


def _widen(opened: duckdb.DuckDBPyConnection, table: str, rows: str, shown: str) -> None:
    """Give a table the columns of some rows, in types that hold the values of both: 7 and 2.5, 7 and 007."""
    before = {column.casefold(): kind for column, kind, *_ in opened.execute(f"DESCRIBE {name(table)}").fetchall()}
    for column, kind, *_ in opened.execute(f"DESCRIBE {rows}").fetchall():
        known = before.get(column.casefold())
        if known is None:
            opened.execute(f"ALTER TABLE {name(table)} ADD COLUMN {name(column)} {kind}")
        elif known != kind:
            if {known, kind} >= {_ZONED} and all(one.startswith("TIMESTAMP") for one in (known, kind)):
                raise DataError(
                    f"{shown}: column {column!r}: expected {known} as in the files before it, got {kind}; name the "
                    "files apart under `files`, and say in the query which zone the times without one have."
                )
            both = f"SELECT typeof(one) FROM (SELECT NULL::{known} AS one UNION ALL SELECT NULL::{kind}) LIMIT 1"  # noqa: S608
            [(wide,)] = opened.execute(both).fetchall()
            opened.execute(f"ALTER TABLE {name(table)} ALTER {name(column)} TYPE {wide}")


def _parsed(opened: duckdb.DuckDBPyConnection, query: str) -> object:
    """A query as DuckDB parses it, of which nothing ran yet; what is not one SELECT with one answer is refused."""
    try:
        statements = opened.extract_statements(query)
    except duckdb.Error as error:
        raise _failed(error) from None
    told: dict[str, object] = {"error": True}
    if len(statements) == 1 and statements[0].type == duckdb.StatementType.SELECT:
        told = json.loads(opened.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()[0][0])
    if told["error"]:
        raise DataError(
            f"{SHOWN}: expected one SELECT, which may begin with WITH; it reads the tables that `files` names and "
            "changes nothing."
        )
    volatile = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE'"
    if used := gives_another_answer(told, {row[0] for row in opened.execute(volatile).fetchall()}):
        raise DataError(
            f"{SHOWN}: {used} gives another answer each time; equal files must give equal rows. Write the value "
            "into the query."
        )
    return told


def _result(opened: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    stop = threading.Timer(LIMIT, opened.interrupt)
    stop.start()
    try:
        return opened.sql(query).to_arrow_table()
    except duckdb.InterruptException:
        raise DataError(f"{SHOWN}: it was stopped after {LIMIT} seconds; is a condition of a JOIN missing?") from None
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        raise _failed(_placed(opened, query) or error) from None
    except duckdb.Error as error:
        raise _failed(error) from None
    finally:
        stop.cancel()


def _placed(opened: duckdb.DuckDBPyConnection, query: str) -> duckdb.Error | None:
    """The same error with its place, which only this way of asking tells."""
    try:
        opened.execute(query)
    except duckdb.Error as error:
        return error
    return None


def _failed(error: duckdb.Error) -> DataError:
    """DuckDB's own words and the place in the query, without a value, which may name a person."""
    told, _, place = str(error).partition("\n\nLINE ")
    if isinstance(error, _QUOTES_VALUES) and "read-only" not in told:
        told = "a value does not fit what the query makes of it; TRY_CAST gives no value in its place"
    return DataError(f"{SHOWN}: {told.strip()}" + (f"\nLINE {place.rstrip()}" if place else ""))
