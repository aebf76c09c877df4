"""Parquet, read by DuckDB: only the columns that are used, in the types that the file has."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import duckdb
import pyarrow as pa
from pyarrow import parquet

from pipeline.data.readers.duck import call, name, text, told
from pipeline.data.readers.unpacking import Plain
from pipeline.errors import DataError


@dataclass(frozen=True)
class Parquet:
    """A Parquet file.

    Raises:
        DataError: it is none, or not whole.
    """

    connection: duckdb.DuckDBPyConnection
    plain: Plain
    shown: str

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in their order, and the dotted names of fields in them; one may stand there twice."""
        twice = [field.name for field in self._schema]
        return (*twice, *(one for one in self._fields if one not in twice))

    @property
    def source(self) -> str:
        """The table in SQL, with the columns c0, c1 and so on: two names may differ in nothing that SQL sees."""
        columns = ", ".join(f"c{place}" for place in range(len(self._schema)))
        call_ = call("read_parquet", self.plain.path, {"hive_partitioning": "false"})
        return f"(SELECT * FROM {call_}) AS file({columns})"  # noqa: S608

    def rows(self, wanted: Collection[str]) -> str:
        """The SELECT of these columns for a query."""
        there = enumerate(self._schema)
        named = ", ".join(f"c{place} AS {name(field.name)}" for place, field in there if field.name in wanted)
        return f"SELECT {named} FROM {self.source}"  # noqa: S608

    def column(self, raw: str, _number: bool) -> str:
        """A column in SQL; a list is joined by blanks.

        Raises:
            DataError: it has fields of its own.
        """
        (top, *rest), kind = self._fields[raw]
        if pa.types.is_struct(kind) or pa.types.is_map(kind):
            inner = kind.field(0).name if pa.types.is_struct(kind) and kind.num_fields else "name"
            raise DataError(
                f"{self.shown}: column {raw!r}: expected plain values, got {kind}; name one of its fields, such as "
                f"{raw}.{inner}."
            )
        value = f"c{self._schema.get_all_field_indices(top)[0]}"
        for key in rest:
            value = f"struct_extract({value}, {text(key)})"
        return f"array_to_string({value}::VARCHAR[], ' ')" if _is_list(kind) else value

    def check(self, _rows: int) -> None:
        """Nothing that reads well is wrong."""

    def explain(self, error: Exception, _used: Collection[str]) -> DataError:
        """What DuckDB says, without the name that it knows the file by."""
        return DataError(
            f"{self.shown}: expected a whole Parquet file ({told(error).replace(str(self.plain.path), 'it')})."
        )

    @cached_property
    def _schema(self) -> pa.Schema:
        try:
            return parquet.read_schema(self.plain.path)
        except (pa.ArrowException, OSError) as error:
            raise self.explain(error, ()) from None

    @cached_property
    def _fields(self) -> Mapping[str, tuple[tuple[str, ...], pa.DataType]]:
        """Name -> the names that lead to it and its type."""
        fields: dict[str, tuple[tuple[str, ...], pa.DataType]] = {}
        for field in self._schema:
            fields.setdefault(field.name, ((field.name,), field.type))
        for path, kind in [one for field in self._schema for one in _nested(field, ())]:
            fields.setdefault(".".join(path), (path, kind))  # a column whose name holds a dot goes before
        return fields


def _nested(field: pa.Field, before: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], pa.DataType]]:
    path = (*before, field.name)
    yield path, field.type
    if pa.types.is_struct(field.type):
        for place in range(field.type.num_fields):
            yield from _nested(field.type.field(place), path)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))
