"""A sheet of a workbook, read by calamine: every cell a text, whole numbers without a point, times in ISO 8601."""

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import duckdb
import pyarrow as pa
import python_calamine as calamine

from pipeline.config.files import FileSource
from pipeline.data.readers.duck import name
from pipeline.data.readers.unpacking import Plain
from pipeline.errors import DataError

_EXACT = 2.0**53  # from here on a workbook's numbers are no longer each whole number
_BATCH = 50_000  # rows that become columns at a time


@dataclass(frozen=True)
class Excel:
    """A sheet of a workbook.

    Raises:
        DataError: the file is no workbook, it is not clear which sheet is meant, or the sheet has no header.
    """

    connection: duckdb.DuckDBPyConnection
    plain: Plain
    spec: FileSource
    shown: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in their order; one may stand there twice."""
        return self.spec.names or self._read[0]

    @cached_property
    def source(self) -> str:
        """The table in SQL, with the columns c0, c1 and so on."""
        self.connection.register("sheet", self._read[1])
        return "sheet"

    def rows(self, wanted: Collection[str]) -> str:
        """The SELECT of these columns for a query, as texts; one without a name has none there."""
        named = ", ".join(f"c{place} AS {name(raw)}" for place, raw in enumerate(self.names) if raw and raw in wanted)
        return f"SELECT {named} FROM {self.source}"  # noqa: S608

    def column(self, raw: str, _number: bool) -> str:
        """A column in SQL."""
        return f"c{self.names.index(raw)}"

    def check(self, _rows: int) -> None:
        """Nothing that reads well is wrong."""

    def explain(self, error: Exception, _used: Collection[str]) -> DataError:
        """What the reader says."""
        return DataError(f"{self.shown}: expected a workbook of Excel ({str(error).splitlines()[0][:200]}).")

    @cached_property
    def _read(self) -> tuple[tuple[str, ...], pa.Table]:
        try:
            with calamine.CalamineWorkbook.from_path(str(self.plain.path)) as book:
                rows = iter(self._sheet(book).iter_rows())
                for _ in islice(rows, self.spec.skip):
                    pass
                header = tuple(_text(cell) or "" for cell in next(rows, ())) if self.spec.header else self.spec.names
                if not any(header):
                    raise DataError(f"{self.shown}: expected the columns' names in row {self.spec.skip + 1}, got none.")
                return header, self._table(rows, len(header))
        except (calamine.CalamineError, OSError, ValueError) as error:
            raise self.explain(error, ()) from None

    def _sheet(self, book: calamine.CalamineWorkbook) -> calamine.CalamineSheet:
        """The sheet that is stated, or the only one with a cell."""
        there = ", ".join(map(repr, book.sheet_names))
        if self.spec.sheet is not None:
            if self.spec.sheet not in book.sheet_names:
                raise DataError(f"{self.shown}: there is no sheet {self.spec.sheet!r}. There are: {there}.")
            return book.get_sheet_by_name(self.spec.sheet)
        sheets = [sheet for sheet in map(book.get_sheet_by_name, book.sheet_names) if sheet.height]
        if len(sheets) != 1:
            raise DataError(
                f"{self.shown}: expected one sheet with cells, got {len(sheets)}; name one with `sheet:`. There are: "
                f"{there}."
            )
        return sheets[0]

    def _table(self, rows: Iterator[Sequence[object]], width: int) -> pa.Table:
        names, batches = [f"c{place}" for place in range(width)], []
        while part := list(islice(rows, _BATCH)):
            self._check_names(part)
            texts = [[_text(cell) or None for cell in row[:width]] for row in part]
            kept = [row for row in texts if any(cell is not None for cell in row)]  # a row of nothing is no row
            columns = list(zip(*kept, strict=True)) or [()] * width
            batches.append(pa.table([pa.array(column, pa.string()) for column in columns], names=names))
        schema = pa.schema([(one, pa.string()) for one in names])
        return pa.concat_tables([schema.empty_table(), *batches])

    def _check_names(self, rows: Sequence[Sequence[object]]) -> None:
        """Refuse `names` that are fewer or more than the columns; a header has as many by itself."""
        most = max(place for row in rows for place, cell in enumerate(row, 1) if place == 1 or _text(cell))
        if self.spec.names and (most > len(self.spec.names) or len(rows[0]) < len(self.spec.names)):
            raise DataError(f"{self.shown}: expected {len(self.spec.names)} columns like the `names`, got {most}.")


def _text(cell: object) -> str | None:
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        if abs(cell) >= _EXACT:
            return f"{cell:.16e}"  # looks like what it is: a number that has lost digits
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, dt.date | dt.time):
        return cell.isoformat()
    return str(cell)
