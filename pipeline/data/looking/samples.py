"""The first rows of a file, as a scenario would read them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.config.files import FileSource, Format
from pipeline.data.looking.heads import Head
from pipeline.data.readers.duck import connection, name
from pipeline.data.readers.files import partitions
from pipeline.data.readers.reading import READERS, Reader
from pipeline.data.readers.unpacking import unpack
from pipeline.errors import DataError

MOST_ROWS = 500_000
MOST_COLUMNS = 100  # objects of JSON may have thousands of different keys

Choose = Callable[[Sequence[str]], Iterable[str]]


@dataclass(frozen=True)
class Sample:
    """The first rows of a file."""

    table: pa.Table  # [N] rows, texts where the format has no types; a column of objects is left out
    whole: bool  # there are no more rows
    inner: tuple[str, ...] = ()  # columns of objects
    left: int = 0  # further columns, which were not looked at


def first_columns(names: Sequence[str]) -> Sequence[str]:
    """Those that are looked at where nothing says which are meant."""
    return names[:MOST_COLUMNS]


def read_sample(
    head: Head, spec: FileSource, found: Format, scratch: Path, most: int = MOST_ROWS, choose: Choose = first_columns
) -> Sample:
    """At most so many rows from the beginning of a file.

    Args:
        head: What the file begins with.
        spec: How it is read.
        found: Its format.
        scratch: A folder for copies, in which no file was unpacked yet.
        most: Rows.
        choose: From the names of all columns to those that are read.

    Raises:
        ConfigError: the spec does not fit the file.
        DataError: the file cannot be read so.
    """
    file, spec, whole = head.part(spec, found, scratch)
    plain = unpack(file, spec, scratch)
    with connection(scratch) as opened:
        reader = READERS[plain.format](opened, plain, spec, file.shown)
        folders = partitions(file.shown)
        names = [*dict.fromkeys(one for one in (*reader.names, *folders) if one)]  # none can say what has no name
        chosen = set(choose(names))
        columns, inner = _columns(reader, [name for name in names if name in chosen and name not in folders])
        asked = ", ".join(f"{sql} AS {name(raw)}" for raw, sql in columns.items())
        try:
            table = opened.sql(f"SELECT {asked} FROM {reader.source} LIMIT {most + 1}").to_arrow_table()  # noqa: S608
        except duckdb.Error as error:
            raise reader.explain(error, columns) from None
        if table.num_rows <= most:
            reader.check(table.num_rows)
    table = table.rename_columns(list(columns))
    for folder, value in folders.items():
        table = table.append_column(folder, pa.array([value] * table.num_rows, pa.string()))
    left = len(names) - table.num_columns - len(inner)
    return Sample(table.slice(0, most), whole and table.num_rows <= most, inner, left)


def _columns(reader: Reader, names: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Each column in SQL by its name, and those that hold objects."""
    columns, inner = dict[str, str](), []
    for raw in names:
        try:
            columns[raw] = reader.column(raw, False)
        except DataError:
            inner.append(raw)
    return columns, tuple(inner)
