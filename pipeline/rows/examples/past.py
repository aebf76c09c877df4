"""What happened before a row: how many earlier rows share a value with it, such as a device, and how long ago.

All rows of all domains count, with or without a label, also those that a split leaves out or that come after a source's
border: that something happened is known as soon as it did. Only what lies strictly before a row's own time counts, so
that training, evaluation and serving say the same of it.

Shapes: E events (rows that have the value and a time), n rows that are asked about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import columns as c
from pipeline.config import ExamplesTask
from pipeline.data.tokens import stable_hash

PAST = "past.parquet"  # of a prepared domain: times and hashed entities of all its rows
EVENTS = "events.parquet"  # of a package: the same as what serves looks it up
_MICROSECONDS = 3_600_000_000.0  # of an hour

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Hashes = NDArray[np.uint64]


def hashed(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """[N] a 64-bit hash of each value, the same in every domain and process; missing where there is none."""
    codes, distinct = pd.factorize(values)
    known = np.append(stable_hash(pd.Index(distinct.astype(str))), np.uint64(0))
    return pd.Series(pd.array(known[codes], dtype="UInt64"), index=values.index).where(codes >= 0)


def instants(times: "pd.Series[Any]") -> tuple[IntArray, NDArray[np.bool_]]:
    """Microseconds since 1970 [N], and where they are known."""
    read = pd.to_datetime(times, utc=True).dt.as_unit("us")
    return np.asarray(read.astype("int64"), dtype=np.int64), read.notna().to_numpy()


@dataclass(frozen=True, eq=False)
class Events:
    """When something happened to each value of one entity.

    Args:
        value: [E] hashes, sorted.
        time: [E] microseconds since 1970, sorted within each value.
    """

    value: Hashes
    time: IntArray

    @classmethod
    def of(cls, values: "Sequence[pd.Series[Any]]", times: "Sequence[pd.Series[Any]]") -> Self:
        """Those of some tables: hashes, and the times of the same rows."""
        value = pd.concat(values, ignore_index=True)
        time, known = instants(pd.concat(times, ignore_index=True))
        there = known & value.notna().to_numpy()
        found, when = value[there].to_numpy(dtype=np.uint64), time[there]
        order = np.lexsort((when, found))
        return cls(found[order], when[order])

    def before(self, values: "pd.Series[Any]", times: "pd.Series[Any]", *, now: bool) -> tuple[FloatArray, FloatArray]:
        """How many events of each row's value lie before its time, and how many hours ago the last of them was.

        Args:
            values: [n] hashes.
            times: [n].
            now: Whether a row without a time is asked about now, after all events; else nothing is known of it.

        Returns:
            (counts [n], hours [n]); NaN where the value or the time is missing, hours also where nothing came before.
        """
        count, hours = np.full(len(values), np.nan), np.full(len(values), np.nan)
        time, dated = instants(times)
        there = values.notna().to_numpy() & (dated | now)
        value = values[there].to_numpy(dtype=np.uint64)
        last = np.iinfo(np.int64).max
        when = np.where(dated, time, last)[there]
        first = np.searchsorted(self.value, value)
        end = np.searchsorted(self._keys, self._key(value, when))
        found = np.where(np.isin(value, self._values), end - first, 0)
        some = (found > 0) & (when < last)
        count[there] = found
        ago = np.full(len(found), np.nan)
        ago[some] = (when[some] - self.time[end[some] - 1]) / _MICROSECONDS
        hours[there] = ago
        return count, hours

    def _key(self, value: Hashes, time: IntArray) -> IntArray:
        """A number that stands for value and time, in the order of both: times among those of all events."""
        instants = self._times
        return np.searchsorted(self._values, value) * (len(instants) + 1) + np.searchsorted(instants, time)

    @cached_property
    def _keys(self) -> IntArray:
        return self._key(self.value, self.time)

    @cached_property
    def _values(self) -> Hashes:
        return np.unique(self.value)

    @cached_property
    def _times(self) -> IntArray:
        return np.unique(self.time)


def events_of(frames: Mapping[str, pd.DataFrame], task: ExamplesTask) -> dict[str, Events]:
    """The events of each entity, in all rows of all domains."""
    found = {}
    for entity in task.entities:
        having = [frame for frame in frames.values() if entity in frame and c.TIMESTAMP in frame]
        none = [pd.Series(pd.array([], dtype="UInt64"))], [pd.Series(pd.DatetimeIndex([], tz="UTC"))]
        values, times = ([frame[entity] for frame in having], [frame[c.TIMESTAMP] for frame in having])
        found[entity] = Events.of(*((values, times) if having else none))
    return found


def write_events(events: Mapping[str, Events], path: Path) -> None:
    """Write the events of each entity; without entities there is no file, as in packages from before there were any."""
    if events:
        tables = [pd.DataFrame({"entity": name, "value": one.value, "time": one.time}) for name, one in events.items()]
        pd.concat(tables, ignore_index=True).to_parquet(path, index=False, compression="zstd")


def read_events(path: Path, entities: Sequence[str]) -> dict[str, Events]:
    """Read what `write_events` wrote."""
    if not entities:
        return {}
    table = pd.read_parquet(path)
    own = {name: table[table["entity"] == name] for name in entities}
    return {name: Events(one["value"].to_numpy(), one["time"].to_numpy()) for name, one in own.items()}


def told_of(
    rows: pd.DataFrame, events: Mapping[str, Events], task: ExamplesTask, *, now: bool = False
) -> dict[str, FloatArray]:
    """What the past says of some rows, by the names of the task's `past`; see `Events.before`."""
    nothing = pd.Series(pd.array([None] * len(rows), dtype="UInt64"))
    never = pd.Series(pd.DatetimeIndex([pd.NaT] * len(rows), tz="UTC"))
    times = rows.get(c.TIMESTAMP, never)
    told = [
        values
        for entity in task.entities
        for values in events[entity].before(rows.get(entity, nothing), times, now=now)
    ]
    return dict(zip(task.past, told, strict=True))
