"""Splits that people have: orders that stay together, hashes of users' rows, least numbers of rows, and empty parts."""

import numpy as np
import pandas as pd
import pytest

from pipeline.config import HashSplit, LeaveLastOutSplit, PrepareSettings, RankingTask, TimeSplit
from pipeline.data import splits
from pipeline.data.splits import PART, TEST, TRAIN, VALID, Parted
from pipeline.errors import DataError
from pipeline.labels.ranking_metrics import user_metrics
from pipeline.rows.empty import refuse_empty
from pipeline.rows.interactions.leaks import audit
from pipeline.rows.interactions.parting import PartInteractions
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.rows.kind import Given
from pipeline.steps import prepare


def frame(rows, *names):
    table = pd.DataFrame(rows, columns=["user_id", "item_id", *names])
    if "timestamp" not in table:
        return table
    return table.assign(timestamp=pd.to_datetime(table["timestamp"], unit="h", utc=True).dt.as_unit("us"))


def found(parted):
    """Part -> its (user, item), sorted."""
    pairs = {part: [] for part in (TRAIN, VALID, TEST)}
    for user, item, part in parted.rows[["user_id", "item_id", PART]].itertuples(index=False):
        pairs[part].append(user + item)
    return {part: sorted(those) for part, those in pairs.items()}


# --- orders -----------------------------------------------------------------------------------------------------------


def test_the_last_order_goes_to_the_test_as_a_whole():
    """By its time: two rows of hour 3 test, two of hour 2 choose; who bought at one time only is trained on."""
    rows = [("a", "k", 1), ("a", "l", 2), ("a", "m", 2), ("a", "n", 3), ("a", "o", 3), ("b", "k", 7), ("b", "l", 7)]
    parts = found(splits.leave_last_out(frame(rows, "timestamp"), "d"))
    assert parts == {TRAIN: ["ak", "bk", "bl"], VALID: ["al", "am"], TEST: ["an", "ao"]}


def test_an_order_may_take_its_time():
    """`order_id` holds its rows together, as late as the last of them; without an id the time counts."""
    rows = [("a", "k", 1, None), ("a", "l", 4, "x"), ("a", "m", 2, "x"), ("a", "n", 3, "y"), ("a", "o", 1, None)]
    table = frame(rows, "timestamp", "order_id")
    assert found(splits.leave_last_out(table, "d")) == {TRAIN: ["ak", "ao"], VALID: ["an"], TEST: ["al", "am"]}
    cuts = splits.Cuts(*frame([("", "", 3), ("", "", 4)], "timestamp")["timestamp"])
    assert found(splits.by_time(table, cuts)) == {TRAIN: ["ak", "ao"], VALID: ["an"], TEST: ["al", "am"]}


def test_validation_by_hash_takes_whole_orders():
    """Not one row of an order, and never all of a user's rows."""
    rows = [("a", f"i{place}", place // 2) for place in range(8)] + [("b", f"i{place}", 5) for place in range(8)]
    parts = splits.with_hashed_valid(frame(rows, "timestamp"))
    assert parts.groupby(["user_id", "timestamp"])[PART].nunique().eq(1).all()
    assert parts.groupby("user_id")[PART].agg(lambda part: (part == VALID).sum()).to_dict() == {"a": 2, "b": 0}


def marks_of(rows):
    target = DomainData.build("t", rows, None, 1.0)
    other = DomainData.build("s", frame([("z", "q")]).assign(part=TRAIN), None, 1.0)
    marks, report = audit(Domains((other,), target), cold_start=True)
    users, items = target.users["user_id"].to_numpy(), target.items["item_id"].to_numpy()
    names = users[target.rows["user"]] + items[target.rows["item"]]
    told = {(names[row], kind) for domain, row, kind in marks.itertuples(index=False) if domain == "t"}
    return told, report["domains"]["t"]["kinds"]["order"]


def test_the_audit_marks_rows_of_an_order_that_a_shipped_split_tears_apart():
    """By time, and by the order's id where there is one; an order of another user is another one."""
    parts = [TRAIN, TEST, TRAIN, TEST, TRAIN]
    rows = frame([("a", "k", 1), ("a", "l", 1), ("a", "m", 1), ("b", "k", 1), ("b", "l", 0)], "timestamp")
    assert marks_of(rows.assign(part=parts)) == ({("al", "order")}, 1)
    named = rows.assign(part=parts, order_id=["x", "y", "x", "z", "z"])
    assert marks_of(named) == ({("bk", "order")}, 1)
    free = rows.drop(columns="timestamp").assign(part=parts)
    assert marks_of(free) == (set(), 0)


def test_several_held_out_items_of_a_user_are_judged_together():
    """Ranks 1 and 3 of two relevant items, written out; neither is a wrong answer to the other."""
    rows = pd.DataFrame({"user": [0, 0], "item": [4, 7]})
    table = user_metrics(rows, np.array([1.0, 3.0]), [10])
    ideal = 1 + 1 / np.log2(3)
    assert table.loc[0].to_dict() == {
        "ndcg@10": pytest.approx((1 + 1 / np.log2(4)) / ideal), "recall@10": 1.0, "hit_rate@10": 1.0, "mrr@10": 1.0,
    }  # fmt: skip


# --- by hash ----------------------------------------------------------------------------------------------------------


def test_by_hash_each_user_with_four_rows_has_some_in_every_part():
    """The shares of ten rows are two and two; three rows all train; it is the same in any order of the rows."""
    rows = frame([(f"u{user}", f"i{item}") for user in range(60) for item in range(10)])
    few = frame([("v", f"i{item}") for item in range(3)] + [("w", f"i{item}") for item in range(4)])
    table = pd.concat([rows, few], ignore_index=True)
    parted = splits.by_user_hash(table, HashSplit(kind="hash"))
    counts = pd.crosstab(parted.rows["user_id"], parted.rows[PART])
    assert (counts.loc[[f"u{user}" for user in range(60)]] == [6, 2, 2]).all(axis=None)
    assert counts.loc["v"].tolist() == [3, 0, 0]
    assert counts.loc["w"].tolist() == [2, 1, 1]
    assert found(splits.by_user_hash(table.sample(frac=1, random_state=1), HashSplit(kind="hash"))) == found(parted)
    assert found(splits.by_user_hash(table, HashSplit(kind="hash", draw=1))) != found(parted)
    per_item = parted.rows.loc[parted.rows[PART] == TEST, "item_id"].value_counts()
    assert len(per_item) == 10  # not the same items of every user


def test_by_hash_large_orders_are_held_out_as_often_as_small_ones():
    """The smallest hash among the rows would hold out large orders nearly always, and most rows with them."""
    rows = [(f"u{u}", f"{o}-{i}", f"{u}-{o}") for u in range(200) for o in range(10) for i in range(1 if o else 20)]
    split = HashSplit(kind="hash", valid=0.1, test=0.2)
    parted = splits.by_user_hash(frame(rows, "order_id"), split).rows
    large = parted[parted["item_id"] == "0-0"][PART]
    assert abs((large == TEST).mean() - 0.2) < 0.09  # three standard deviations of 200 draws
    assert abs((large == VALID).mean() - 0.1) < 0.07
    assert parted.groupby("order_id")[PART].nunique().max() == 1
    chosen = splits.with_hashed_valid(splits.first_of_pairs(frame(rows, "order_id")))
    large = chosen[chosen["item_id"] == "0-0"][PART]
    assert abs((large == VALID).mean() - 0.1) < 0.07


def test_by_hash_leaves_something_to_train_on():
    """Whatever the shares are."""
    rows = frame([("a", f"i{item}") for item in range(5)])
    parts = splits.by_user_hash(rows, HashSplit(kind="hash", valid=0.9, test=0.9)).rows[PART]
    assert sorted(parts) == [TRAIN, VALID, TEST, TEST, TEST]


# --- least numbers of rows --------------------------------------------------------------------------------------------


def test_rare_users_and_items_are_left_out_until_all_have_enough():
    """Item o goes, so user c has one row and goes, so item n has one and goes: the 2-core is a, b with k, l."""
    rows = [(user, item, TRAIN) for user, item in ("ak", "al", "bk", "bl", "cn", "co", "an")]
    rows += [("c", "k", TEST), ("d", "o", TEST)]
    table = frame(rows, PART)
    kept = splits.with_enough_rows(Parted(table, {"repeated": 0}), 2, 2)
    assert found(kept) == {TRAIN: ["ak", "al", "bk", "bl"], VALID: [], TEST: ["ck", "do"]}
    assert kept.dropped == {"repeated": 0, "too_few_rows": 3}
    assert splits.with_enough_rows(Parted(table), 1, 1).dropped == {}
    held = table.assign(part=[TRAIN] * 4 + [TEST] * 5)  # rows of the test count for nobody
    assert splits.with_enough_rows(Parted(held), 3, 1).dropped == {"too_few_rows": 4}


def test_least_numbers_are_of_the_task_and_in_the_account(tmp_path):
    """Test rows on an item that went are outside the catalogue; every row is accounted for."""
    task = RankingTask.model_validate({"min_rows": {"users": 2, "items": 2}})
    rows = [("a", "k", 1), ("b", "k", 1), ("a", "l", 2), ("b", "l", 2), ("a", "m", 3), ("b", "o", 3), ("c", "n", 1)]
    rows = frame(rows, "timestamp")
    given = Given("d", {"interactions": rows}, LeaveLastOutSplit(kind="leave_last_out"), 1.0, 0)
    [parts, _] = PartInteractions(task).target(given, {})
    assert parts.rows == {"train": 2, "valid": 2, "test": 0}
    assert parts.dropped == {"without_time": 0, "repeated": 0, "too_few_rows": 1, "outside_catalogue": 2}
    assert task.as_rows() == task
    assert RankingTask(cutoffs=(5,)).as_rows() == RankingTask()


# --- empty parts ------------------------------------------------------------------------------------------------------


def refused(rows, split, task=None):
    given = Given("d", {"interactions": rows}, split, 1.0, 0)
    parting = PartInteractions(task or RankingTask())
    [parts, _] = parting.target(given, {})
    with pytest.raises(DataError) as error:
        refuse_empty("d", parts, ("train", "valid", "test"), split)
    return str(error.value)


def test_an_empty_part_says_why():
    """One day, no user with two times, too small a share, all outside the catalogue: never bare zeros."""
    day = frame([(f"u{k}", f"i{k}", 0) for k in range(12)], "timestamp")
    time = TimeSplit(kind="time")
    assert "leaves no rows for train and valid and test: all rows have one time, 1970-01-01 00:00" in refused(day, time)
    last = refused(day, LeaveLastOutSplit(kind="leave_last_out"))
    assert "all rows have one time" in last
    assert "asks for users with rows at two different times or in two orders" in last
    hours = frame([(f"u{k}", "i", k) for k in range(12)], "timestamp")
    small = TimeSplit(kind="time", valid=0.01, test=0.25)
    assert "leaves no rows for valid: a share of 0.01 of 12 rows is less than one for valid" in refused(hours, small)
    new = frame([(f"u{k}", f"i{k}", k) for k in range(12)], "timestamp")
    assert "5 of 12 rows" not in refused(new, TimeSplit(kind="time", valid=0.1, test=0.6))
    assert "7 of 12 rows are for the test, of items" in refused(new, TimeSplit(kind="time", valid=0.1, test=0.6))
    task = RankingTask.model_validate({"min_rows": {"users": 5}})
    assert "rows are of users or items with fewer rows than min_rows asks for" in refused(hours, time, task)


def test_a_source_that_is_newer_says_so():
    """All of it is later than the target's first held-out row."""
    rows = frame([(f"u{k}", "i", k + 50) for k in range(12)], "timestamp")
    split = TimeSplit(kind="time").for_sources()
    border = pd.Timestamp(3, unit="h", tz="UTC")
    parts = PartInteractions(RankingTask()).source(Given("films", {"interactions": rows}, split, 1.0, 0), border)
    with pytest.raises(DataError, match=r"films: .*12 of 12 rows come after the target's first row .* is newer than"):
        refuse_empty("films", parts, ("train",), split)
    assert parts.rows == {"train": 0, "valid": 0, "test": 0}


def test_a_split_that_leaves_a_part_empty_stops_prepare(tmp_path, monkeypatch):
    """Before anything is written."""
    day = frame([(f"u{k}", f"i{k}", 0) for k in range(12)], "timestamp")
    monkeypatch.setattr(prepare, "_tables", lambda _: {"interactions": day})
    settings = PrepareSettings(
        domain="d",
        task=RankingTask(),
        split=TimeSplit(kind="time"),
        share=1.0,
        draw=0,
        stratified=False,
        duplicates="first",
        needs=("train", "valid", "test"),
    )
    with pytest.raises(DataError, match="one time"):
        prepare.build_target(settings, {"clean": None}, tmp_path, tmp_path)
    assert not list(tmp_path.glob("rows.parquet"))
