"""CSV, Parquet and JSON lines, also compressed, into canonical tables."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import json as arrow_json
from pyarrow import parquet

from pipeline.data.mapping import Mapper
from pipeline.errors import DataError

Reader = Callable[[bytes, str, Mapper], pa.Table]


def read_file(path: Path, shown: str, file_format: str, mapper: Mapper) -> pa.Table:
    """The canonical table of one file, its rows in the file's order.

    Args:
        path: The file.
        shown: Its name in messages.
        file_format: csv, parquet or jsonl.
        mapper: Which columns are read, and what they mean.

    Raises:
        DataError: the file is empty, damaged, has no rows, or does not fit the scenario.
    """
    try:
        with pa.input_stream(str(path)) as stream:  # unpacks by the file's ending
            data = stream.read()
    except OSError as error:
        raise DataError(f"{shown}: cannot be read ({error}); is the file whole?") from error
    if not data:
        raise DataError(f"{shown}: the file is empty; expected a table.")
    raw = READERS[file_format](data, shown, mapper)
    if raw.num_rows == 0:
        raise DataError(f"{shown}: the table has no rows.")
    return mapper.canonical(raw, shown)


def _csv(data: bytes, shown: str, mapper: Mapper) -> pa.Table:
    """All columns as texts, so that '007' stays '007'; an empty field is no value."""
    try:
        text = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", errors="replace", newline="")
        header = next(csv.reader(text), [])
    except csv.Error as error:
        raise DataError(f"{shown}: expected CSV with a header ({error}).") from None
    if not mapper.knows_any(header):  # a message that lists its names would list a row's values
        raise DataError(
            f"{shown}: the first line has none of the columns that the scenario reads; expected CSV with the columns' "
            "names in the first line. Name them in the scenario: `columns: {user_id: ...}`."
        )
    names = sorted(set(mapper.choose(header, shown).values()))
    ragged: list[arrow_csv.InvalidRow] = []

    def remember(row: arrow_csv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    try:
        return arrow_csv.read_csv(
            pa.BufferReader(data),
            read_options=arrow_csv.ReadOptions(use_threads=False),  # else rows have no numbers
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=remember),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), include_columns=names,
                null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True,
            ),
        )  # fmt: skip
    except pa.ArrowInvalid as error:
        if ragged:
            row = ragged[0]
            raise DataError(
                f"{shown}: row {row.number - 1}: expected {row.expected_columns} fields like the header, got "
                f"{row.actual_columns}; a field that holds commas or line breaks needs double quotes."
            ) from None
        if "Empty CSV" in str(error):
            raise DataError(f"{shown}: the table has no rows.") from None
        if "invalid UTF8" in str(error):
            raise DataError(f"{shown}: expected UTF-8 ({error}).") from None
        raise DataError(f"{shown}: expected CSV ({error}).") from None


def _parquet(data: bytes, shown: str, mapper: Mapper) -> pa.Table:
    try:
        file = parquet.ParquetFile(pa.BufferReader(data))
        names = mapper.choose(file.schema_arrow.names, shown).values()
        return file.read(columns=sorted(set(names)))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{shown}: expected a whole Parquet file ({error}).") from error


def _jsonl(data: bytes, shown: str, mapper: Mapper) -> pa.Table:
    """Types as JSON states them, but for texts that look like dates and for long numbers in ids: these stay exact."""
    raw = _parsed(data, shown, pa.schema([]))
    chosen = mapper.choose(raw.column_names, shown)
    exact, stated = mapper.exact(chosen), []
    for name in set(chosen.values()):
        kind = raw.schema.field(name).type
        if pa.types.is_timestamp(kind):
            stated.append((name, pa.string()))
        elif pa.types.is_floating(kind) and name in exact:
            stated.append((name, pa.decimal128(38, 0)))
    return _parsed(data, shown, pa.schema(stated)) if stated else raw


def _parsed(data: bytes, shown: str, schema: pa.Schema) -> pa.Table:
    try:
        return arrow_json.read_json(
            pa.BufferReader(data),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=arrow_json.ParseOptions(explicit_schema=schema),
        )
    except pa.ArrowInvalid as error:
        raise _bad_line(data, shown, str(error)) from None


def _bad_line(data: bytes, shown: str, otherwise: str) -> DataError:
    """The error that names the first line that is no JSON object; only on the way out is each line looked at."""
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            whole = not line.strip() or isinstance(json.loads(line.removeprefix(b"\xef\xbb\xbf")), dict)
        except ValueError:
            whole = False
        if not whole:
            return DataError(
                f'{shown}: line {number}: expected one JSON object on each line, such as {{"user_id": 7}}.'
            )
    return DataError(f"{shown}: expected JSON lines whose columns each have one type ({otherwise}, counted from 0).")


READERS: dict[str, Reader] = {"csv": _csv, "parquet": _parquet, "jsonl": _jsonl}
