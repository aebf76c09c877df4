"""Which row trains, which chooses and which tests."""

import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import ShippedSplit, TimeSplit
from pipeline.data import splits
from pipeline.data.splits import PART, TEST, TRAIN, VALID
from pipeline.errors import DataError

SHIPPED = ShippedSplit(kind="shipped")


def at(hours):
    return pd.to_datetime(pd.Series(hours, dtype="int64"), unit="h", utc=True).dt.as_unit("us")


def frame(rows, *names):
    table = pd.DataFrame(rows, columns=["user_id", "item_id", *names])
    return table.assign(timestamp=at(table["timestamp"])) if "timestamp" in names else table


def found(parted, part):
    rows = parted.rows[parted.rows[PART] == part]
    return sorted(zip(rows["user_id"].tolist(), rows["item_id"].tolist(), strict=True))


events = st.lists(
    st.tuples(st.sampled_from("abcde"), st.sampled_from("klmnopq"), st.integers(0, 12)), min_size=1, max_size=50
).map(lambda rows: frame(rows, "timestamp"))


# --- hashes, validation rule, thinning --------------------------------------------------------------------------------


def test_the_hash_of_a_pair_is_the_same_in_another_process():
    """Python's own string hash differs between processes; ours must not."""
    code = (
        "import pandas as pd; from pipeline.data.splits import pair_hash;"
        "print(pair_hash(pd.DataFrame({'user_id': ['u', 'v'], 'item_id': ['i', 'i']}), 'valid').tolist())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rows = frame([("u", "i"), ("v", "i")])
    assert other.stdout.strip() == str(splits.pair_hash(rows, "valid").tolist())


def test_the_hash_tells_user_item_and_purpose_apart():
    """Swapped ids, and the same pair for another purpose, have hashes of their own."""
    rows = frame([("u", "i"), ("i", "u"), ("u", "u")])
    hashes = [*splits.pair_hash(rows, "valid"), *splits.pair_hash(rows, "share")]
    assert len(set(hashes)) == 6


def test_each_user_with_four_or_more_rows_gives_one_for_validation():
    """Three rows give none; four and nine give one."""
    rows = frame([(user, f"i{k}") for user, count in (("a", 3), ("b", 4), ("c", 9)) for k in range(count)])
    parts = splits.with_hashed_valid(rows)
    assert parts.groupby("user_id")[PART].agg(lambda part: (part == VALID).sum()).to_dict() == {"a": 0, "b": 1, "c": 1}
    assert set(parts[PART]) == {TRAIN, VALID}


def test_thinning_keeps_the_stated_share_and_grows_with_it():
    """What 10 % keeps, 30 % keeps too; 100 % keeps everything."""
    rows = frame([(f"u{k}", f"i{k % 97}") for k in range(20_000)])
    kept = {share: splits.is_kept(rows, share) for share in (0.1, 0.3, 1.0)}
    assert kept[0.1].mean() == pytest.approx(0.1, abs=0.01)
    assert kept[0.3].mean() == pytest.approx(0.3, abs=0.01)
    assert not (kept[0.1] & ~kept[0.3]).any()
    assert kept[1.0].all()


# --- shipped ----------------------------------------------------------------------------------------------------------


def test_shipped_parts_are_as_named_and_other_values_are_counted():
    """The scenario's names decide; a value that it does not name is left out and counted."""
    rows = frame([("a", "k", "fit"), ("a", "l", "dev"), ("a", "m", "test"), ("a", "n", "odd")], "split")
    parted = splits.shipped(rows, ShippedSplit(kind="shipped", train=("fit",), valid=("dev",)), "phones")
    assert [found(parted, part) for part in (TRAIN, VALID, TEST)] == [[("a", "k")], [("a", "l")], [("a", "m")]]
    assert parted.dropped == {"split_not_used": 1, "repeated": 0}


def test_shipped_repeats_stay_for_the_audit_but_train_holds_a_pair_once():
    """A pair in train and test is kept in both: the audit marks it; a pair twice in train is one row."""
    rows = frame([("a", "k", "train"), ("a", "k", "train"), ("a", "k", "test"), ("a", "k", "test")], "split")
    parted = splits.shipped(rows, SHIPPED, "phones")
    assert found(parted, TRAIN) == [("a", "k")]
    assert found(parted, TEST) == [("a", "k"), ("a", "k")]
    assert parted.dropped["repeated"] == 1


def test_a_shipped_split_without_its_column_is_refused():
    """The message names the domain, the column and the ways out."""
    with pytest.raises(DataError, match=r"phones: interactions: .*needs the column 'split'.*leave_last_out"):
        splits.shipped(frame([("a", "k")]), SHIPPED, "phones")


# --- time -------------------------------------------------------------------------------------------------------------


def test_time_cuts_hold_the_stated_shares():
    """Ten rows, one an hour, 20 % and 10 %: seven train, two choose, one tests."""
    rows = frame([(f"u{k}", "k", k) for k in range(10)], "timestamp")
    cuts = splits.time_cuts(rows, TimeSplit(kind="time", valid=0.2, test=0.1), "phones")
    parts = splits.by_time(rows, cuts).rows.sort_values("timestamp")[PART]
    assert parts.tolist() == [TRAIN] * 7 + [VALID] * 2 + [TEST]


def test_a_repeated_pair_keeps_its_first_row_only():
    """What a user took again later must not be predicted."""
    rows = frame([("a", "k", 9), ("a", "k", 0), ("b", "k", 5), ("c", "l", 9)], "timestamp")
    parted = splits.by_time(rows, splits.Cuts(*at([8, 9])))
    assert found(parted, TRAIN) == [("a", "k"), ("b", "k")]
    assert found(parted, TEST) == [("c", "l")]
    assert parted.dropped == {"without_time": 0, "repeated": 1}


def test_rows_without_a_time_are_left_out_and_counted():
    """A missing time can be neither before nor after a cut."""
    rows = frame([("a", "k", 1), ("a", "l", 2), ("a", "m", 3)], "timestamp")
    rows.loc[0, "timestamp"] = pd.NaT
    assert splits.by_time(rows, splits.Cuts(*at([3, 4]))).dropped == {"without_time": 1, "repeated": 0}
    with pytest.raises(DataError, match=r"phones: .*'timestamp'.*all are missing"):
        splits.time_cuts(rows.assign(timestamp=pd.NaT), TimeSplit(kind="time"), "phones")


@pytest.mark.parametrize("kind", ["time", "leave_last_out"])
def test_splits_by_order_need_a_time(kind):
    """The message names the domain, the split and the column."""
    rows = frame([("a", "k")])
    by_kind = {
        "time": lambda: splits.time_cuts(rows, TimeSplit(kind="time"), "phones"),
        "leave_last_out": lambda: splits.leave_last_out(rows, "phones"),
    }
    with pytest.raises(DataError, match=rf"phones: interactions: the split '{kind}' needs the column 'timestamp'"):
        by_kind[kind]()


@given(events, events, st.floats(0.05, 0.4), st.floats(0.05, 0.4))
@settings(max_examples=25, deadline=None)
def test_no_row_knows_anything_later_by_time(target, source, valid, test):
    """Train <= valid <= test over all users, and every row of the source lies before the first validation row."""
    cuts = splits.time_cuts(target, TimeSplit(kind="time", valid=valid, test=test), "t")
    rows = splits.by_time(target, cuts).rows
    assert not rows.duplicated(["user_id", "item_id"]).any()
    spans = rows.groupby(PART)["timestamp"].agg(["min", "max"])
    assert (spans["max"].to_numpy()[:-1] < spans["min"].to_numpy()[1:]).all()
    assert TEST in spans.index
    before = splits.source_before(source, cuts.valid, "s")
    held = rows.loc[rows[PART] != TRAIN, "timestamp"]
    assert (before.rows["timestamp"] < held.min()).all()
    assert len(before.rows) + sum(before.dropped.values()) == len(source)


# --- leave last out ---------------------------------------------------------------------------------------------------


def test_the_last_row_tests_and_the_one_before_chooses():
    """Three rows give all parts, two only train and test, one only train."""
    rows = frame(
        [("a", "k", 1), ("a", "l", 2), ("a", "m", 3), ("b", "k", 1), ("b", "l", 2), ("c", "k", 1)], "timestamp"
    )
    parted = splits.leave_last_out(rows, "phones")
    assert found(parted, TRAIN) == [("a", "k"), ("b", "k"), ("c", "k")]
    assert found(parted, VALID) == [("a", "l")]
    assert found(parted, TEST) == [("a", "m"), ("b", "l")]


def test_positions_order_rows_where_there_is_no_time():
    """The position in a user's history is enough for leave_last_out."""
    parted = splits.leave_last_out(frame([("a", "k", 5), ("a", "l", 1)], "position"), "phones")
    assert found(parted, TEST) == [("a", "k")]


@given(events, events)
@settings(max_examples=25, deadline=None)
def test_no_row_knows_anything_later_by_user(target, source):
    """Within each user train <= valid <= test, and no row of that user's source lies after the first held-out."""
    rows = splits.leave_last_out(target, "t").rows
    ordered = rows.sort_values(["user_id", PART])
    assert (ordered.groupby("user_id")["timestamp"].diff().dropna() >= pd.Timedelta(0)).all()
    limits = splits.user_limits(rows)
    before = splits.source_before(source, limits, "s")
    first_held = rows[rows[PART] != TRAIN].groupby("user_id")["timestamp"].min().to_dict()
    assert all(
        time <= first_held.get(user, time)
        for user, time in zip(before.rows["user_id"], before.rows["timestamp"], strict=True)
    )
    free = source[~source["user_id"].isin(list(first_held))]
    kept = before.rows[~before.rows["user_id"].isin(list(first_held))]
    assert len(kept) == len(free.drop_duplicates(["user_id", "item_id"]))


def test_a_source_without_the_order_of_the_target_is_refused():
    """Times cannot be compared with positions."""
    limits = splits.user_limits(splits.leave_last_out(frame([("a", "k", 1), ("a", "l", 2)], "timestamp"), "t").rows)
    with pytest.raises(
        DataError, match=r"electronics: .*'leave_last_out' needs the column 'timestamp', also in sources"
    ):
        splits.source_before(frame([("a", "k", 1)], "position"), limits, "electronics")


# --- what holds for all -----------------------------------------------------------------------------------------------


def every_split(rows):
    names = rows.assign(split=rows["timestamp"].dt.hour.mod(3).map({0: "train", 1: "train", 2: "test"}))
    cuts = splits.time_cuts(rows, TimeSplit(kind="time", valid=0.2, test=0.2), "d")
    return {
        "shipped": splits.shipped(names, SHIPPED, "d"),
        "time": splits.by_time(rows, cuts),
        "leave_last_out": splits.leave_last_out(rows, "d"),
        "source": splits.source_before(rows, cuts.valid, "d"),
    }


@given(events, st.randoms(use_true_random=False))
@settings(max_examples=12, deadline=None)
def test_the_order_of_the_rows_plays_no_part(rows, random):
    """Shuffled rows give the same parts."""
    places = list(range(len(rows)))
    random.shuffle(places)
    shuffled = every_split(rows.iloc[places].reset_index(drop=True))
    for kind, parted in every_split(rows).items():
        other = shuffled[kind]
        assert [found(parted, part) for part in (TRAIN, VALID, TEST)] == [
            found(other, part) for part in (TRAIN, VALID, TEST)
        ], kind
        assert parted.dropped == other.dropped


@given(events)
@settings(max_examples=12, deadline=None)
def test_parts_never_overlap(rows):
    """No pair stands in two parts; in a shipped split only the test may repeat what was trained."""
    for kind, parted in every_split(rows).items():
        looked_at = parted.rows[parted.rows[PART] != TEST] if kind == "shipped" else parted.rows
        assert not looked_at.duplicated(["user_id", "item_id"]).any(), kind
