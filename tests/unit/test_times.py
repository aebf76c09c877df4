"""Times of any spelling become the instants that Python's own datetime says, or are asked for."""

import logging
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.config import FileTable, MappedColumn
from pipeline.data.mapping import Mapper
from pipeline.data.tables import INTERACTIONS
from pipeline.data.values.casting import Place, read
from pipeline.errors import ConfigError, DataError

INSTANTS = [datetime(2010, 12, 13, 8, 26, 5, tzinfo=UTC), datetime(2019, 10, 1, tzinfo=UTC)]


def times(values, hidden=False, null=None, **how):
    """The instants of a column, and the rows that could not be read."""
    place = Place("a.csv", "ts", hidden, MappedColumn(**how), null)
    array = values if isinstance(values, pa.Array) else pa.array(values)
    found = read(pa.chunked_array([array]), "time", place)
    broken = {row for bad, _ in found.faults for row, is_bad in enumerate(bad.to_pylist()) if is_bad}
    return found.values.to_pylist(), sorted(broken)


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%d %H:%M:%S UTC",
        "%Y-%m-%dT%H:%M:%S+00:00",
        "%Y/%m/%d %H:%M:%S",
        "%Y.%m.%d %H:%M:%S GMT",
        "%m/%d/%Y %H:%M:%S",
        "%d.%m.%Y %H:%M:%S",
        "%d-%m-%Y %H:%M:%S +0000",
        "%m/%d/%Y %I:%M:%S %p",
        "%b %d, %Y, %H:%M:%S",
        "%B %d, %Y %H:%M:%S",
        "%d %b, %Y %H:%M:%S",
        "%d %B %Y %I:%M:%S %p",
        "%Y-%m-%d %H:%M:%S.000000000",
    ],
)
def test_what_has_one_reading_is_read(form):
    """Python writes the instants and they come back; in the second one day and month could be exchanged."""
    assert times([one.strftime(form) for one in INSTANTS]) == (INSTANTS, [])


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.string()])
def test_numbers_tell_their_unit_by_their_size(unit, scale, kind):
    """Seconds to nanoseconds from 1973 to 2100; stated it is the same."""
    numbers = pa.array([int(one.timestamp()) * scale for one in INSTANTS]).cast(kind, safe=False)
    assert times(numbers) == times(numbers, unit=unit) == (INSTANTS, [])


def test_known_data_sets_read_right():
    """As these are published: MovieLens, RetailRocket, Yoochoose, REES46, Online Retail, Steam."""

    def first(values, **how):
        return times(values, **how)[0][0]

    assert first([1112486027]) == datetime(2005, 4, 2, 23, 53, 47, tzinfo=UTC)
    assert first([1433221332117]) == datetime(2015, 6, 2, 5, 2, 12, 117000, tzinfo=UTC)
    assert first(["2014-04-07T10:51:09.277Z"]) == datetime(2014, 4, 7, 10, 51, 9, 277000, tzinfo=UTC)
    assert first(["2019-10-01 00:00:00 UTC"]) == datetime(2019, 10, 1, tzinfo=UTC)
    assert first(["12/1/2010 8:26", "12/13/2010 9:02"]) == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    assert first(["Nov 5, 2011", "21 Oct, 2008"]) == datetime(2011, 11, 5, tzinfo=UTC)
    assert first(["Posted November 5, 2011."], format="Posted %B %d, %Y.") == datetime(2011, 11, 5, tzinfo=UTC)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), min_size=1, max_size=5), st.integers(-14, 14))  # noqa: DTZ001
def test_any_instant_with_any_offset(moments, hours):
    """The slow way (slashes) and the quick one give what Python gives."""
    sign, wide = "-" if hours < 0 else "+", abs(hours)
    texts = [f"{one:%m/%d}/{one.year:04} {one:%H:%M:%S}.{one.microsecond:06} {sign}{wide:02}:30" for one in moments]
    iso = [f"{one.isoformat()}{sign}{wide:02}:30" for one in moments]
    expected = [datetime.fromisoformat(text).timestamp() for text in iso]
    assert [one.timestamp() for one in times(iso)[0]] == expected
    ordered = [*texts, "12/31/2000"]  # decides the order
    assert [one.timestamp() for one in times(ordered)[0][:-1]] == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["04/04/2024", "03/04/2024"], r"row 2: '03/04/2024' may be 2024-04-03 \(day .*\) or 2024-03-04 \(month"),
        (["13/04/2024", "04/13/2024"], r"day first stand beside dates with the month first, such as 13/04.* and 04/13"),
        (["1.2.2024 8:26", "45.1.2024 8:26"], r"format: \"%d\.%m\.%Y\"\}` or `\{column: ts, format: \"%m\.%d\.%Y\"\}"),
        (
            ["12/13/10 8:26", None, "1/2/11"],
            r"row 1: dates whose years .* such as '12/13/10 8:26', .*format: \"%d/%m/%y\"\}` or .* \"%m/%d/%y\"\}`",
        ),
        (["2019", "2024"], r"2019 may be the year 2019 or seconds since 1970"),
        ([20240131], r"20240131 may be the date 2024-01-31 or seconds since 1970 \(1970-08-23"),
        ([5_000_000_000], r"5000000000 may be seconds since 1970 \(2128-06-11 .* or milliseconds .* \(1970-02-27"),
        (["12", "13"], r"12 may be seconds since 1970 .*"),
        (
            ["45292.5", "45293"],
            r"45292\.5 may be days in Excel \(2024-01-01 12:00:00\) or days in Excel where its "
            r"dates begin in 1904 \(2028-01-02 12:00:00\), and.*: excel\}` or `\{column: ts, unit: excel_1904\}`",
        ),
    ],
)
def test_what_has_two_readings_is_asked_for(values, message):
    """Both readings stand in the message, and what to write."""
    with pytest.raises(DataError, match=r"^a\.csv: column 'ts'.*" + message):
        times(values)
    with pytest.raises(DataError, match=r"`\{column: ts, (format|unit): "):
        times(values)
    with pytest.raises(DataError) as refused:
        times(values, hidden=True)
    assert not [value for value in values if str(value) in str(refused.value)]


def test_what_is_stated_is_read():
    """Format, unit and time zone; a value that does not fit the format is one broken row."""
    day = datetime(2024, 4, 3, tzinfo=UTC)
    assert times(["03/04/2024", "x", "30/04/2024"], format="%d/%m/%Y") == ([day, None, day.replace(day=30)], [1])
    assert times([20240403], format="%Y%m%d") == ([day], [])
    assert times([5_000_000_000], unit="ms")[0] == [datetime(1970, 2, 27, 20, 53, 20, tzinfo=UTC)]
    assert times(["01/01/2024", "05/05/2024"])[0][1] == datetime(2024, 5, 5, tzinfo=UTC)  # both readings are the same


@pytest.mark.parametrize(
    ("unit", "numbers"),
    [("excel", [61, 25569, 40513.35, 45292.5, 73050.999988426]), ("excel_1904", [0.0, 366, 43830.5])],
)
def test_days_as_workbooks_count_them(unit, numbers):
    """To the millisecond, of whole and other numbers and of texts; 0 is broken, because it stands for no day."""
    first = {"excel": datetime(1899, 12, 30, tzinfo=UTC), "excel_1904": datetime(1904, 1, 1, tzinfo=UTC)}[unit]
    expected = [first + timedelta(milliseconds=round(number * 86_400_000)) for number in numbers if number]
    broken = [place for place, number in enumerate(numbers) if not number]
    for values in (numbers, [str(number) for number in numbers]):
        found, where = times(values, unit=unit)
        assert ([one for one in found if one], where) == (expected, broken)
    zoned = datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    assert times([45474.5], unit="excel", timezone="Europe/Berlin")[0] == [zoned]
    assert times(["45292.5", "2024-01-01 18:00"], unit="excel")[0] == [
        datetime(2024, 1, 1, hour, tzinfo=UTC) for hour in (12, 18)
    ]


def test_times_without_a_zone_are_of_the_stated_one():
    """As the standard library has it; an hour that never was is broken, one that came twice is the first."""
    zone = ZoneInfo("Europe/Berlin")
    texts = ["2024-01-31 12:00:00", "2024-07-31 12:00:00", "2024-10-27 02:30:00", "2024-03-31 02:30:00"]
    expected = [datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC) for text in texts[:3]]
    assert times(texts, timezone="Europe/Berlin") == ([*expected, None], [3])
    slashed = [text.replace("-", "/") for text in texts]
    assert times(slashed, timezone="Europe/Berlin") == ([*expected, None], [3])
    naive = pa.array([datetime.fromisoformat(text) for text in texts[:3]], pa.timestamp("ns"))
    assert times(naive, timezone="Europe/Berlin")[0] == expected
    assert times(["2024-01-31T12:00:00Z"], timezone="Europe/Berlin")[0] == [datetime(2024, 1, 31, 12, tzinfo=UTC)]
    assert times([INSTANTS[0].timestamp()], timezone="Europe/Berlin")[0] == INSTANTS[:1]


@pytest.mark.parametrize("broken", ["0000-00-00", "None", "2024-02-30", "2024-01-01 24:00", "yesterday", "0", "2024"])
def test_one_broken_time_leaves_the_others(broken):
    """Beside dates."""
    assert times(["2019/10/01", broken]) == ([*INSTANTS[1:], None], [1])


def test_numbers_of_another_size_are_broken():
    """Zeros, milliseconds among seconds, and what is infinite."""
    good = INSTANTS[1].timestamp()
    assert times([good, good, 0.0, -1.0, good * 1000, float("inf"), float("nan")]) == (
        [INSTANTS[1]] * 2 + [None] * 5, [2, 3, 4, 5]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"timezone": "Mars"}, "expected a time zone such as Europe/Berlin"),
        ({"format": "%Q"}, "expected a format of strptime"),
        ({"format": "yyyy"}, "expected a format of strptime"),
        ({"unit": "s", "format": "%Y"}, "unit .* or format .*, not both"),
        ({"alike": ["letters"]}, "zeros"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_scenario(how, message):
    """Before any table is read."""
    with pytest.raises(ValidationError, match=message):
        MappedColumn(**how)


def test_times_that_lost_digits_are_told(caplog):
    """32 bits hold seconds to two minutes: too late to mend, but not in silence."""
    with caplog.at_level(logging.WARNING, "pipeline"):
        [instant] = times(pa.array([1112486027.0], pa.float32()))[0]
    assert abs(instant.timestamp() - 1112486027) <= 64
    assert "a.csv: column 'ts': times as floating-point numbers of 32 bits are exact to 128 units only" in caplog.text


def test_null_is_a_key_in_yaml():
    """There it is no text, unless someone writes quotes."""
    given = {"path": "a.csv", "columns": {"timestamp": {"unit": "ms"}, "user_id": "who"}}
    read_from_yaml = FileTable.model_validate({**given, **yaml.safe_load('null: ["-"]')})
    assert read_from_yaml == FileTable.model_validate({**given, "null": ["-"]})
    assert (read_from_yaml.null, read_from_yaml.columns["user_id"].column) == (("-",), "who")


def test_settings_of_times_are_for_times():
    """A unit of an id would say nothing, without a word."""
    spec = FileTable(path="a.csv", columns={"user_id": MappedColumn(column="u", unit="s")})
    with pytest.raises(ConfigError, match=r"tables\.interactions\.columns\.user_id: unit is for a column of type time"):
        Mapper(INTERACTIONS, spec)
