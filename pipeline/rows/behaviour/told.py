"""What is told of the past of an event, by the names of `NextEventTask.examples`; nothing of the event itself.

Where a log ended before an event at place e, having begun at b, with `kind`, `item` and `when` of what stands there:

    last_j        kind[e - j]
    before        e - b
    KIND_of_m     how many of the last m have that kind, fewer where the log is shorter
    own_of_5      how many of the last 5 are of the row's own domain
    KIND_of_item  how many of those so far that are of the item of the last event have that kind
    since_KIND    e minus the place of the last event of that kind: 1 where it is the last event
    item_before   how many so far are of the item of the last event, itself among them
    item_run      how many at the end are of one item
    gap_j         when[e - j] - when[e - j - 1], in seconds; not told where positions are the order

What there is not is missing.

Shapes: T events, N rows, K kinds.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config import FeatureType
from pipeline.config.tasks import GAPS, LASTS
from pipeline.past import Log
from pipeline.rows.behaviour.logs import Logs
from pipeline.views import Features, FloatArray, IntArray, Mask

LAST = 20  # events that are looked at one by one


def told(logs: Logs, begins: IntArray, ends: IntArray, types: Mapping[str, FeatureType], domain: int) -> Features:
    """The features of rows [N] of a domain whose logs lie from `begins` to `ends`."""
    there = ends - begins
    last = np.where(there > 0, ends - 1, 0)
    columns: dict[str, object] = {
        name: _kinds(logs, ends - at, there >= at) for at, name in enumerate(LASTS, start=1)
    }  # fmt: skip
    columns["before"] = there.astype(np.float64)
    columns |= _windows(logs, begins, ends)
    columns["own_of_5"] = _within(logs.domain == domain, begins, ends, 5)
    if len(logs.kind):
        columns |= _of_items(logs, last, there > 0) | _since(logs, begins, ends, last)
    for at, name in enumerate(GAPS, start=1):
        columns[name] = _gaps(logs, ends - at, there > at)
    table = pd.DataFrame({name: columns.get(name, np.full(len(ends), np.nan)) for name in types})
    return Features(table, types, log=_last(logs, begins, ends, domain))


def _last(logs: Logs, begins: IntArray, ends: IntArray, domain: int) -> Log:
    """The last events themselves."""
    places = ends[:, None] - 1 - np.arange(LAST)
    there = places >= begins[:, None]
    at = np.where(there, places, 0)
    if not len(logs.kind):
        nothing = np.full(at.shape, -1, dtype=np.int8)
        return Log(nothing, np.full(at.shape, np.nan, dtype=np.float32), nothing, nothing)
    item = logs.item[at]
    gap = logs.when[at] - logs.when[np.maximum(at - 1, 0)] if logs.timed else np.full(at.shape, np.nan)

    def codes(values: IntArray | Mask) -> NDArray[np.int8]:
        return np.where(there, values, -1).astype(np.int8)

    return Log(
        codes(logs.kind[at]),
        np.where(places > begins[:, None], gap, np.nan).astype(np.float32),
        codes((item == item[:, :1]) & (item >= 0)),
        codes(logs.domain[at] == domain),
    )


def _kinds(logs: Logs, places: IntArray, valid: Mask) -> object:
    names = np.array([*logs.kinds, None], dtype=object)
    codes = np.full(len(places), len(logs.kinds))
    codes[valid] = logs.kind[places[valid]]
    return names[codes]


def _windows(logs: Logs, begins: IntArray, ends: IntArray) -> dict[str, FloatArray]:
    return {
        f"{kind}_of_{most}": _within(logs.kind == code, begins, ends, most)
        for code, kind in enumerate(logs.kinds)
        for most in (5, LAST)
    }


def _within(counted: Mask, begins: IntArray, ends: IntArray, most: int) -> FloatArray:
    """How many of the last events count."""
    summed = np.concatenate([[0.0], np.cumsum(counted)])
    return np.asarray(summed[ends] - summed[np.maximum(begins, ends - most)])


def _of_items(logs: Logs, last: IntArray, valid: Mask) -> dict[str, FloatArray]:
    """What is known of the item of the last event."""
    size = len(logs.kind)
    pair = logs.begins * (int(logs.item.max(initial=0)) + 2) + logs.item + 1
    order = np.argsort(pair, kind="stable")
    rank = np.empty(size, dtype=np.int64)
    rank[order] = np.arange(size)
    own = pair[order]
    first = np.maximum.accumulate(np.where(np.append(True, own[1:] != own[:-1]), np.arange(size), 0))
    at = rank[last]
    begin = first[at]
    there = np.arange(size)
    new = np.append(True, pair[1:] != pair[:-1])
    run = there - np.maximum.accumulate(np.where(new, there, 0)) + 1
    known = valid & (logs.item[last] >= 0)
    found = {"item_before": at - begin + 1, "item_run": run[last]}
    for code, kind in enumerate(logs.kinds):
        summed = np.concatenate([[0], np.cumsum(logs.kind[order] == code)])
        found[f"{kind}_of_item"] = summed[at + 1] - summed[begin]
    return {name: np.where(known, one, np.nan).astype(np.float64) for name, one in found.items()}


def _since(logs: Logs, begins: IntArray, ends: IntArray, last: IntArray) -> dict[str, FloatArray]:
    found, there = {}, np.arange(len(logs.kind))
    for code, kind in enumerate(logs.kinds):
        latest = np.maximum.accumulate(np.where(logs.kind == code, there, -1))[last]
        found[f"since_{kind}"] = np.where((latest >= begins) & (ends > begins), ends - latest, np.nan)
    return found


def _gaps(logs: Logs, places: IntArray, valid: Mask) -> FloatArray:
    found = np.full(len(places), np.nan)
    if logs.timed:
        own = places[valid]
        found[valid] = logs.when[own] - logs.when[own - 1]
    return found
