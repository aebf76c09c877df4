"""DuckDB as a reader: one connection a file, with nothing fetched, nothing guessed and nothing printed of a row."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

_QUOTED = re.compile(r"""\{.*\}|\[.*\]|"[^"]*"|'[^']*'|".*|'.*""")
_SETTINGS: dict[str, Any] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",  # a name in a query is no variable of this program
}


@contextmanager
def connection(
    scratch: Path, database: Path | None = None, *, closed: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose larger intermediate results go to the scratch folder.

    Args:
        scratch: An existing folder.
        database: The database's file; None: in memory.
        closed: Read the database and nothing else: no other file is opened, nothing is written, no setting changed.
    """
    opened = duckdb.connect(str(database or ":memory:"), read_only=closed, config=_SETTINGS)
    try:
        opened.execute(f"SET TimeZone = 'UTC'; SET temp_directory = {text(str(scratch / 'spill'))}")
        opened.execute("SET arrow_large_buffer_size = true")  # else a column of pictures has 2 GB at most
        if closed:
            opened.execute("SET enable_external_access = false; SET lock_configuration = true")
        yield opened
    finally:
        opened.close()


def text(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def name(value: str) -> str:
    """A column or table as SQL writes it."""
    return '"' + value.replace('"', '""') + '"'


def told(error: Exception) -> str:
    """The first line of what DuckDB says, without what it quotes of a file, which may name a person."""
    return _QUOTED.sub("...", str(error).splitlines()[0] if str(error) else "damaged")[:200]


def call(function: str, path: Path, options: Mapping[str, str]) -> str:
    """A function that reads a file, with options that are SQL already."""
    return f"{function}({', '.join([text(str(path)), *(f'{key} = {value}' for key, value in options.items())])})"
