"""The result of a query into a canonical table: nothing is changed, and no password appears in a message."""

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

from pipeline.config import SqlTable
from pipeline.config.files import VARIABLE
from pipeline.data.mapping import Mapper
from pipeline.data.readers.files import inside
from pipeline.errors import ConfigError, DataError

LIMIT = 15 * 60  # seconds that a query may take
_READS = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(SELECT|WITH|VALUES)\b", re.IGNORECASE | re.DOTALL)
_OLD_NAME = re.compile(r"^postgres(?=[:+])")  # as many providers spell it
_POSTGRES = re.compile(r"^postgresql:")  # without a driver: by the one that Crosslift brings
_TO_FILE = re.compile(r"\bINTO\s+(OUTFILE|DUMPFILE)\b", re.IGNORECASE)  # MySQL writes files in a read-only transaction


def read_query(spec: SqlTable, root: Path, mapper: Mapper) -> pa.Table:
    """The canonical table of a query's result; the database is opened so that no query can change it.

    Args:
        spec: URL and query; `${NAME}` in the URL stands for an environment variable.
        root: The data folder; a file of SQLite lies below it.
        mapper: Which columns are read, and what they mean.

    Raises:
        ConfigError: a variable in the URL is not set.
        DataError: the query is not one SELECT, the database cannot be reached or not be opened for reading only, the
            query fails or takes longer than `LIMIT`, or its result does not fit the scenario.
    """
    secrets = [_value(name) for name in VARIABLE.findall(spec.url)]
    url = _parsed(VARIABLE.sub(lambda match: _value(match[1]), spec.url), root)
    secrets += [str(url.password or ""), *(str(value) for value in url.query.values())]
    shown = f"SQL ({url.drivername})"
    _check(spec.query, url.get_backend_name(), shown)
    started = time.monotonic()
    try:
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.connect() as connection, GUARDS[url.get_backend_name()](connection):  # rolls back when it is left
            # without parameters a percent sign or a colon in the query is only text, for every driver
            result = connection.exec_driver_sql(spec.query, execution_options={"no_parameters": True})
            names, rows = list(result.keys()), result.fetchall()
    except ImportError as error:
        raise DataError(f"{shown}: the driver is not installed ({error.name}); install it beside Crosslift.") from None
    except sa.exc.SQLAlchemyError as error:
        if time.monotonic() - started >= LIMIT:
            raise DataError(
                f"{shown}: the query was stopped after {LIMIT} seconds; let the database write its result to a table, "
                "or to a Parquet file below the data folder, and read that."
            ) from None
        raise DataError(f"{shown}: the query failed ({_without(secrets, _reason(error))}).") from None
    if not rows:
        raise DataError(f"{shown}: the query gives no rows.")
    wanted = set(mapper.choose(names, shown).values())
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    return mapper.canonical(pa.table({name: _column(columns[name], name, shown) for name in sorted(wanted)}), shown)


def _value(name: str) -> str:
    if name not in os.environ:
        raise ConfigError(f"tables: the URL names ${{{name}}}, but the environment variable {name} is not set.")
    return os.environ[name]


def _parsed(text: str, root: Path) -> URL:
    """The URL; a relative file of SQLite lies below the data folder."""
    try:
        url = sa.make_url(_POSTGRES.sub("postgresql+psycopg2:", _OLD_NAME.sub("postgresql", text)))
    except (sa.exc.ArgumentError, ValueError):
        raise DataError(
            "tables: url: expected a SQLAlchemy URL such as postgresql+psycopg2://reader:${SHOP_PASSWORD}@host/shop, "
            "or ${SHOP_URL} for a whole one; characters such as @ or / in a password are written %40 or %2F."
        ) from None
    if url.get_backend_name() != "sqlite":
        return url
    path = inside(root, url.database or "")
    if not path.is_file():  # SQLite would make an empty database
        raise DataError(f"{url.database or ':memory:'}: there is no such SQLite file below {root}; check the URL.")
    how = {"mode": "ro", "uri": "true"}
    with path.open("rb") as file:
        if file.read(19)[18:] == b"\2" and not _has_log(path):
            how["immutable"] = "1"  # else SQLite would leave the log's files beside the user's
    return url.set(drivername="sqlite", database=path.as_uri(), query=how)


def _check(query: str, backend: str, shown: str) -> None:
    """Refuse what is not one query that reads: the database refuses it too, but not each as clearly."""
    if backend not in GUARDS:
        raise DataError(
            f"{shown}: Crosslift opens a database for reading only, and knows how for {', '.join(sorted(GUARDS))}; "
            "write the query's result to a Parquet or CSV file below the data folder, and name that."
        )
    if not _READS.match(query) or _TO_FILE.search(query) or ";" in query.rstrip().removesuffix(";"):
        raise DataError(
            f"{shown}: expected one query that begins with SELECT, WITH or VALUES, without a semicolon in it; a query "
            "may only read. Write a semicolon in a text as CHR(59), in SQLite and MySQL as CHAR(59)."
        )


@contextmanager
def _sqlite(connection: Connection) -> Iterator[None]:
    """The file is open for reading alone, and neither ATTACH nor VACUUM INTO can open another."""
    raw: Any = connection.connection.dbapi_connection
    path = Path(raw.execute("PRAGMA database_list").fetchone()[2])
    before, end = path.stat(), time.monotonic() + LIMIT
    raw.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    raw.set_progress_handler(lambda: time.monotonic() > end, 100_000)
    yield
    after = path.stat()
    changed = _has_log(path) or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)
    if changed and "immutable" in connection.engine.url.query:
        raise DataError(f"{path.name}: changed while it was read; repeat when nobody writes to it.")


@contextmanager
def _postgresql(connection: Connection) -> Iterator[None]:
    connection.exec_driver_sql("SET TRANSACTION READ ONLY")
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{LIMIT}s'")
    yield


@contextmanager
def _mysql(connection: Connection) -> Iterator[None]:
    seconds = getattr(connection.dialect, "is_mariadb", False)
    connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
    limit = f"max_statement_time = {LIMIT}" if seconds else f"max_execution_time = {LIMIT * 1000}"
    connection.exec_driver_sql(f"SET SESSION {limit}")
    connection.rollback()  # the transaction that begins now is one that only reads
    yield


# How a connection is made to read alone, and to stop in time.
GUARDS: dict[str, Callable[[Connection], AbstractContextManager[None]]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "mysql": _mysql,
    "mariadb": _mysql,
}


def _has_log(path: Path) -> bool:
    """Whether a SQLite file has a write-ahead log beside it, as while somebody writes to it."""
    return path.with_name(f"{path.name}-wal").exists()


def _reason(error: sa.exc.SQLAlchemyError) -> str:
    """The database's own words, unless they are about a value: these quote it."""
    if isinstance(error, sa.exc.DataError):
        return "a value does not fit what the query makes of it; which one is not told, because it may name a person"
    return str(getattr(error, "orig", None) or error)


def _column(values: tuple[object, ...], name: str, shown: str) -> pa.ChunkedArray:
    try:
        return pa.chunked_array([pa.array(values)])
    except (pa.ArrowException, OverflowError, UnicodeError):
        raise DataError(
            f"{shown}: column {name!r}: expected values of one plain type; cast it in the query, for example "
            f"`CAST({name} AS TEXT) AS {name}`."
        ) from None


def _without(secrets: list[str], text: str) -> str:
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
