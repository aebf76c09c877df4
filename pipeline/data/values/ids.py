"""Ids at the border: texts as they are spelt, whole numbers by their digits, and never a word for nothing."""

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.values.place import Place, Read, converted, faults_of, is_text, no_blanks, utf8, without

# What programs write where there is nothing. `NA` is not among them: it is Namibia, and a part of many numbers.
NOTHING = ("NULL", "Null", "null", "None", "NaN", "nan", "NaT", "N/A", "n/a", "#N/A", "<NA>", "\\N")
# 9.78012E+12, as workbooks show long numbers, and 9007199254740993.0, which as a number is 9007199254740992
_ROUNDED = r"^-?(?:\d(?:\.\d+)?[eE]\+\d+|(?:\d{17,}|9\d{15})\.0+)$"
_BITS = {16: 11, 32: 24, 64: 53}  # width of a floating-point type -> whole numbers up to two to this power are exact


def as_id(values: pa.Array, place: Place) -> Read:
    """Ids as texts [N]; a word that stands for nothing is no id.

    Raises:
        DataError: a floating-point column has lost digits.
    """
    number = pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)
    whole = _whole(values, place) if number else Read(values)
    read = converted(whole.values, utf8, pa.string(), place, "a whole number or a text in UTF-8")
    text = read.values
    if is_text(values) or pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        text = no_blanks(text) if place.how.trim else pc.if_else(pc.equal(text, ""), None, text)
        text = without(text, NOTHING if place.null is None else place.null)
    broken = pc.fill_null(pc.match_substring(text, "\0"), False)
    rounded = pc.fill_null(pc.match_substring_regex(text, _ROUNDED), False)
    text = pc.if_else(pc.or_(broken, rounded), None, text)
    told = (
        (broken, "an id without NUL characters"),
        (rounded, "an id with all its digits, and a rounded number has lost some"),
    )
    return Read(text, (*whole.faults, *read.faults, *faults_of(*told)))


def _whole(values: pa.Array, place: Place) -> Read:
    """Numbers of a type with decimals as whole ones; NaN is no id."""
    expected = "a whole number or a text as an id"
    if pa.types.is_decimal(values.type):
        kind = pa.decimal128(38, 0)
        return converted(values, lambda part: part.cast(kind), kind, place, expected)
    bits = _BITS[values.type.bit_width]
    numbers = pc.if_else(pc.is_nan(values), None, values).cast(pa.float64())
    inexact = pc.fill_null(pc.and_(pc.greater_equal(pc.abs(numbers), 2.0**bits), pc.is_finite(numbers)), False)
    if (row := pc.index(inexact, True).as_py()) >= 0:
        raise place.refuse(
            values, row,
            f"an id as a text or integer, because a floating-point number of {values.type.bit_width} bits loses digits "
            f"from {2**bits:,} on, and different ids become one",
        )  # fmt: skip
    broken = pc.fill_null(pc.not_equal(numbers, pc.floor(numbers)), False)
    broken = pc.or_(broken, pc.fill_null(pc.is_inf(numbers), False))
    return Read(pc.if_else(broken, None, numbers).cast(pa.int64()), faults_of((broken, expected)))
