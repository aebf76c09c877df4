"""One column at the border: from whatever type a table has to the canonical one, or an error that names the row."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.tables import ARROW_TYPES, Type
from pipeline.errors import DataError

_EXACT_FLOATS = 2**53  # beyond it a floating-point number does not hold each whole number
_YEAR_1 = -62_135_596_800
_SECONDS = (100_000_000, 253_402_300_799)  # 1973 to 9999; milliseconds and 20240131 fall outside


@dataclass(frozen=True)
class Place:
    """Where a column comes from, for messages."""

    file: str
    column: str  # the name in the file
    hidden: bool = False  # its values must not appear in a message

    def refuse(self, values: pa.Array, row: int, expected: str) -> DataError:
        """The error for one value; rows count from 1, without the header."""
        try:
            text = repr(values[row].as_py())
        except (ValueError, OverflowError):  # bytes that are no text, a time beyond Python's
            text = "what cannot be shown"
        got = "" if self.hidden else f", got {text if len(text) <= 80 else text[:77] + '...'}"
        return DataError(f"{self.file}: column {self.column!r}, row {row + 1}: expected {expected}{got}.")


def cast(column: pa.ChunkedArray, wanted: Type, place: Place) -> pa.Array:
    """The values [N] of a column in the wanted type.

    Texts keep their characters; an empty text is no value. Whole numbers as ids keep their digits. A time without a
    zone is UTC. NaN and infinite numbers stay, for validation to judge.

    Raises:
        DataError: a value does not fit; the message names file, column, row and, unless hidden, the value.
    """
    values = column.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type):
        values = values.cast(pa.string())
    return _CASTS[wanted](values, place)


def _as_id(values: pa.Array, place: Place) -> pa.Array:
    return _as_text(values, place, is_id=True)


def _as_text(values: pa.Array, place: Place, is_id: bool = False) -> pa.Array:
    if pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
        values = _whole_numbers(values, is_id, place)
    expected = "a whole number or a text in UTF-8"
    text = _converted(values, lambda part: _valid(part.cast(pa.string())), place, expected)
    if is_id:
        _check(pc.match_substring(text, "\0"), text, place, "an id without NUL characters")
    return pc.if_else(pc.equal(text, ""), None, text)


def _whole_numbers(values: pa.Array, is_id: bool, place: Place) -> pa.Array:
    """Numbers that are all whole without a decimal point; others stay, except as ids."""
    whole = pa.decimal128(38, 0) if pa.types.is_decimal(values.type) else pa.int64()
    if pa.types.is_floating(values.type):
        values = values.cast(pa.float64())
        inexact = pc.greater(pc.abs(values), _EXACT_FLOATS)
        if is_id:
            _check(inexact, values, place, "an id as a text or integer, because a floating-point number loses digits")
        elif pc.any(inexact).as_py():
            return values
    try:
        return values.cast(whole)
    except pa.ArrowInvalid:
        if is_id:
            return _converted(values, lambda part: part.cast(whole), place, "a whole number or a text as an id")
        return values


def _as_whole(values: pa.Array, place: Place) -> pa.Array:
    return _as_number(values, place, ARROW_TYPES["whole number"])


def _as_number(values: pa.Array, place: Place, kind: pa.DataType = ARROW_TYPES["number"]) -> pa.Array:
    if _is_text(values):
        values = _no_blanks(values)
    expected = "a whole number" if pa.types.is_integer(kind) else "a number with a decimal point, such as 12.5"
    numbers = _converted(values, lambda part: part.cast(kind), place, expected)
    if pa.types.is_floating(kind):  # one spelling of zero and of NaN, so that equal content gives equal bytes
        numbers = pc.if_else(pc.is_nan(numbers), float("nan"), pc.add(numbers, 0.0))
    return numbers


def _as_measure(values: pa.Array, place: Place) -> pa.Array:
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int64())
    numbers = _as_number(values, place)
    return pc.if_else(pc.is_nan(numbers), None, numbers)


def _as_flag(values: pa.Array, place: Place) -> pa.Array:
    """Yes or no, as tables spell it: true, t, yes, y, 1, 1.0 and their opposites, in any case."""
    if pa.types.is_boolean(values.type):
        return values
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    spelt = pc.utf8_lower(_no_blanks(_as_text(values, place)))
    yes = pc.is_in(spelt, pa.array(["true", "t", "yes", "y", "1", "1.0"]))
    no = pc.is_in(spelt, pa.array(["false", "f", "no", "n", "0", "0.0"]))
    told = "yes or no, such as true or false, 1 or 0; a label of other values needs `positive`, the one looked for"
    _check(pc.and_(pc.is_valid(spelt), pc.invert(pc.or_(yes, no))), values, place, told)
    return pc.if_else(pc.is_valid(spelt), yes, None)


def _as_time(values: pa.Array, place: Place) -> pa.Array:
    utc = ARROW_TYPES["time"]
    expected = "a date and time such as 2026-01-31T12:00:00+01:00, or whole seconds since 1970 (1973 to 9999)"
    if _is_text(values):
        text = _no_blanks(values)
        if not pc.all(pc.match_substring_regex(text, r"^\d{9,}$")).as_py():
            return _parsed(text, values, place, expected)
        values = _converted(text, lambda part: part.cast(pa.int64()), place, expected)
    if pa.types.is_floating(values.type) or pa.types.is_integer(values.type):
        values = _converted(values, lambda part: part.cast(pa.int64()), place, expected)
        outside = pc.or_(pc.less(values, _SECONDS[0]), pc.greater(values, _SECONDS[1]))
        _check(outside, values, place, expected)
        values = values.cast(pa.timestamp("s", tz="UTC"))
    elif pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("s"))
    times = _converted(values, lambda part: _to_utc(part, utc), place, expected)
    seconds = pc.divide(times.cast(pa.int64()), 1_000_000)
    _check(pc.or_(pc.less(seconds, _YEAR_1), pc.greater(seconds, _SECONDS[1])), values, place, expected)
    return times


def _to_utc(values: pa.Array, utc: pa.DataType) -> pa.Array:
    if not (pa.types.is_timestamp(values.type) or pa.types.is_null(values.type)):
        raise pa.ArrowInvalid("no time")
    if pa.types.is_timestamp(values.type) and values.type.unit == "ns":
        return values.cast(pa.timestamp("us", tz=values.type.tz), safe=False).cast(utc)  # cuts nanoseconds
    return values.cast(utc)


def _parsed(text: pa.Array, original: pa.Array, place: Place, expected: str) -> pa.Array:
    """ISO 8601 with any mixture of offsets; cut to microseconds first, because nanoseconds reach only to 2262."""
    import pandas as pd  # here alone, because half a second is saved where no time is written as text

    cut = pc.replace_substring_regex(text, r"([.,]\d{6})\d+", r"\1")
    dated = pc.match_substring_regex(cut, r"^\d{4}-\d")  # else "now" would read the clock
    series = pc.if_else(dated, cut, None).to_pandas()
    times = pd.to_datetime(series, format="ISO8601", utc=True, errors="coerce")
    naive = times.dt.tz_convert(None).dt.as_unit("us").to_numpy()
    parsed = pa.array(naive, pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))
    _check(pc.and_(pc.is_null(parsed), pc.is_valid(text)), original, place, expected)
    return parsed


def _no_blanks(values: pa.Array) -> pa.Array:
    """Texts without blanks around them; nothing left is no value."""
    text = pc.utf8_trim_whitespace(values.cast(pa.string()))
    return pc.if_else(pc.equal(text, ""), None, text)


def _is_text(values: pa.Array) -> bool:
    return bool(pa.types.is_string(values.type))


def _valid(text: pa.Array) -> pa.Array:
    text.validate(full=True)  # is it UTF-8 in truth?
    return text


def _check(bad: pa.Array, values: pa.Array, place: Place, expected: str) -> None:
    row = pc.index(pc.fill_null(bad, False), True).as_py()
    if row >= 0:
        raise place.refuse(values, row, expected)


def _converted(values: pa.Array, convert: Callable[[pa.Array], pa.Array], place: Place, expected: str) -> pa.Array:
    """`convert(values)`, or the error for the first value that cannot be converted, found by halving."""
    try:
        return convert(values)
    except pa.ArrowNotImplementedError:
        raise DataError(f"{place.file}: column {place.column!r}: expected {expected}, got {values.type}.") from None
    except pa.ArrowInvalid:
        good, bad = 0, len(values)  # the first `good` can be converted, the first `bad` cannot
        while bad - good > 1:
            middle = (good + bad) // 2
            try:
                convert(values[:middle])
                good = middle
            except pa.ArrowInvalid:
                bad = middle
        raise place.refuse(values, good, expected) from None


_CASTS: dict[Type, Callable[[pa.Array, Place], pa.Array]] = {
    "id": _as_id,
    "text": _as_text,
    "time": _as_time,
    "whole number": _as_whole,
    "number": _as_number,
    "measure": _as_measure,
    "flag": _as_flag,
}
