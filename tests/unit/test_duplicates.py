"""Several rows of one user and item: the first, the last, their sum, or a refusal."""

import pandas as pd
import pytest

from pipeline.config import LeaveLastOutSplit, RankingTask, ShippedSplit
from pipeline.data.duplicates import settle_pairs
from pipeline.errors import DataError
from pipeline.rows.interactions.parting import PartInteractions
from pipeline.rows.kind import Given

NAN = float("nan")


def rows(**more):
    """The pair (a, 1) three times, (b, 1) twice, (a, 2) once."""
    days = ["2024-01-03", "2024-01-01", "2024-01-02", "2024-01-05", None, "2024-01-04"]
    times = pd.to_datetime(pd.Series(days), utc=True)
    frame = pd.DataFrame({"user_id": list("aaabba"), "item_id": list("111112"), "timestamp": times})
    return frame.assign(value=[1.0, 2.0, 4.0, NAN, NAN, 8.0], **more)


def told(frame, *columns):
    """The rows by user and item."""
    return sorted(frame[["user_id", "item_id", *columns]].itertuples(index=False, name=None))


def test_the_first_is_left_to_the_splits():
    """All rows stay, for a split to choose after it knows which it may see."""
    frame = rows()
    assert settle_pairs(frame, "first", "d") is frame


def test_the_last_row_stays():
    """The latest time; a row without a time only where there is no other."""
    settled = settle_pairs(rows(), "last", "d").assign(day=lambda one: one["timestamp"].dt.day)
    assert told(settled, "day") == [("a", "1", 3), ("a", "2", 4), ("b", "1", 5)]


def test_the_first_row_stays_for_a_sum():
    """With its own value; the others are added to what it counts, once a split has said what may be known."""
    settled = settle_pairs(rows(), "sum", "d").assign(day=lambda one: one["timestamp"].dt.day).fillna({"value": -1.0})
    assert told(settled, "day", "value") == [("a", "1", 1, 2.0), ("a", "2", 4, 8.0), ("b", "1", 5, -1.0)]


@pytest.mark.parametrize(
    ("how", "dropped", "message"),
    [
        ("refuse", [], r"^d: interactions: 2 pairs of user and item have several rows, 3 more than one each.*`last`"),
        ("last", ["timestamp"], r"`duplicates: last` needs the column timestamp or position, but there are user_id"),
    ],
)
def test_what_cannot_be_is_refused(how, dropped, message):
    """With counts, or the column that is missing."""
    with pytest.raises(DataError, match=message):
        settle_pairs(rows().drop(columns=dropped), how, "d")
    alone = rows().drop_duplicates(["user_id", "item_id"]).drop(columns=dropped)
    assert settle_pairs(alone, how, "d") is alone


@pytest.mark.parametrize(("how", "day"), [("first", 1), ("last", 3)])
def test_a_split_sees_what_was_chosen_and_the_rows_are_accounted_for(tmp_path, how, day):
    """The pair has the time of the row that stays, and the others are dropped as repeated."""
    tables = {"interactions": rows(), "items": pd.DataFrame({"item_id": ["1", "2"]})}
    given = Given("d", tables, LeaveLastOutSplit(kind="leave_last_out"), 1.0, 0, duplicates=how)
    parts, _ = PartInteractions(RankingTask()).target(given, {})
    assert sum(parts.rows.values()) + sum(parts.dropped.values()) == len(rows())
    parts.write(tmp_path)
    prepared = pd.read_parquet(tmp_path / "rows.parquet")
    assert prepared[["user", "item"]].to_numpy().tolist() == [[0, 0], [0, 1], [1, 0]]
    assert prepared["timestamp"].dt.day.tolist() == [day, 4, 5]


def test_a_shipped_split_keeps_its_parts():
    """A pair that stands in training and in the test stays in both, for the audit to mark."""
    frame = rows(split=["train", "train", "test", "train", "test", "train"])
    settled = settle_pairs(frame, "last", "d", ("split",))
    assert len(settled) == 5
    summed = settle_pairs(frame, "sum", "d", ("split",)).fillna({"value": -1.0})
    assert told(summed, "split", "value")[:2] == [("a", "1", "test", 4.0), ("a", "1", "train", 2.0)]
    given = Given("d", {"interactions": frame}, ShippedSplit(kind="shipped"), 1.0, 0, duplicates="last")
    parts, _ = PartInteractions(RankingTask()).target(given, {})
    assert parts.rows == {"train": 3, "valid": 0, "test": 2}
