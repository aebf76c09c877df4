"""What all kinds of value at the border have in common: where they stand, and which of them could not be read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import MappedColumn
from pipeline.data.pictures import Pictures
from pipeline.errors import DataError

Fault = tuple[pa.Array, str]  # in which rows [N] no value could be made, and what was expected there

_PLAIN = MappedColumn()
_LONGEST = 80  # characters of a value in a message


@dataclass(frozen=True)
class Place:
    """Where a column comes from, and what the scenario says about reading it."""

    file: str
    column: str  # the name in the file
    hidden: bool = False  # its values must not appear in a message
    how: MappedColumn = _PLAIN
    null: tuple[str, ...] | None = None  # texts that mean no value; None: nothing was said
    pictures: Pictures | None = None  # what texts stand for where they are pictures
    asked: bool = False  # a request, whose reader no scenario can tell more

    def refuse(self, values: pa.Array, row: int, expected: str) -> DataError:
        """The error for one value; rows count from 1, without the header."""
        got = "" if self.hidden else f", got {shown(values, row)}"
        return DataError(f"{self.file}: column {self.column!r}, row {row + 1}: expected {expected}{got}.")

    def without_null(self, text: pa.Array) -> pa.Array:
        """Texts of which those that the scenario calls no value are none."""
        return without(text, self.null or ())


@dataclass(frozen=True)
class Read:
    """A column [N] in its canonical type; where no value could be made there is none, and a fault says so."""

    values: pa.Array
    faults: tuple[Fault, ...] = ()

    def first(self) -> tuple[int, str]:
        """The first row that could not be read, counted from 0, and what was expected there."""
        places = [(int(pc.index(bad, True).as_py()), expected) for bad, expected in self.faults]
        return min(places)


def shown(values: pa.Array, row: int) -> str:
    """A value for a message."""
    try:
        value = values[row].as_py()
        text = f"{len(value):,} bytes" if isinstance(value, bytes) else repr(value)
    except (ValueError, OverflowError):  # bytes that are no text, a time beyond Python's
        return "what cannot be shown"
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def is_text(values: pa.Array) -> bool:
    """Whether values are texts."""
    return bool(pa.types.is_string(values.type) or pa.types.is_large_string(values.type))


def no_blanks(values: pa.Array) -> pa.Array:
    """Texts without blanks around them; nothing left is no value."""
    text = pc.utf8_trim_whitespace(values.cast(pa.string()))
    return pc.if_else(pc.equal(text, ""), None, text)


def without(text: pa.Array, tokens: tuple[str, ...]) -> pa.Array:
    """Texts of which some mean that there is no value."""
    if not tokens:
        return text
    return pc.if_else(pc.is_in(text, pa.array(tokens, pa.string())), None, text)


def utf8(values: pa.Array) -> pa.Array:
    """Values as texts.

    Raises:
        pa.ArrowInvalid: bytes are no UTF-8.
    """
    text = values.cast(pa.string())
    text.validate(full=True)
    return text


def faults_of(*found: tuple[Any, str]) -> tuple[Fault, ...]:
    """Those of some masks [N] in which a row is broken; null counts as sound."""
    masks = [(pc.fill_null(pa.array(bad) if isinstance(bad, np.ndarray) else bad, False), told) for bad, told in found]
    return tuple((bad, told) for bad, told in masks if pc.any(bad).as_py())


def converted(
    values: pa.Array, convert: Callable[[pa.Array], pa.Array], kind: pa.DataType, place: Place, expected: str
) -> Read:
    """`convert(values)`; where it refuses, the values are halved until those are found that it refuses.

    Raises:
        DataError: it knows nothing of values of this type.
    """
    broken = np.zeros(len(values), dtype=bool)

    def each(begin: int, end: int) -> list[pa.Array]:
        part = values[begin:end]
        try:
            return [convert(part)]
        except pa.ArrowInvalid:
            if end - begin == 1:
                broken[begin] = True
                return [pa.nulls(1, kind)]
            middle = (begin + end) // 2
            return [*each(begin, middle), *each(middle, end)]

    try:
        parts = each(0, len(values))
    except pa.ArrowNotImplementedError:
        raise DataError(f"{place.file}: column {place.column!r}: expected {expected}, got {values.type}.") from None
    made = parts[0] if len(parts) == 1 else pa.concat_arrays(parts)
    return Read(made, faults_of((broken, expected)))
