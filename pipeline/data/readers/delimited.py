"""Text with separators, read by DuckDB: every value a text, each row of as many fields as the header has names."""

import json
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import duckdb

from pipeline.config.files import FileSource
from pipeline.data.readers.duck import call, name, text
from pipeline.data.readers.quotes import line_of, refuse, swallowed
from pipeline.data.readers.unpacking import Plain
from pipeline.errors import DataError

MOST_LINE = 16 << 20  # bytes that a row may have
_HEADER_LINES = 20  # that a header with line breaks in its quotes may have
_HEADER = 4 << 20  # bytes in which the header is looked for
_SEPARATORS = (";", "\t", "::", "|", ",")


@dataclass(frozen=True)
class Delimited:
    """A text with separators.

    Raises:
        DataError: its first line cannot be the header.
    """

    connection: duckdb.DuckDBPyConnection
    plain: Plain
    spec: FileSource
    shown: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in their order; one may stand there twice."""
        return self.spec.names or self._header[0]

    @property
    def source(self) -> str:
        """The table in SQL, with the columns c0, c1 and so on."""
        return self._source()

    def rows(self, wanted: Collection[str]) -> str:
        """The SELECT of these columns for a query, as texts; one without a name has none there."""
        pairs = zip(self._columns, self.names, strict=True)
        named = ", ".join(f"{column} AS {name(raw)}" for column, raw in pairs if raw and raw in wanted)
        return f"SELECT {named} FROM {self.source}"  # noqa: S608

    def column(self, raw: str, number: bool) -> str:
        """A column in SQL; where a comma stands before fractions, a number with a point is refused, not misread."""
        column = f"c{self.names.index(raw)}"
        if not number or self.spec.decimal == ".":
            return column
        refused = text(' (beside `decimal: ","`)')
        return f"CASE WHEN contains({column}, '.') THEN {column} || {refused} ELSE replace({column}, ',', '.') END"

    def check(self, rows: int) -> None:
        """Hold rows against lines, because a quote that nobody meant makes one row of many.

        Raises:
            DataError: a field has swallowed rows.
        """
        if self.spec.quote is not None or rows == self.plain.lines - self._first + 1:
            return
        table = self.connection, self.source, self._columns
        if found := swallowed(*table, self._separator):
            row, place, breaks = found
            line = line_of(*table, row, (self.plain.path, self._first))
            raise refuse(self.shown, self.names[place], (line, line + breaks))

    def explain(self, error: duckdb.Error, used: Collection[str]) -> DataError:
        """Where the first row is that cannot be read, and why, without its values."""
        try:
            read = [column for column, raw in zip(self._columns, self.names, strict=True) if raw in used] or ["*"]
            asked = f"SELECT count({'), count('.join(read)}) FROM {self._source(store_rejects='true')}"  # noqa: S608
            self.connection.execute(asked).fetchall()
            found = self.connection.execute(
                "SELECT line_byte_position, column_idx, error_type::VARCHAR, error_message FROM reject_errors "
                "ORDER BY line LIMIT 1"
            ).fetchall()
        except duckdb.Error:
            found = []
        if "state machine" in str(error):  # that is all that DuckDB says of it
            return DataError(
                f"{self.shown}: expected lines that end in one way, got a carriage return alone among other ends; if "
                "it is a part of a field, the field needs quotes."
            )
        if not found:
            return DataError(f"{self.shown}: expected CSV ({str(error).splitlines()[0][:200]}).")
        start, place, kind, message = found[0]
        return DataError(f"{self.shown}: line {self._line_at(start)}: {self._told(kind, place, message)}")

    def _told(self, kind: str, place: int | None, message: str) -> str:
        """What is wrong with a row, in our words."""
        counts = re.findall(r"\d+", message)
        if kind in ("MISSING COLUMNS", "TOO MANY COLUMNS") and len(counts) == 2:
            got = counts[1] if kind == "MISSING COLUMNS" else "more"  # it counts none beyond the first too many
            return (
                f"expected {counts[0]} fields like the {'header' if self.spec.header else '`names`'}, got {got}; "
                f"a field that holds {self._separator!r} or a line break needs quotes."
            )
        if kind == "UNQUOTED VALUE":
            return (
                "a quote opens a field and no quote before a separator or a line's end closes it. If quotes are "
                "characters like any other here, state `quote: none`; if a backslash stands before a quote in a "
                "quoted field, `escape: '\\'`."
            )
        if kind == "INVALID ENCODING":
            column = f"column {self.names[place - 1]!r}: " if place and place <= len(self.names) else ""
            return (
                f"{column}expected {self.spec.encoding or 'UTF-8'}, got bytes that are none; state the file's "
                "`encoding`, such as cp1252, latin-1 or gb18030."
            )
        if kind == "LINE SIZE OVER MAXIMUM":
            return f"expected a row of at most {MOST_LINE:,} bytes, got more; is a quote missing? (`quote: none`)"
        return f"expected CSV ({kind.lower()})."

    def _line_at(self, start: int) -> int:
        path, skipped = self._body
        with path.open("rb") as file:
            left, lines = start, self._first - skipped
            while left > 0 and (block := file.read(min(left, 1 << 20))):
                lines, left = lines + (block.count(b"\n") or block.count(b"\r")), left - len(block)
        return lines

    def _source(self, **more: str) -> str:
        columns = ", ".join(f"{text(column)}: 'VARCHAR'" for column in self._columns)
        path, skipped = self._body
        options = {
            **self._dialect, "auto_detect": "false", "header": "false", "skip": str(skipped),
            "columns": f"{{{columns}}}", "nullstr": f"[{text('')}]", "max_line_size": str(MOST_LINE),
        }  # fmt: skip
        return call("read_csv", path, {**options, **more})

    @property
    def _dialect(self) -> dict[str, str]:
        quote = "" if self.spec.quote == "none" else self.spec.quote or '"'
        escape = self.spec.escape or quote
        return {
            "delim": text(self._separator), "quote": text(quote), "escape": text(escape), "compression": "'none'",
            "hive_partitioning": "false",
        }  # fmt: skip

    @property
    def _columns(self) -> list[str]:
        return [f"c{place}" for place in range(len(self.names))]

    @property
    def _first(self) -> int:
        """The line of the first row."""
        return self.spec.skip + (self._header[1] if self.spec.header else 0) + 1

    @cached_property
    def _body(self) -> tuple[Path, int]:
        """The file, and the lines before the first row; DuckDB takes a quote in these for one that it must close."""
        before = self._first - 1
        if before <= 1:
            return self.plain.path, before
        body = self.plain.path.with_name("body")
        with self.plain.path.open("rb") as file, body.open("wb") as rest:
            for _ in range(before):
                file.readline()
            shutil.copyfileobj(file, rest)
        return body, 0

    @property
    def _separator(self) -> str:
        return self.spec.separator or ("\t" if ".tsv" in self.plain.name.lower() else ",")

    @cached_property
    def _header(self) -> tuple[tuple[str, ...], int]:
        """The names in the first line, and how many lines they take."""
        quote = "" if self.spec.quote == "none" else self.spec.quote or '"'
        with self.plain.path.open("rb") as file:
            rest = file.read(_HEADER).splitlines(keepends=True)[self.spec.skip :]
        most = next(
            (n for n in range(1, _HEADER_LINES) if not quote or b"".join(rest[:n]).count(quote.encode()) % 2 == 0), 1
        )
        lines = rest[:most]
        head = b"".join(lines)
        try:
            head.decode()
        except UnicodeDecodeError:
            raise DataError(
                f"{self.shown}: line {self.spec.skip + 1}: expected names of columns in "
                f"{self.spec.encoding or 'UTF-8'}, got bytes that are none; state the file's `encoding`, such as "
                "cp1252, latin-1 or gb18030."
            ) from None
        return self._parsed(head), len(lines)

    def _parsed(self, head: bytes) -> tuple[str, ...]:
        """A header as DuckDB parses it, alone, so that no row decides about it."""
        if not head.strip():
            raise DataError(
                f"{self.shown}: line {self.spec.skip + 1}: expected the columns' names, got an empty line; `skip` says "
                "how many lines stand before them."
            )
        alone = self.plain.path.with_name("header")  # in the scratch folder
        alone.write_bytes(head.rstrip(b"\r\n") + b"\n")
        options = {
            **self._dialect,
            "header": "false",
            "all_varchar": "true",
            "skip": "0",
            "max_line_size": str(MOST_LINE),
        }
        try:
            [row] = self.connection.execute(f"SELECT * FROM {call('read_csv', alone, options)}").fetchall()  # noqa: S608
        except (duckdb.Error, ValueError):
            raise DataError(
                f"{self.shown}: line {self.spec.skip + 1}: expected the columns' names with {self._separator!r} "
                "between them; is a quote open? (`quote: none`)"
            ) from None
        names = tuple(one or "" for one in row)
        other = next((one for one in _SEPARATORS if one != self._separator and one in names[0]), None)
        if len(names) == 1 and other:
            raise DataError(
                f"{self.shown}: the first line is one field with {self._separator!r} as separator, and holds "
                f"{other!r}; state `separator: {json.dumps(other)}`."
            )
        return names
