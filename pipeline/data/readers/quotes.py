"""Quotes that nobody meant: one that opens in line 100 and closes in line 600 makes one row of 500 without a word."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from pipeline.data.readers.duck import text
from pipeline.errors import DataError

_FIT = 0.8  # of the values in a field's lines that look like their column's, from which these lines are rows
_BREAK = "chr(10)"


def swallowed(
    connection: duckdb.DuckDBPyConnection, source: str, columns: Sequence[str], separator: str
) -> tuple[int, int, int] | None:
    """The first field with line breaks whose lines are rows of their own: its row, its column and its line breaks.

    A field that swallowed rows has as many separators in each of its lines as rows have: those behind its column in
    the first, all in the middle, those before its column in the last. So may a text of people; therefore the values
    between these separators must look like those of their columns too: numbers where all others are, one word where
    all others are.

    Args:
        connection: Where the source can be read.
        source: The table in SQL; rows in their order.
        columns: All its columns in their order.
        separator: What stands between two fields.
    """
    everything = ", ".join(columns)
    fields = f"SELECT row, unnest(range({len(columns)})) AS place, unnest([{everything}]) AS value FROM broken"  # noqa: S608
    found = connection.execute(
        f"""
        WITH numbered AS (SELECT row_number() OVER () AS row, {everything} FROM {source}),
        broken AS (SELECT * FROM numbered WHERE contains(concat_ws('', {everything}), {_BREAK})),
        lines AS (SELECT *, string_split(value, {_BREAK}) AS lines FROM ({fields}) WHERE contains(value, {_BREAK})),
        counted AS (SELECT *, list_transform(lines, lambda line:
            len(string_split(line, {text(separator)})) - 1) AS count FROM lines)
        SELECT row, place, lines FROM counted
        WHERE count[1] = {len(columns) - 1} - place AND count[-1] = place
            AND len(list_filter(count[2:-2], lambda one: one <> {len(columns) - 1})) = 0
        ORDER BY row, place
        """  # noqa: S608  columns are ours, texts are quoted
    ).fetchall()
    if not found:
        return None
    looks = _looks(connection, source, columns)
    for row, place, lines in found:
        fits = [_fits(value, *looks[column]) for column, value in _values(lines, place, separator)]
        if sum(fits) >= _FIT * len(fits):
            return row, place, len(lines) - 1
    return None


def line_of(
    connection: duckdb.DuckDBPyConnection, source: str, columns: Sequence[str], row: int, where: tuple[Path, int]
) -> int:
    """The line in which a row begins; `where` is the file and the line of its first row."""
    everything = ", ".join(columns)
    counted = f"len(concat_ws('', {everything})) - len(replace(concat_ws('', {everything}), {_BREAK}, ''))"
    breaks = dict(
        connection.execute(
            f"SELECT * FROM (SELECT row_number() OVER () AS row, {counted} AS breaks FROM {source}) "  # noqa: S608
            f"WHERE breaks > 0 AND row < {row}"
        ).fetchall()
    )
    path, line = where
    with path.open(encoding="utf-8", errors="replace") as file:
        texts = iter(file)
        for _ in range(line - 1):
            next(texts)
        at = 0
        for content in texts:
            if content.strip("\n") or len(columns) == 1:  # an empty line is no row
                at += 1
                if at == row:
                    break
                for _ in range(breaks.get(at, 0)):
                    next(texts)
                    line += 1
            line += 1
    return line


def refuse(shown: str, column: str, lines: tuple[int, int]) -> DataError:
    """The error for a field that swallowed rows; `lines` are those in which it begins and ends."""
    first, last = lines
    return DataError(
        f"{shown}: column {column!r}: a quote opens a field in line {first} that closes in line {last}, and the lines "
        "between look like rows of their own, which would be lost. If quotes are characters like any other here, state "
        "`quote: none`; if the field does have these lines, state `quote: '\"'`."
    )


def _looks(connection: duckdb.DuckDBPyConnection, source: str, columns: Sequence[str]) -> list[tuple[bool, bool]]:
    """Whether all values of a column are numbers, and whether none has a blank, in rows without line breaks."""
    asked = ", ".join(
        f"coalesce(bool_and(try_cast({column} AS DOUBLE) IS NOT NULL), false), "
        f"coalesce(bool_and(NOT contains({column}, ' ')), false)"
        for column in columns
    )
    alone = f"NOT contains(concat_ws('', {', '.join(columns)}), {_BREAK})"
    [told] = connection.execute(f"SELECT {asked} FROM {source} WHERE {alone}").fetchall()  # noqa: S608
    return list(zip(told[::2], told[1::2], strict=True))


def _values(lines: Sequence[str], place: int, separator: str) -> Iterator[tuple[int, str]]:
    """Column and value of what stands between separators in the lines of a field, but for the field itself."""
    first, *middle, last = (line.split(separator) for line in lines)
    yield from enumerate(first[1:], place + 1)
    for values in middle:
        yield from enumerate(values)
    yield from enumerate(last[:-1])


def _fits(value: str, number: bool, word: bool) -> bool:
    value = value.strip('"\r')
    if number:
        try:
            float(value or "0")
        except ValueError:
            return False
    return not (word and " " in value)
