"""One column at the border becomes the canonical type, or an error names file, column, row and value."""

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from pipeline.config import MappedColumn
from pipeline.data.tables import INTERACTIONS
from pipeline.data.values.casting import Place, cast, read
from pipeline.errors import DataError


def one(values, name):
    """The canonical values of one column of a file; user ids are personal."""
    place = Place("a.parquet", name, hidden=name == "user_id")
    return cast(pa.chunked_array([values]), INTERACTIONS.by_name[name].type, place).to_pylist()


def some(values, name, null=None, **how):
    """The values of a column of which some may be broken, the rows that are, and what was expected there."""
    place = Place("a.parquet", name, how=MappedColumn(**how), null=null)
    found = read(pa.chunked_array([values]), INTERACTIONS.by_name[name].type, place)
    rows = [(row, told) for bad, told in found.faults for row, broken in enumerate(bad.to_pylist()) if broken]
    return found.values.to_pylist(), rows


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([7, None, 2**62]), ["7", None, "4611686018427387904"]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([7.0, None]), ["7", None]),
        (pa.array(["x", "", "x"]).dictionary_encode(), ["x", None, "x"]),
        (pa.array(["x"], pa.string_view()), ["x"]),
        (pa.array([b"x"]), ["x"]),
    ],
)
def test_ids_become_exact_texts(values, expected):
    """Whole numbers have no '.0', whatever type the file gave them; an empty text is no id."""
    assert one(values, "user_id") == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pa.array(["a", "b\0"]), r"row 2: expected an id without NUL"),
        (pa.array([7.0, 7.5]), r"row 2: expected a whole number or a text as an id"),
        (pa.array([2.0**60]), r"row 1: expected an id as a text or integer.*loses digits"),
        (pa.array([1.0, 2.0**53]), r"row 2: expected an id .* of 64 bits loses digits from 9,007,199,254,740,992 on"),
        (pa.array([1, 2**24], pa.float32()), r"row 2: expected an id .* of 32 bits loses digits from 16,777,216 on"),
        (pa.array([b"ok", b"\xff"]), r"row 2: expected a whole number or a text in UTF-8"),
        (pa.array([[1]]), r"expected a whole number or a text in UTF-8, got list"),
    ],
)
def test_an_impossible_id_is_refused_with_its_place(values, message):
    """File, column and row are named."""
    with pytest.raises(DataError, match=r"^a\.parquet: column 'item_id'.*" + message):
        one(values, "item_id")


def test_values_of_personal_columns_do_not_appear_in_a_message():
    """A user id in a log would be personal data."""
    with pytest.raises(DataError, match=r"column 'user_id', row 1: expected an id without NUL characters\.$"):
        one(pa.array(["ann@example.com\0"]), "user_id")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([5.0, 5.5, float("nan")]), ["5", "5.5", None]),
        (pa.array([123456789012.0, 0.5, None]), ["123456789012", "0.5", None]),  # 1.23456789012e+11 beside a fraction
        (pa.array([5.0, 0.1], pa.float32()), ["5", "0.1"]),
        (pa.array([Decimal("5.00"), Decimal("5.50"), Decimal("500.00")]), ["5", "5.50", "500"]),
    ],
)
def test_a_number_as_a_text_hangs_on_no_other_row(values, expected):
    """Or a category would be another one in a request of one row than in the table that was learnt from."""
    place = Place("f.parquet", "size")
    assert cast(pa.chunked_array([values]), "text", place).to_pylist() == expected
    alone = [cast(pa.chunked_array([values[row : row + 1]]), "text", place)[0].as_py() for row in range(len(values))]
    assert alone == expected


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["1704067200"]),
        pa.array([1704067200]),
        pa.array([1704067200.0]),
        pa.array([1704067200 * 10**9 + 1], pa.timestamp("ns", "Europe/Berlin")),
        pa.array([1704067200], pa.timestamp("s")),
        pa.array([19723], pa.date32()),
    ],
)
def test_times_of_other_types_become_utc(values):
    """Seconds since 1970, dates and times with a zone mean the same moment."""
    assert one(values, "timestamp") == [datetime(2024, 1, 1, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([7.0, float("nan"), 2.0**53 - 1]), ["7", None, "9007199254740991"]),
        (pa.array([2**24 - 1, float("nan")], pa.float32()), ["16777215", None]),
        (pa.array([" 007 ", "7.0", "Ab 1\t"]), ["007", "7.0", "Ab 1"]),
        (pa.array(["NULL", "null", "None", "NaN", "nan", "N/A", "\\N", "  ", "x"]), [None] * 8 + ["x"]),
        (pa.array(["NA", "0", "-", "none"]), ["NA", "0", "-", "none"]),
    ],
)
def test_ids_are_what_they_are_and_nothing_is_none(values, expected):
    """Floats hold whole numbers exactly or are refused; texts stay but for outer blanks; words for nothing are none."""
    assert some(values, "item_id") == (expected, [])


def test_the_scenario_says_what_is_nothing_and_whether_blanks_count():
    """Its words replace those that are known, in each column."""
    assert some(pa.array(["-", "None"]), "item_id", null=("-",)) == ([None, "None"], [])
    assert some(pa.array([" a ", ""]), "item_id", trim=False) == ([" a ", None], [])
    assert some(pa.array(["-", "1"]), "value", null=("-",)) == ([None, 1.0], [])
    assert some(pa.array(["-", "2024-01-01"]), "timestamp", null=("-",))[0] == [None, datetime(2024, 1, 1, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("values", "name", "expected", "row", "told"),
    [
        (pa.array([7.0, 7.5]), "item_id", ["7", None], 1, "a whole number or a text as an id"),
        (pa.array([float("inf"), 7.0]), "item_id", [None, "7"], 0, "a whole number or a text as an id"),
        (pa.array([b"ok", b"\xff"]), "item_id", ["ok", None], 1, "a whole number or a text in UTF-8"),
        (pa.array(["from 14.99", "3"]), "value", [None, 3.0], 0, "a number with a decimal point, such as 12.5"),
        (pa.array(["1", "99999999999999999999"]), "position", [1, None], 1, "a whole number"),
        (pa.array([1.0, 2.5, float("nan")]), "position", [1, None, None], 1, "a whole number"),
        (pa.array([2**53, 2**53 + 1]), "value", [2.0**53, None], 1, "a number with a decimal point, such as 12.5"),
    ],
)
def test_one_broken_value_leaves_the_others(values, name, expected, row, told):
    """It is none, its row is named, and all others are read."""
    assert some(values, name) == (expected, [(row, told)])


@pytest.mark.parametrize("values", [["now"], ["2024-02-30"], ["NaT"], ["0000-00-00"], ["None"]])
def test_a_time_that_cannot_be_parsed_is_refused(values):
    """The message names file, column, row and value; 'now' must not read the clock."""
    with pytest.raises(DataError, match=rf"column 'timestamp', row 2: expected a date.*got '{values[0]}'"):
        one(pa.array(["2024-01-01", *values]), "timestamp")


def test_a_time_beyond_the_calendar_is_refused():
    """A value that Python cannot even show still gives a message."""
    with pytest.raises(DataError, match=r"row 1: expected a date and time.*got what cannot be shown"):
        one(pa.array([2**60], pa.timestamp("us")), "timestamp")


def test_numbers_keep_nan_and_infinity_for_validation():
    """Blanks around a number do not matter; an empty field is no value."""
    values = one(pa.array([" 1.5 ", "-inf", "", "1e3"]), "value")
    assert values == [1.5, float("-inf"), None, 1000.0]
    assert str(one(pa.array([1.0, float("nan")]), "value")) == "[1.0, nan]"


@pytest.mark.parametrize(
    ("name", "values", "row", "shown"),
    [
        ("value", ["1", "2", "1,5", "x"], 3, "'1,5'"),
        ("position", ["1", "2.0"], 2, "'2.0'"),
        ("position", [1.0, 2.5], 2, "2.5"),
    ],
)
def test_a_number_that_is_none_is_refused(name, values, row, shown):
    """The first bad row is named with its value."""
    with pytest.raises(
        DataError, match=rf"^a\.parquet: column '{name}', row {row}: expected a .*number.*, got {shown}\.$"
    ):
        one(pa.array(values), name)


def test_bags_are_names_with_counts():
    """What stands behind the last colon is a count; a bag of which that is not so costs its row."""
    values = pa.array(["good:2 bad", " 0:1.5\t7:.5e1 ", "10:30:2 é:0", "good:two", "a:2b", ":3", "a: 3", "a:-1",
                       "a:nan", "", "  ", None])  # fmt: skip
    found = read(pa.chunked_array([values]), "bag", Place("a.parquet", "words"))
    [(bad, told)] = found.faults
    assert bad.to_pylist() == [False] * 3 + [True] * 6 + [False] * 3
    assert found.values.to_pylist() == [*values.to_pylist()[:3], *[None] * 7, "  ", None]
    assert "such as 'good:2 bad'" in told
    with pytest.raises(DataError, match=r"column 'words', row 2: expected names with counts.*, got 'a:b'"):
        cast(pa.chunked_array([pa.array(["a:1", "a:b"])]), "bag", Place("a.parquet", "words"))
