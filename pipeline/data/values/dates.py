"""Dates written as texts, and times without a zone."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.data.tables import ARROW_TYPES
from pipeline.data.values.place import Place, Read, faults_of
from pipeline.errors import DataError

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

WRITE = "Write it as 2026-01-31T12:00:00+01:00."  # what a request can do
_UTC = ARROW_TYPES["time"]
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LAST_MONTH, _LAST_DAY = 12, 31
_NAME = (
    "(?P<name>(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    "|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?))"
)
_TIME = (
    r"(?:[T ,]+(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,6})\d*)?)?"
    r"\s*(?:(?P<half>[AaPp])\.?[Mm]\.?)?)?"
    r"\s*(?P<zone>[Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?$"
)
_ISO = r"^\d{4}-\d\d-\d\d(?:[ T]\d\d(?::\d\d(?::\d\d(?:\.\d{1,6})?)?)?(?:Z|[+-]\d\d:?\d\d)?)?$"
_SHAPES = (  # Y year, a and b what comes before it in a date that begins with day or month
    r"^(?P<Y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})" + _TIME,
    r"^(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?P<Y>\d{4})" + _TIME,
    rf"^{_NAME}\.? (?P<d>\d{{1,2}}),? (?P<Y>\d{{4}})" + _TIME,
    rf"^(?P<d>\d{{1,2}})[ -]{_NAME}\.?,?[ -](?P<Y>\d{{4}})" + _TIME,
)
_SHORT_YEAR = r"^(?:0?[1-9]|[12]\d|3[01])[-/.](?:0?[1-9]|[12]\d|3[01])[-/.]\d{2}(?:[T ,].*)?$"


class OrderError(DataError):
    """Dates of which the scenario must say what is the day, the month and the year."""


def read_dates(text: pa.Array, place: Place, expected: str) -> Read:
    """Instants [N] of texts without outer blanks, in the stated format or in one that says which part is which.

    Raises:
        OrderError: it hangs on an order of day and month that no value decides, or all years have two digits.
    """
    if place.how.format:
        return _each(text, lambda one: _formatted(one, place), f"a time as {place.how.format!r}")
    if pc.all(pc.match_substring_regex(text, _SHORT_YEAR)).as_py():
        one = text.drop_null()[0]
        such = "" if place.hidden else f", such as {one.as_py()!r},"
        why = f"dates whose years have two digits{such} are read only as the scenario says"
        raise _asked(why, one, "%y", place, text)
    plain = pc.replace_substring_regex(text, r"\s*(?:UTC|GMT)$", "Z")
    iso = pc.all(pc.match_substring_regex(plain, _ISO)).as_py()  # asked first, because each failure costs a message
    for kind in (pa.timestamp("us"), _UTC) if iso else ():  # quick, and all or nothing: without offsets, or with
        try:
            times = plain.cast(kind)
        except pa.ArrowInvalid:
            continue
        return Read(times) if kind.tz else in_zone(times, place)
    return _each(text, lambda one: _parsed(one, place, text), expected)


def in_zone(naive: pa.Array, place: Place) -> Read:
    """Times [N] without a zone as instants of the stated one.

    An hour that came twice, when clocks were set back, is the first one; one that never came cannot be read.
    """
    if place.how.timezone == "UTC":
        return Read(naive.cast(pa.timestamp("us")).cast(_UTC))
    import pandas as pd  # here alone, because half a second is saved where nobody needs it

    index = pd.DatetimeIndex(naive.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False))
    first = np.ones(len(index), dtype=bool)
    local = index.tz_localize(place.how.timezone, ambiguous=first, nonexistent="NaT")
    made = pa.array(local.tz_convert("UTC").tz_localize(None).as_unit("us").to_numpy(), pa.timestamp("us"))
    never = pc.and_(pc.is_valid(naive), pc.is_null(made))
    return Read(made.cast(_UTC), faults_of((never, f"a time that there was in {place.how.timezone}")))


def _each(text: pa.Array, parse: Callable[[pa.Array], Read], expected: str) -> Read:
    """Each different text is parsed once."""
    encoded = text.dictionary_encode()
    made = parse(encoded.dictionary)
    times = made.values.take(encoded.indices)
    told = [(bad.take(encoded.indices), what) for bad, what in made.faults]
    known = pc.or_kleene(pc.is_null(text), pc.is_valid(times))
    for bad, _ in told:
        known = pc.or_(known, pc.fill_null(bad, False))
    return Read(times, (*faults_of(*told), *faults_of((pc.invert(known), expected))))


def _formatted(text: pa.Array, place: Place) -> Read:
    import pandas as pd

    form = place.how.format
    zoned = "%z" in str(form)
    times = pd.to_datetime(pd.Series(text.to_pylist(), dtype=object), format=form, errors="coerce", utc=zoned)
    if zoned:
        times = times.dt.tz_convert(None)
    naive = pa.array(times.dt.as_unit("us").to_numpy(), pa.timestamp("us"))
    return Read(naive.cast(_UTC)) if zoned else in_zone(naive, place)


def _parsed(text: pa.Array, place: Place, column: pa.Array) -> Read:
    """Dates whose parts stand in an order that the shape tells, or for day and month some value of the column.

    Args:
        text: Each different text.
        place: Where they stand.
        column: All texts, by which a message names the row.
    """
    naive = np.full(len(text), "NaT", dtype="datetime64[us]")
    zoned = np.zeros(len(text), dtype=bool)
    for shape in _SHAPES:
        parts = pc.extract_regex(text, shape)
        there = np.flatnonzero(pc.is_valid(parts).to_numpy(zero_copy_only=False))
        if not len(there):
            continue
        found = parts.take(pa.array(there))
        fields = {found.type.field(at).name: found.field(at) for at in range(found.type.num_fields)}
        if "a" in fields:
            fields |= _ordered(fields, text.take(pa.array(there)), place, column)
        times, sound, has_zone = _instants(fields)
        naive[there[sound]] = times[sound]
        zoned[there] = has_zone
    local = pa.array(np.where(zoned, np.datetime64("NaT"), naive), pa.timestamp("us"))
    placed = in_zone(local, place)
    instants = pa.array(np.where(zoned, naive, np.datetime64("NaT")), pa.timestamp("us")).cast(_UTC)
    return Read(pc.coalesce(instants, placed.values), placed.faults)


def _ordered(fields: dict[str, pa.Array], text: pa.Array, place: Place, column: pa.Array) -> dict[str, pa.Array]:
    """Which of two numbers is the day and which the month: one above twelve tells it for the column."""
    first, second = _whole(fields["a"]), _whole(fields["b"])
    low, high = np.minimum(first, second), np.maximum(first, second)
    told = (low >= 1) & (low <= _LAST_MONTH) & (high > _LAST_MONTH) & (high <= _LAST_DAY)
    day_first, month_first = np.flatnonzero(told & (first > second)), np.flatnonzero(told & (second > first))
    unlike = np.flatnonzero((low >= 1) & (high <= _LAST_MONTH) & (first != second))
    if len(day_first) and not len(month_first):
        return {"d": fields["a"], "m": fields["b"]}
    if (len(month_first) or not len(unlike)) and not len(day_first):
        return {"m": fields["a"], "d": fields["b"]}
    if len(month_first):
        row = int(day_first[0])
        shown = "" if place.hidden else f", such as {text[int(day_first[0])]} and {text[int(month_first[0])]}"
        why = f"dates with the day first stand beside dates with the month first{shown}"
    else:
        row = int(unlike[0])
        y, a, b = fields["Y"][row].as_py(), int(first[row]), int(second[row])
        readings = f"{y}-{b:02}-{a:02} (day first) or {y}-{a:02}-{b:02} (month first)"
        why = "day or month may come first, and no value of the column decides it"
        why = why if place.hidden else f"{text[row].as_py()!r} may be {readings}, and no value of the column decides it"
    raise _asked(why, text[row], "%Y", place, column)


def _asked(why: str, text: pa.Scalar, year: str, place: Place, column: pa.Array) -> OrderError:
    """What to write in the scenario where the order of day, month and year is not known."""
    at = pc.index(column, text).as_py() + 1
    between = text.as_py().lstrip("0123456789")[0]
    forms = [between.join(parts) for parts in (("%d", "%m", year), ("%m", "%d", year))]
    ways = " or ".join(f'`{{column: {place.column}, format: "{form}"}}`' for form in forms)
    where = f"{place.file}: column {place.column!r}, row {at}: {why}."
    if place.asked:
        return OrderError(f"{where} {WRITE}")
    return OrderError(
        f"{where} Say in the scenario which it is, beside the column's name: {ways}, with the time of day as it is "
        "written, such as %H:%M."
    )


def _instants(fields: dict[str, pa.Array]) -> tuple[NDArray[np.datetime64], Mask, Mask]:
    """Times as they are written, in UTC where they say a zone; which of them there are, and which say a zone."""
    if "name" in fields:
        short = pc.utf8_lower(pc.utf8_slice_codeunits(fields["name"], 0, 3))
        month = pc.index_in(short, pa.array(_MONTHS)).to_numpy(zero_copy_only=False).astype(np.int64) + 1
    else:
        month = _whole(fields["m"])
    year, day, hour = (_whole(fields[name]) for name in ("Y", "d", "H"))
    minute, second = _whole(fields["M"]), _whole(fields["S"])
    half = pc.utf8_lower(fields["half"])
    noon, any_half = _is(half, "p"), _is(half, "a") | _is(half, "p")
    sound = (year > 0) & (month >= 1) & (month <= 12) & (day >= 1) & (minute < 60) & (second < 60)
    sound &= np.where(any_half, (hour >= 1) & (hour <= 12), hour < 24)
    hour = np.where(any_half, hour % 12 + 12 * noon, hour)
    months = (year - 1970).astype("M8[Y]").astype("M8[M]") + (np.where(sound, month, 1) - 1).astype("m8[M]")
    days = months.astype("M8[D]")
    sound &= day <= ((months + np.timedelta64(1, "M")).astype("M8[D]") - days).astype(np.int64)
    fraction = _whole(pc.utf8_rpad(fields["f"], 6, "0"))
    seconds = hour * 3600 + minute * 60 + second
    zone = fields["zone"]
    offset, has_zone, known = _offsets(zone)
    micro = (seconds - offset) * 1_000_000 + fraction
    times = (days + (day - 1).astype("m8[D]")).astype("M8[us]") + micro.astype("m8[us]")
    return times, sound & known, has_zone


def _offsets(zone: pa.Array) -> tuple[Ints, Mask, Mask]:
    """Seconds east of Greenwich, which texts say any, and which of these there can be."""
    digits = pc.replace_substring_regex(zone, r"[^0-9]", "")
    padded = pc.utf8_rpad(digits, 4, "0")
    hours, minutes = (_whole(pc.utf8_slice_codeunits(padded, at, at + 2)) for at in (0, 2))
    sign = np.where(pc.starts_with(zone, "-").to_numpy(zero_copy_only=False).astype(bool), -1, 1)
    return sign * (hours * 3600 + minutes * 60), ~_is(zone, ""), (hours < 24) & (minutes < 60)


def _whole(text: pa.Array) -> Ints:
    """Digits as numbers; none are zero."""
    filled = pc.if_else(pc.equal(text, ""), "0", text)
    found: Ints = filled.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return found


def _is(text: pa.Array, wanted: str) -> Mask:
    found: Mask = pc.equal(text, wanted).to_numpy(zero_copy_only=False).astype(bool)
    return found
