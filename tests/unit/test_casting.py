"""One column at the border becomes the canonical type, or an error names file, column, row and value."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from pipeline.data.casting import Place, cast
from pipeline.data.tables import INTERACTIONS
from pipeline.errors import DataError


def one(values, name):
    """The canonical values of one column of a file; user ids are personal."""
    place = Place("a.parquet", name, hidden=name == "user_id")
    return cast(pa.chunked_array([values]), INTERACTIONS.by_name[name].type, place).to_pylist()


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
    "values",
    [["now"], ["20240101"], ["01/02/2024"], ["2024-02-30"], ["NaT"], [1704067200000], [20240101], [2**62], [True]],
)
def test_a_time_that_cannot_be_parsed_is_refused(values):
    """The message names file, column, row and value; 'now' must not read the clock, milliseconds are not guessed."""
    good = ["2024-01-01"] if isinstance(values[0], str) else []
    with pytest.raises(
        DataError, match=rf"column 'timestamp', row {len(good) + 1}: expected a date.*got '?{values[0]}"
    ):
        one(pa.array(good + values), "timestamp")


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
