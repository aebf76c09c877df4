"""Requests that say when things were and of what kind: what a model of sequences then reads."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.config import Tables
from pipeline.errors import DataError
from pipeline.past import Histories
from pipeline.rows.interactions.pasts import kind_codes, seconds
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.rows.interactions.requests import answer
from pipeline.rows.interactions.served import ServedInteractions, ServeInteractions
from pipeline.rows.kind import PackageInfo
from pipeline.rows.learnt import NOTHING

ITEMS = ("s1", "s2", "s3", "s4")


class Keeps:
    """A scorer that says nothing and keeps what it was asked with."""

    def __init__(self) -> None:
        self.asked: Any = None

    def scores(self, histories: Histories) -> np.ndarray[Any, Any]:
        self.asked = histories
        return np.zeros((next(iter(histories.values())).shape[0], len(ITEMS)), np.float32)


def log(name: str, rows: list[tuple[str, str, str, str]]) -> DomainData:
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "event"]).assign(part=0)
    table["timestamp"] = pd.to_datetime(table["timestamp"], utc=True)
    return DomainData.build(name, table, pd.DataFrame({"item_id": ITEMS}), 1.0)


def info(sources: tuple[str, ...]) -> PackageInfo:
    return PackageInfo(scenario="made", lane="scratch", target="shop", sources=sources, pseudonymous=True,
                       candidate="x", data={}, code="1")  # fmt: skip


@pytest.fixture
def served(tmp_path: Path) -> ServedInteractions:
    """Ann looked at s1 at noon and bought s2 an hour later; of the other shop nothing is known."""
    shop = log("shop", [("ann", "s1", "2030-01-01T12:00", "view"), ("ann", "s2", "2030-01-01T13:00", "buy")])
    news = log("news", [("eve", "s1", "2030-01-01T12:00", "view")])
    ServeInteractions().write(tmp_path, Domains((news,), shop), NOTHING)
    return ServeInteractions().read(tmp_path, info(("news",)), Keeps())


def told(
    served: ServedInteractions, *requests: dict[str, Any]
) -> list[tuple[list[str], list[float], list[int], float]]:
    """What the model reads of each request, times in minutes after noon, and when it is asked for."""
    answer(served, pd.DataFrame(list(requests)))
    past, found = served.ranker.asked, []
    noon = seconds(pd.Series(pd.to_datetime(["2030-01-01T12:00"], utc=True)))[0]
    asked = np.full(len(requests), np.nan) if past.asked is None else past.asked
    for place, at in enumerate(asked):
        line = past.of([place]).in_order(("news", "shop"))
        found.append(([ITEMS[item] for item in line.items], ((line.times - noon) / 60).tolist(), line.kinds.tolist(),
                      (at - noon) / 60))  # fmt: skip
    return found


VIEW, BUY = kind_codes(pd.Series(["view", "buy"]))


def test_a_request_says_when_and_what(served: ServedInteractions) -> None:
    """Things stand where their times say, those of a known user among them, and a later event has the later kind."""
    request = {
        "user_id": "ann",
        "history": ["s3", "s1"],
        "history_events": ["view", "buy"],
        "history_times": ["2030-01-01T12:30:00", "2030-01-01T13:30:00+00:00"],
        "time": "2030-01-01T14:00",
    }
    [(items, times, kinds, asked)] = told(served, request)
    assert items == ["s3", "s2", "s1"]
    assert times == [30, 60, 90]
    assert kinds == [VIEW, BUY, BUY]
    assert asked == 120


def test_times_without_a_zone_are_in_that_of_the_tables(served: ServedInteractions) -> None:
    """Those of the target's tables, as ingest reads them; what names a zone is in that one, and a gap stays one."""
    columns = {"timestamp": {"column": "when", "timezone": "Europe/Berlin"}}
    shop = {"path": "shop.csv", "columns": columns, "constants": {"domain": "shop"}}
    news = {"path": "news.csv", "constants": {"domain": "news"}}
    reading = Tables.model_validate({"interactions": [shop, news]}).read_of("shop")
    there = replace(served, info=served.info.model_copy(update={"reading": reading}))
    request = {"user_id": "ann", "history": ["s3", "s1"], "history_times": ["2030-01-01T13:30", "2030-01-01T13:30Z"]}
    [(items, times, _, asked)] = told(there, {**request, "time": "2030-01-01T15:00"})
    assert (items, times, asked) == (["s3", "s2", "s1"], [30, 60, 90], 120)
    assert np.isnan(told(there, {**request, "time": None})[0][3])


def test_what_has_no_time_came_last_and_nobody_knows_when(served: ServedInteractions) -> None:
    """In the order of the list, whatever else is asked in the same frame; of no kind, or of that known before."""
    request = {"user_id": None, "history": ["s4", "s1"], "time": "2030-01-02T12:00"}
    known = {"user_id": "ann", "history": ["s4", "s1"], "time": None}
    for one, other in (told(served, request, known), told(served, known, request)[::-1]):
        assert one[0] == ["s4", "s1"]
        assert np.isnan(one[1]).all()
        assert one[3] == 24 * 60
        assert one[2] == [0, 0]
        assert other[0] == ["s2", "s4", "s1"]
        assert other[1] == pytest.approx([60, np.nan, np.nan], nan_ok=True)
        assert other[2] == [BUY, 0, VIEW]
        assert np.isnan(other[3])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"history_times": ["2030-01-01"]}, "history_times, row 1: expected as many entries as `history` has .2., or"),
        ({"history_events": ["view"] * 3}, "history_events, row 1: expected as many entries as `history` has .2., or"),
        ({"history_times": ["noon", "2030"]}, "history_times, row 1: expected times such as .*, got 'noon'"),
        ({"history_times": ["2030-01-01", "1002"]}, "history_times, row 1: expected times such as .*, got '1002'"),
        ({"time": "soon"}, "time, row 1: expected times such as 2026-01-31T20:15:00, got 'soon'"),
        ({"time": "2030"}, "time, row 1: expected times such as 2026-01-31T20:15:00, got '2030'"),
    ],
)
def test_what_cannot_be_read_is_refused(served: ServedInteractions, change: dict[str, Any], message: str) -> None:
    """With the column, the row and what was expected."""
    with pytest.raises(DataError, match=message):
        told(served, {"user_id": "ann", "history": ["s3", "s1"], **change})


def test_only_a_model_that_knows_times_asks_for_them(served: ServedInteractions, tmp_path: Path) -> None:
    """A package whose rows have no times and no kinds has no such column of a request."""
    assert {"time", "history_times", "history_events"} <= set(served.requests)
    rows = pd.DataFrame({"user_id": ["ann"], "item_id": ["s1"], "part": [0]})
    ServeInteractions().write(tmp_path, Domains((), DomainData.build("shop", rows, None, 1.0)), NOTHING)
    bare = ServeInteractions().read(tmp_path, info(()), Keeps())
    assert not {"time", "history_times", "history_events"} & set(bare.requests)
