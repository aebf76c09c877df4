"""Times at the border: numbers since 1970, texts, dates and instants become microseconds in UTC.

What can be read in one way only is read; what has two readings is asked for.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.data.tables import ARROW_TYPES
from pipeline.data.values.dates import WRITE, in_zone, read_dates
from pipeline.data.values.place import Place, Read, converted, faults_of, is_text, no_blanks
from pipeline.errors import DataError

log = logging.getLogger(__name__)

_DOUBLE = 64  # bits of a number that holds microseconds since 1970
_UTC = ARROW_TYPES["time"]
_EXPECTED = "a date and time such as 2026-01-31T12:00:00+01:00, or a number since 1970 (1973 to 2100)"
_YEARS = (-62_135_596_800, 253_402_300_799)  # seconds: 0001 to 9999
_LIKELY = (100_000_000, 4_102_444_800)  # seconds: 1973 to 2100; a thousand times each is later than that
_FIRST_YEAR, _LAST_YEAR = 1900, 2100
_A_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_DAY_NONE = {"excel": datetime(1899, 12, 30), "excel_1904": datetime(1904, 1, 1)}  # noqa: DTZ001  of no zone
_DAYS = (61, 2_958_465)  # of workbooks, from March 1900, before which one day too many is counted, to 9999
_LIKELY_DAYS = (20_000, 80_000)  # 1954 to 2119
_DATES = {  # what the digits of a number may be -> how it is told
    "%Y%m%d%H%M%S": "the time %Y-%m-%d %H:%M:%S", "%Y%m%d%H%M": "the time %Y-%m-%d %H:%M",
    "%Y%m%d%H": "the hour %Y-%m-%d %H", "%Y%m%d": "the date %Y-%m-%d", "%Y%m": "the month %Y-%m", "%Y": "the year %Y",
}  # fmt: skip
_A_NUMBER = r"^[+-]?\d{1,19}(?:\.\d+)?$"


def as_time(values: pa.Array, place: Place) -> Read:
    """Instants [N] as microseconds in UTC.

    Raises:
        DataError: numbers have no unit, or dates no order, that the values decide.
    """
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    if pa.types.is_decimal(values.type):  # as databases give whole numbers
        values = _numbers(values)
    number = pa.types.is_floating(values.type) or pa.types.is_integer(values.type)
    if place.how.format and number:
        values = _digits(values)
        number = False
    if number:
        _tell_coarse(values, place)
        return _counted(values, place, alone=True)
    if is_text(values):
        return _written(place.without_null(no_blanks(values)), place)
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("s"))
    return _stamped(values, place)


def _tell_coarse(values: pa.Array, place: Place) -> None:
    """Warn of numbers since 1970 of a type that is too short for them: what is lost is lost, but not in silence."""
    if (
        pa.types.is_floating(values.type)
        and values.type.bit_width < _DOUBLE
        and (most := pc.max(pc.abs(values)).as_py())
    ):
        step = float(np.spacing(np.float32(most)))
        if step > 1:
            log.warning(
                "%s: column %r: times as floating-point numbers of %s bits are exact to %g units only",
                place.file, place.column, values.type.bit_width, step,
            )  # fmt: skip


def _digits(values: pa.Array) -> pa.Array:
    """Numbers such as 20240131 as texts."""
    try:
        return values.cast(pa.int64()).cast(pa.string())
    except pa.ArrowInvalid:
        return values.cast(pa.string())


def _written(text: pa.Array, place: Place) -> Read:
    if place.how.format:
        return read_dates(text, place, _EXPECTED)
    number = pc.match_substring_regex(text, _A_NUMBER)
    if not pc.any(number).as_py():
        return read_dates(text, place, _EXPECTED)
    alone = bool(pc.all(number).as_py())
    counted = _counted(_numbers(pc.replace_substring(pc.if_else(number, text, None), "+", "")), place, alone=alone)
    if alone:
        return counted
    dated = read_dates(pc.if_else(number, None, text), place, _EXPECTED)
    return Read(pc.coalesce(counted.values, dated.values), (*counted.faults, *dated.faults))


def _numbers(text: pa.Array) -> pa.Array:
    try:
        return text.cast(pa.int64())
    except pa.ArrowInvalid:
        return text.cast(pa.float64())


def _counted(values: pa.Array, place: Place, *, alone: bool) -> Read:
    """Numbers since 1970, in the stated unit or the one that their size tells.

    Raises:
        DataError: nothing tells the unit, and no date stands beside the numbers.
    """
    sizes = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    if place.how.unit in _DAY_NONE:
        return _days(sizes, _DAY_NONE[place.how.unit], place)
    unit = place.how.unit or _unit(sizes)
    if not place.how.unit and _look_like_dates(sizes):
        raise _asked(values, int(np.flatnonzero(np.isfinite(sizes))[0]), place)
    if unit is None:
        if alone and len(there := np.flatnonzero(np.isfinite(sizes))):
            raise _asked(values, int(there[0]), place)
        return Read(pa.nulls(len(values), _UTC), faults_of((pc.is_valid(values), _EXPECTED)))
    low, high = (bound * _A_SECOND[unit] for bound in (_YEARS if place.how.unit else _LIKELY))
    broken = ~np.isnan(sizes) & ~((sizes >= low) & (sizes <= high))
    sound = pc.if_else(pa.array(broken), None, values)
    if pa.types.is_floating(sound.type):
        micro = pc.round(pc.multiply(sound.cast(pa.float64()), 10**6 / _A_SECOND[unit])).cast(pa.int64())
    elif unit == "ns":
        micro = pc.divide(sound.cast(pa.int64()), 1000)
    else:
        micro = pc.multiply(sound.cast(pa.int64()), 10**6 // _A_SECOND[unit])
    expected = f"{_UNITS[unit]} since 1970" + ("" if place.how.unit else ", 1973 to 2100, like most of the column")
    return Read(micro.cast(_UTC), faults_of((broken, expected)))


def _days(sizes: NDArray[np.float64], none: datetime, place: Place) -> Read:
    """Days since one, to the millisecond, of the zone that is stated, as workbooks count them."""
    broken = ~np.isnan(sizes) & ~((sizes >= _DAYS[0]) & (sizes <= _DAYS[1]))
    sound = np.where(broken | np.isnan(sizes), 0.0, sizes)
    naive = np.datetime64(none, "us") + np.round(sound * 86_400_000).astype("m8[ms]")
    there = pa.array(np.where(broken | np.isnan(sizes), np.datetime64("NaT"), naive), pa.timestamp("us"))
    placed = in_zone(there, place)
    return Read(placed.values, (*placed.faults, *faults_of((broken, f"days since {none:%Y-%m-%d}"))))


def _unit(sizes: NDArray[np.float64]) -> str | None:
    """The unit in which most of the numbers lie between 1973 and 2100; in no two of them the same number does."""
    counts = {
        unit: int(((sizes >= _LIKELY[0] * scale) & (sizes <= _LIKELY[1] * scale)).sum())
        for unit, scale in _A_SECOND.items()
    }
    best = max(counts, key=lambda unit: counts[unit])
    return best if counts[best] else None


def _look_like_dates(sizes: NDArray[np.float64]) -> bool:
    """Whether all are like 2024013112 or 202401311259: as seconds these are of 2034, as milliseconds of 1976."""
    whole = sizes[np.isfinite(sizes)]
    for below_hour in (1, 100):
        hours = whole // below_hour
        year, month, day, hour = hours // 10**6, hours // 10**4 % 100, hours // 100 % 100, hours % 100
        fits = (year >= _FIRST_YEAR) & (year <= _LAST_YEAR) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
        if len(whole) and (fits & (hour < 24) & (whole % below_hour < 60)).all():
            return True
    return False


def _asked(values: pa.Array, row: int, place: Place) -> DataError:
    """What the numbers could be, and how to say which."""
    number = values[row].as_py()
    number = int(number) if number == int(number) else number
    readings = {}
    for form, what in _DATES.items():
        if told := _as_date(number, form, what):
            readings[f'format: "{form}"'] = told
    if _LIKELY_DAYS[0] <= number <= _LIKELY_DAYS[1]:
        for unit, none in _DAY_NONE.items():
            system = "" if unit == "excel" else " where its dates begin in 1904"
            readings[f"unit: {unit}"] = f"days in Excel{system} ({none + timedelta(days=number):%Y-%m-%d %H:%M:%S})"
    likely = sorted(_A_SECOND.items(), key=lambda one: not _LIKELY[0] <= number / one[1] <= _LIKELY[1])
    for unit, scale in likely:
        if _YEARS[0] <= number / scale <= _YEARS[1]:
            instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=number / scale)
            readings[f"unit: {unit}"] = f"{_UNITS[unit]} since 1970 ({instant:%Y-%m-%d %H:%M:%S})"
    chosen = dict(list(readings.items())[:2])
    if len(chosen) < len(("one", "another")):
        return place.refuse(values, row, _EXPECTED)
    told = f"{number!r} may be {' or '.join(chosen.values())}"
    told = "its numbers may be dates, or seconds or milliseconds since 1970" if place.hidden else told
    where = f"{place.file}: column {place.column!r}, row {row + 1}: {told}, and nothing decides it."
    if place.asked:
        return DataError(f"{where} {WRITE}")
    ways = " or ".join(f"`{{column: {place.column}, {way}}}`" for way in chosen)
    return DataError(
        f"{where} Say in the scenario which it is, beside the column's name: {ways}. A number that only counts up "
        "belongs to `position`."
    )


def _as_date(number: float, form: str, what: str) -> str:
    """What a number says as a date of that form; empty where it says none of these days."""
    try:
        date = datetime.strptime(str(number), form).replace(tzinfo=UTC)
    except ValueError:
        return ""
    same = f"{date:{form}}" == str(number)  # strptime also takes one digit where two are meant
    return f"{date:{what}}" if same and _FIRST_YEAR <= date.year <= _LAST_YEAR else ""


def _stamped(values: pa.Array, place: Place) -> Read:
    """Values of a type of times."""
    read = converted(values, _microseconds, pa.timestamp("us", getattr(values.type, "tz", None)), place, _EXPECTED)
    times, faults = read.values, read.faults
    if times.type.tz is None:
        zoned = in_zone(times, place)
        times, faults = zoned.values, (*faults, *zoned.faults)
    seconds = pc.divide(times.cast(_UTC).cast(pa.int64()), 1_000_000)
    outside = pc.or_(pc.less(seconds, _YEARS[0]), pc.greater(seconds, _YEARS[1]))
    outside = pc.fill_null(outside, False)
    return Read(pc.if_else(outside, None, times.cast(_UTC)), (*faults, *faults_of((outside, _EXPECTED))))


def _microseconds(values: pa.Array) -> pa.Array:
    if pa.types.is_null(values.type):
        return values.cast(pa.timestamp("us"))
    if not pa.types.is_timestamp(values.type):
        raise pa.ArrowInvalid("no time")
    kind: Any = pa.timestamp("us", values.type.tz)
    return values.cast(kind, safe=values.type.unit != "ns")  # cuts nanoseconds
