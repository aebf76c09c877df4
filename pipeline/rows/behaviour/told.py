"""What is told of the past of an event, by the names of `NextEventTask.examples`; nothing of the event itself.

Where a log ended before an event at place e, having begun at b, with `kind`, `item` and `when` of what stands there:

    last_j        kind[e - j]
    before        e - b
    KIND_of_m     how many of the last m have that kind, fewer where the log is shorter
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

from pipeline.config import FeatureType
from pipeline.config.tasks import GAPS, LASTS
from pipeline.rows.behaviour.logs import Logs
from pipeline.views import Features, FloatArray, IntArray, Mask


def told(logs: Logs, begins: IntArray, ends: IntArray, types: Mapping[str, FeatureType]) -> Features:
    """The features of rows [N] whose logs lie from `begins` to `ends`."""
    there = ends - begins
    last = np.where(there > 0, ends - 1, 0)
    columns: dict[str, object] = {
        name: _kinds(logs, ends - at, there >= at) for at, name in enumerate(LASTS, start=1)
    }  # fmt: skip
    columns["before"] = there.astype(np.float64)
    columns |= _windows(logs, begins, ends)
    if len(logs.kind):
        columns |= _of_items(logs, last, there > 0) | _since(logs, begins, ends, last)
    for at, name in enumerate(GAPS, start=1):
        columns[name] = _gaps(logs, ends - at, there > at)
    table = pd.DataFrame({name: columns.get(name, np.full(len(ends), np.nan)) for name in types})
    return Features(table, types)


def _kinds(logs: Logs, places: IntArray, valid: Mask) -> object:
    names = np.array([*logs.kinds, None], dtype=object)
    codes = np.full(len(places), len(logs.kinds))
    codes[valid] = logs.kind[places[valid]]
    return names[codes]


def _windows(logs: Logs, begins: IntArray, ends: IntArray) -> dict[str, FloatArray]:
    found = {}
    for code, kind in enumerate(logs.kinds):
        summed = np.concatenate([[0.0], np.cumsum(logs.kind == code)])
        for most in (5, 20):
            found[f"{kind}_of_{most}"] = summed[ends] - summed[np.maximum(begins, ends - most)]
    return found


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
