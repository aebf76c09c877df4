"""What requests name: users, and lists of what they did."""

import os
import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline import columns as c
from pipeline.config import Alike, Reading
from pipeline.data.pseudonyms import KEY, LENGTH, key_id, pseudonymise, read_key
from pipeline.data.tokens import stable_hash
from pipeline.data.values.casting import EXACT_FLOATS
from pipeline.data.values.spelling import one_spelling
from pipeline.errors import DataError
from pipeline.rows.kind import PackageInfo
from pipeline.rows.reading import read_as

_NO_DATE = r"\s*\d{1,7}\s*"  # what would be read as a year
_PSEUDONYM = re.compile(f"[0-9a-f]{{{LENGTH}}}")

IntArray = NDArray[np.int64]


def lists(
    column: "pd.Series[Any]", name: str, alike: tuple[Alike, ...], what: str = "item ids"
) -> tuple[IntArray, pd.Index]:
    """Row and text of each entry of a column of lists, in the spelling of the package; None is an empty list.

    Raises:
        DataError: a row holds something else, or an entry is missing; `what` says what its texts are.
    """
    if any(isinstance(value, str) for value in column):
        raise DataError(f"{name}: expected a list of {what} in each row, got a string; write ['B01', 'B02'].")
    try:
        found = pa.array(column.tolist(), type=pa.list_(pa.string()), from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{name}: expected a list of {what} (strings) or nothing in each row ({error}).") from error
    empty = pc.list_parent_indices(found).to_numpy()[np.asarray(found.flatten().is_null())]
    if len(empty):
        raise DataError(
            f"{name}, row {empty[0] + 1}: expected a list of {what}, and one of its entries is missing; leave it out."
        )
    lengths = found.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    texts = one_spelling(found.flatten(), alike).to_numpy(zero_copy_only=False)
    return np.repeat(np.arange(len(found)), lengths), pd.Index(texts, dtype=object)


def lists_beside(
    frame: pd.DataFrame, name: str, count_n: IntArray, other: str, alike: tuple[Alike, ...] = (), what: str = "texts"
) -> tuple[NDArray[np.bool_], pd.Index]:
    """Which requests [n] tell something of each entry of another list, and the texts, end to end.

    Args:
        frame: One request a row.
        name: The column; without it nobody tells anything.
        count_n: How many entries the other list has.
        other: What that is called.
        alike: The spelling of the package.
        what: What the texts are.

    Raises:
        DataError: as `lists`, or a list is neither empty nor as long as the other.
    """
    column = frame.get(name, pd.Series([None] * len(frame), dtype=object))
    rows, texts = lists(column, name, alike, what)
    own_n = np.bincount(rows, minlength=len(frame))
    if (wrong := np.flatnonzero((own_n != count_n) & (own_n > 0))).size:
        raise DataError(
            f"{name}, row {wrong[0] + 1}: expected as many entries as `{other}` has ({count_n[wrong[0]]}), or "
            f"none, got {own_n[wrong[0]]}; each belongs to what stands at the same place."
        )
    return own_n > 0, texts


def times(given: "pd.Series[Any]", name: str, info: PackageInfo) -> "pd.Series[Any]":
    """Times as texts, in UTC; what names no zone is in that of the target's tables, and what is missing stays missing.

    Args:
        given: By the row of the request, from 0.
        name: The column.
        info: What is known of the tables.

    Raises:
        DataError: one cannot be read, or is a place in an order or a year alone.
    """
    asked, given = given.index, given.reset_index(drop=True)
    read = pd.to_datetime(given, utc=True, errors="coerce", format="ISO8601")
    wrong = given.notna() & (read.isna() | given.astype("str").str.fullmatch(_NO_DATE))
    if wrong.any():
        row, value = asked[wrong][0] + 1, given[wrong].iloc[0]
        raise DataError(f"{name}, row {row}: expected times such as 2026-01-31T20:15:00, got {value!r}.")
    if (zone := info.reading.timezones.get(c.TIMESTAMP)) is None:
        return read
    return read_as(given, "time", name, Reading(timezones={name: zone}))


def as_met(values: "pd.Series[Any]", met: NDArray[np.uint64]) -> "pd.Series[Any]":
    """Texts [n], of which a whole number is spelt as the model met it, with a decimal point or without.

    A table of texts says `5.0` where one of numbers says `5`, and a request may come as either. What was met as it
    stands, and what was met in neither spelling, stays.

    Args:
        values: A category, or ids.
        met: Hashes of the values that were met.
    """
    strange = values.notna().to_numpy(copy=True)
    strange[strange] = ~np.isin(stable_hash(values[strange]), met)
    asked = values[strange].astype(object)
    other = asked.str.replace(r"^(-?\d+)$", r"\1.0", regex=True)
    other = other.where(other != asked, asked.str.replace(r"^(-?\d+)\.0+$", r"\1", regex=True))
    values = values.astype(object)
    values[strange] = other.where(np.isin(stable_hash(other), met), asked)
    return values


def user_ids(frame: pd.DataFrame) -> "pd.Series[Any]":
    """Read the user ids as texts, as they stand in the tables; None where there is none."""
    given = frame[c.USER].tolist() if c.USER in frame else [None] * len(frame)
    return pd.Series([as_id(value, c.USER) for value in given], dtype=object)


def as_id(value: Any, name: str) -> str | None:
    """A text, or a whole number, also of a column that holds 17.0 because other rows have none; None: nothing.

    Raises:
        DataError: it is neither; `name` says of which column.
    """
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, str):
        return value or None
    whole = isinstance(value, float) and value.is_integer() and abs(value) <= EXACT_FLOATS
    if whole or (isinstance(value, int | np.integer) and not isinstance(value, bool)):
        return str(int(value))
    raise DataError(
        f"{name}: expected a text or a whole number, got {type(value).__name__}; write it as it stands in the tables."
    )


def user_places(users: pd.Index, info: PackageInfo, ids: "pd.Series[Any]") -> IntArray:
    """Place of each request's user among those of a package; -1 where unknown.

    Raises:
        ConfigError: CROSSLIFT_KEY is too short.
        DataError: ids must be hashed, and CROSSLIFT_KEY is not the key that made the data.
    """
    spelt = one_spelling(pa.array(ids.tolist(), pa.string()), info.alike.get(c.USER, ()))
    ids = pd.Series(spelt.to_pylist(), dtype=object)
    places = users.get_indexer(pd.Index(ids.to_numpy(dtype=object), dtype=object)).astype(np.int64)
    unknown = (places < 0) & ids.notna().to_numpy()
    if info.pseudonymous or not unknown.any():
        return places
    places[unknown] = users.get_indexer(pd.Index(as_pseudonyms(ids[unknown].tolist(), info), dtype=object))
    return places


def as_pseudonyms(ids: list[str], info: PackageInfo) -> list[str]:
    """User ids that a package does not know as they stand, hashed as ingest does; pseudonyms of strangers stay.

    Raises:
        ConfigError: CROSSLIFT_KEY is too short.
        DataError: ids must be hashed, and CROSSLIFT_KEY is not the key that made the data.
    """
    problem = _problem_of_key(info.key)
    if not problem:
        hashed: list[str] = pseudonymise(pa.chunked_array([pa.array(ids, pa.string())]), read_key()).to_pylist()
        return hashed
    if not all(_PSEUDONYM.fullmatch(one) for one in ids):  # who asks by a pseudonym may be a stranger
        raise DataError(
            f"{c.USER}: the users of {info.scenario} are known by pseudonyms that were made with the key of the "
            f"id {info.key or 'unknown'}, and {KEY} {problem}. Set it to that key, ask by pseudonyms, or leave the "
            "user ids out."
        )
    return ids


def _problem_of_key(wanted: str | None) -> str:
    """What is wrong with the key in the environment; a package of 0.1 does not say which one it wants."""
    if not os.environ.get(KEY):
        return "is not set"
    found = key_id(read_key())
    return "" if wanted in (None, found) else f"has the id {found}"
