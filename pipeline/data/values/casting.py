"""One column at the border: from whatever type a table has to the canonical one, and which rows could not be read."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.tables import ARROW_TYPES, Type
from pipeline.data.values.ids import as_id
from pipeline.data.values.place import Fault, Place, Read, converted, faults_of, is_text, no_blanks, utf8
from pipeline.data.values.seeing import as_picture
from pipeline.data.values.times import as_time

__all__ = ["Place", "Read", "cast", "read"]

_NUMBER = r"^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?|[nN][aA][nN])$"
_WHOLE = r"^-?\d{1,19}$"
_COUNT = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?"
_NAMED = rf"(?:[^\s:]+|\S+:{_COUNT})"  # a name alone, or with its count
_BAG = rf"^\s*(?:{_NAMED}(?:\s+{_NAMED})*)?\s*$"
EXACT_FLOATS = 2**53  # beyond it a floating-point number does not hold each whole number


def cast(column: pa.ChunkedArray, wanted: Type, place: Place) -> pa.Array:
    """The values [N] of a column in the wanted type, each of which must be readable.

    Raises:
        DataError: a value does not fit; the message names file, column, row and, unless hidden, the value.
    """
    found = read(column, wanted, place)
    if found.faults:
        raise place.refuse(_plain(column), *found.first())
    return found.values


def read(column: pa.ChunkedArray, wanted: Type, place: Place) -> Read:
    """The values [N] of a column in the wanted type, and which of them could not be read.

    Texts keep their characters, ids but for blanks around them; an empty text is no value. Whole numbers as ids keep
    their digits. NaN and infinite numbers stay, for validation to judge.

    Raises:
        DataError: the column as a whole is of another kind: no value of it can be read, its type has lost digits, or
            it has two readings between which nothing decides.
    """
    values = _plain(column)
    found = _CASTS[wanted](values, place)
    if found.faults and found.values.null_count == len(found.values):
        raise place.refuse(values, *found.first())
    return found


def _plain(column: pa.ChunkedArray) -> pa.Array:
    values = column.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type):
        values = values.cast(pa.string())
    return values


def _as_text(values: pa.Array, place: Place) -> Read:
    number = pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)
    spell = _number_as_text if number else utf8
    read = converted(values, spell, pa.string(), place, "a whole number or a text in UTF-8")
    return Read(place.without_null(pc.if_else(pc.equal(read.values, ""), None, read.values)), read.faults)


def _as_bag(values: pa.Array, place: Place) -> Read:
    """Names with blanks between them, each with its count behind the last colon, or alone for one."""
    text = _as_text(values, place)
    bad = pc.fill_null(pc.invert(pc.match_substring_regex(text.values, _BAG)), False)
    told = "names with counts of zero or more, such as 'good:2 bad', where a name alone counts 1"
    return Read(pc.if_else(bad, None, text.values), (*text.faults, *faults_of((bad, told))))


def _number_as_text(values: pa.Array) -> pa.Array:
    """Each number by itself, so that no row hangs on the others: whole ones without a decimal point, NaN is none."""
    text = values.cast(pa.string())
    if pa.types.is_decimal(values.type):
        return pc.replace_substring_regex(text, r"\.0+$", "")
    exact = values.cast(pa.float64())
    whole = pc.and_(pc.equal(exact, pc.floor(exact)), pc.less_equal(pc.abs(exact), EXACT_FLOATS))
    digits = pc.if_else(whole, exact, None).cast(pa.int64()).cast(pa.string())
    return pc.if_else(pc.is_nan(values), None, pc.if_else(whole, digits, text))


def _as_whole(values: pa.Array, place: Place) -> Read:
    expected, faults = "a whole number", list[Fault]()
    if is_text(values):
        values, faults = _spelt(values, _WHOLE, place, expected)
    elif pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    read = converted(values, lambda part: part.cast(pa.int64()), pa.int64(), place, expected)
    return Read(read.values, (*faults, *read.faults))


def _as_number(values: pa.Array, place: Place) -> Read:
    kind, faults = ARROW_TYPES["number"], list[Fault]()
    expected = "a number with a decimal point, such as 12.5"
    if is_text(values):
        values, faults = _spelt(values, _NUMBER, place, expected)
    read = converted(values, lambda part: part.cast(kind), kind, place, expected)
    # one spelling of zero and of NaN, so that equal content gives equal bytes
    numbers = pc.if_else(pc.is_nan(read.values), float("nan"), pc.add(read.values, 0.0))
    return Read(numbers, (*faults, *read.faults))


def _as_measure(values: pa.Array, place: Place) -> Read:
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int64())
    read = _as_number(values, place)
    return Read(pc.if_else(pc.is_nan(read.values), None, read.values), read.faults)


def _spelt(values: pa.Array, pattern: str, place: Place, expected: str) -> tuple[pa.Array, list[Fault]]:
    """Texts that are spelt like a number, and in which rows they are not."""
    text = place.without_null(no_blanks(values))
    spelt = pc.match_substring_regex(text, pattern)
    bad = pc.fill_null(pc.invert(spelt), False)
    return pc.if_else(spelt, text, None), ([(bad, expected)] if pc.any(bad).as_py() else [])


def _as_flag(values: pa.Array, place: Place) -> Read:
    """Yes or no, as tables spell it: true, t, yes, y, 1, 1.0 and their opposites, in any case."""
    if pa.types.is_boolean(values.type):
        return Read(values)
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    text = _as_text(values, place)
    spelt = pc.utf8_lower(no_blanks(text.values))
    yes = pc.is_in(spelt, pa.array(["true", "t", "yes", "y", "1", "1.0"]))
    no = pc.is_in(spelt, pa.array(["false", "f", "no", "n", "0", "0.0"]))
    told = "yes or no, such as true or false, 1 or 0; a label of other values needs `positive`, the one looked for"
    known = pc.or_(yes, no)
    bad = pc.and_(pc.is_valid(spelt), pc.invert(known))
    faults = (*text.faults, *([(bad, told)] if pc.any(bad).as_py() else ()))
    return Read(pc.if_else(known, yes, None), faults)


_CASTS: dict[Type, Callable[[pa.Array, Place], Read]] = {
    "id": as_id,
    "text": _as_text,
    "bag": _as_bag,
    "time": as_time,
    "whole number": _as_whole,
    "number": _as_number,
    "measure": _as_measure,
    "flag": _as_flag,
    "picture": as_picture,
}
