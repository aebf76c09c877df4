"""Files as they are into canonical tables: what is used of them, its rows in the file's order."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import duckdb
import pyarrow as pa

from pipeline.config.files import FileSource, Format
from pipeline.data.mapping import Mapper
from pipeline.data.readers.delimited import Delimited
from pipeline.data.readers.duck import connection, name, text
from pipeline.data.readers.excel import Excel
from pipeline.data.readers.files import LocalFile, SourceFile, partitions
from pipeline.data.readers.json_files import Json
from pipeline.data.readers.parquet_files import Parquet
from pipeline.data.readers.unpacking import Plain, unpack
from pipeline.errors import DataError

_NUMBERS = ("number", "measure", "whole number")


class Reader(Protocol):
    """A file of one format as DuckDB reads it."""

    @property
    def names(self) -> Sequence[str]:
        """The names of its columns."""
        ...

    @property
    def source(self) -> str:
        """The table in SQL."""
        ...

    def rows(self, wanted: Collection[str], /) -> str:
        """The SELECT of these columns for a query, by their names."""
        ...

    def column(self, raw: str, number: bool, /) -> str:
        """A column in SQL; `number`: it is taken for one."""
        ...

    def check(self, rows: int, /) -> None:
        """Refuse what reads well and cannot be right."""
        ...

    def explain(self, error: duckdb.Error, used: Collection[str], /) -> DataError:
        """What is wrong where these columns are read, at which place, and what to do."""
        ...


READERS: dict[Format, Callable[[duckdb.DuckDBPyConnection, Plain, FileSource, str], Reader]] = {
    "csv": Delimited,
    "parquet": lambda opened, plain, _, shown: Parquet(opened, plain, shown),
    "jsonl": lambda opened, plain, _, shown: Json(opened, plain, shown),
    "json": lambda opened, plain, _, shown: Json(opened, plain, shown),
    "excel": Excel,
}


def read_file(file: SourceFile, spec: FileSource, mapper: Mapper, scratch: Path) -> pa.Table:
    """The canonical table of one file, its rows in the file's order.

    Args:
        file: Where it lies.
        spec: How it is read.
        mapper: Which columns are read, and what they mean; what is in others refuses nothing.
        scratch: An empty folder for copies; the caller removes it.

    Raises:
        ConfigError: the scenario states what does not fit the file.
        DataError: the file is empty, damaged, has no rows, or does not fit the scenario.
        StorageError: the scratch folder is full.
    """
    folders = partitions(file.shown)
    if told := sorted(set(folders) & mapper.hidden):  # the names of files stand in messages and in quarantine
        raise DataError(
            f"{spec.path}: the name of a folder says {told[0]!r}, which is personal, and names of files are told; put "
            "it into the files as a column, or leave it out of `personal` where it names nobody."
        )
    plain = unpack(file, spec, scratch)
    with connection(scratch) as opened:
        reader = READERS[plain.format](opened, plain, spec, file.shown)
        names = [*reader.names, *folders]
        if plain.format in ("csv", "excel") and not mapper.knows_any(names):  # its names may be a row's values
            raise DataError(
                f"{file.shown}: the first line has none of the columns that the scenario reads; expected the columns' "
                "names there. Name them in the scenario: `columns: {user_id: ...}`; where the first line is a row, "
                "state `header: false` and their `names`; where others stand before it, `skip`; where something else "
                "stands between them, `separator`."
            )
        chosen = mapper.choose(names, file.shown)
        numbers = {raw for own, raw in chosen.items() if mapper.kind.by_name[own].type in _NUMBERS}
        columns = {
            raw: constant(folders[raw]) if raw in folders else reader.column(raw, raw in numbers)
            for raw in sorted(set(chosen.values()))
        }
        try:
            asked = ", ".join(f"{sql} AS {name(raw)}" for raw, sql in columns.items())
            raw_table = opened.sql(f"SELECT {asked} FROM {reader.source}").to_arrow_table()  # noqa: S608  all quoted
        except duckdb.Error as error:
            raise reader.explain(error, columns) from None
        if raw_table.num_rows == 0:
            raise DataError(f"{file.shown}: the table has no rows.")
        reader.check(raw_table.num_rows)
    return mapper.canonical(raw_table.rename_columns(list(columns)), file.shown)


def read_whole(path: Path) -> pa.Table:
    """All columns of one file by itself, as a query over files sees them: of CSV and Excel as texts.

    Raises:
        DataError: the file is not there, damaged or empty, has no rows, or a name stands there twice.
        StorageError: the folder of temporary files is full.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file.")
    file, spec = LocalFile(path.resolve(), path.resolve().parent), FileSource(path=path.name)
    with TemporaryDirectory(prefix="crosslift-") as scratch, connection(Path(scratch)) as opened:
        plain = unpack(file, spec, Path(scratch))
        reader = READERS[plain.format](opened, plain, spec, file.shown)
        refuse_twice(reader.names, file.shown)
        try:
            table = opened.sql(reader.rows(reader.names)).to_arrow_table()
        except duckdb.Error as error:
            raise reader.explain(error, reader.names) from None
        if table.num_rows == 0:
            raise DataError(f"{file.shown}: the table has no rows.")
        reader.check(table.num_rows)
    return table


def refuse_twice(names: Sequence[str], shown: str) -> None:
    """Refuse names that are one in SQL: a query that names it would get the first of them without a word."""
    known = [one.casefold() for one in names if one]
    if twice := next((one for one in names if known.count(one.casefold()) > 1), None):
        raise DataError(
            f"{shown}: column {twice!r} stands there more than once, and SQL, which does not look at case, could not "
            "say which is meant. Give the columns of a CSV or Excel file other names: `header: false`, `skip: 1` "
            "and `names`."
        )


def constant(value: str | None) -> str:
    """What a folder says of all rows, in SQL."""
    return "NULL::VARCHAR" if value is None else text(value)
