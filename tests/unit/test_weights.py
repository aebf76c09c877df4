"""What rows count and which are answers: by event, rating and age, for one row of a pair and for all of them."""

import numpy as np
import pandas as pd
import pytest

from pipeline.config import HashSplit, LeaveLastOutSplit, RankingTask, ShippedSplit, TimeSplit
from pipeline.rows.interactions.parting import PartInteractions
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.rows.kind import Given

EVENTS = {"view": 1, "cart": 3, "purchase": 5}
RATINGS = {1: 0, 2: 0.2, 5: 1}
TIME = TimeSplit(kind="time", valid=0.2, test=0.3)
BY_EVENT = {"weight": {"event": EVENTS}}


def table(*rows, start="2024-01-01"):
    """User, item, day, event, rating."""
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "day", "event", "value"])
    times = pd.Timestamp(start, tz="UTC") + pd.to_timedelta(frame.pop("day"), unit="D")
    return frame.assign(timestamp=times, value=frame["value"].astype(float))


LOG = table(
    ("a", "1", 0, "view", 5), ("b", "1", 1, "view", 4), ("c", "1", 2, "cart", 3), ("a", "2", 3, "purchase", 1),
    ("b", "2", 4, "view", None),  # the five that train
    ("a", "1", 4.5, "purchase", 4),  # again, before the validation begins
    ("c", "2", 5, "view", 2), ("d", "1", 6, "purchase", 5),  # the two that choose
    ("b", "1", 6.5, "purchase", 1), ("c", "2", 6.7, "cart", 4),  # again, after it began
    ("d", "2", 7, "view", 5), ("e", "1", 8, "purchase", 4), ("e", "2", 9, None, None),  # the three that test
    ("d", "2", 9.5, "purchase", 3), ("c", "2", 9.6, "purchase", 5), ("a", "2", 9.7, "purchase", 5),  # again, later
)  # fmt: skip


def parted(frame, *, split=TIME, duplicates="first", share=1.0, **task):
    """The target as a split and a task publish it, and its parts."""
    given = Given("shop", {"interactions": frame}, split, share, 0, duplicates=duplicates)
    return PartInteractions(RankingTask.model_validate(task)).target(given, {})[0]


def prepared(tmp_path, frame, **how):
    """What stands in the folder: rows with ids, and the domain."""
    parted(frame, **how).write(tmp_path)
    data = DomainData.read(tmp_path, "shop")
    ids = {"user": data.users["user_id"].to_numpy()[data.rows["user"]],
           "item": data.items["item_id"].to_numpy()[data.rows["item"]]}  # fmt: skip
    return data.rows.assign(**ids), Domains((), data)


def weights(rows, *parts):
    """Weight by user and item."""
    chosen = rows[rows["part"].isin(parts or (0, 1, 2))]
    return {user + item: pytest.approx(weight) for user, item, weight in chosen[["user", "item", "weight"]].to_numpy()}


def test_an_event_counts_what_is_said(tmp_path):
    """Of several rows the first alone; a row without an event counts 1."""
    rows, _ = prepared(tmp_path, LOG, **BY_EVENT)
    assert weights(rows) == {
        "a1": 1, "b1": 1, "c1": 3, "a2": 5, "b2": 1, "c2": 1, "d1": 5, "d2": 1, "e1": 5, "e2": 1,
    }  # fmt: skip
    assert rows["weight"].dtype == np.float32


def test_a_rating_counts_by_straight_lines(tmp_path):
    """Between two points in proportion, beyond them like the nearest; a row without a rating counts 1."""
    rows, _ = prepared(tmp_path, LOG, weight={"rating": {2: 0.2, 4: 0.6}})
    assert weights(rows, 0) == {"a1": 0.6, "b1": 0.6, "c1": 0.4, "a2": 0.2, "b2": 1}


def test_age_halves(tmp_path):
    """0.5 ** (days before the last row that trains or chooses / half life); times what event and rating count."""
    rows, _ = prepared(tmp_path, LOG, weight={"half_life_days": 2})
    assert weights(rows, 0, 1) == {
        "a1": 0.5**3, "b1": 0.5**2.5, "c1": 0.5**2, "a2": 0.5**1.5, "b2": 0.5, "c2": 0.5**0.5, "d1": 1,
    }  # fmt: skip
    rows, _ = prepared(tmp_path, LOG, weight={"half_life_days": 2, "event": EVENTS, "rating": RATINGS})
    assert weights(rows, 0) == {"a1": 0.5**3, "b1": 0.5**2.5 * (0.2 + 0.8 * 2 / 3), "c1": 3 * 0.5**2 * (0.2 + 0.8 / 3),
                                "a2": 0, "b2": 0.5}  # fmt: skip


def test_a_row_without_a_time_is_of_no_age(tmp_path):
    """Where a split does not need times."""
    frame = LOG.assign(timestamp=LOG["timestamp"].where(LOG.index != 4), split=["train"] * 8 + ["test"] * 8)
    rows, _ = prepared(tmp_path, frame, split=ShippedSplit(kind="shipped"), weight={"half_life_days": 2})
    assert weights(rows, 0) == {
        "a1": 0.5**3,
        "b1": 0.5**2.5,
        "c1": 0.5**2,
        "a2": 0.5**1.5,
        "b2": 1,
        "c2": 0.5**0.5,
        "d1": 1,
    }


def test_rows_of_a_pair_add_up_as_far_as_they_may_be_known(tmp_path):
    """A training row knows nothing from the validation on, a validation row nothing of the test."""
    rows, _ = prepared(tmp_path, LOG, duplicates="sum", **BY_EVENT)
    assert weights(rows, 0, 1) == {"a1": 1 + 5, "b1": 1, "c1": 3, "a2": 5, "b2": 1, "c2": 1 + 3, "d1": 5}
    rows, _ = prepared(tmp_path, LOG, duplicates="sum")  # each row counts 1
    assert weights(rows, 0, 1) == {"a1": 2, "b1": 1, "c1": 1, "a2": 1, "b2": 1, "c2": 2, "d1": 1}
    rows, _ = prepared(tmp_path, LOG, duplicates="sum", weight={"half_life_days": 2})
    assert weights(rows, 0)["a1"] == pytest.approx(0.5**3 + 0.5**0.75)


def test_a_sum_under_other_splits(tmp_path):
    """Each user by the own last rows; all rows of a pair where no part is later; the parts that the data ships."""
    frame = table(
        ("a", "1", 0, "view", 1), ("a", "1", 1, "view", 1), ("a", "2", 2, "view", 1), ("a", "1", 3, "view", 1),
        ("a", "3", 4, "view", 1), ("a", "2", 5, "view", 1), ("b", "2", 9, "view", 1), ("b", "3", 10, "view", 1),
        ("b", "2", 10.5, "view", 1), ("c", "1", 0, "view", 1), ("c", "1", 50, "view", 1),
    )  # fmt: skip
    last = LeaveLastOutSplit(kind="leave_last_out")
    rows, _ = prepared(tmp_path, frame, split=last, duplicates="sum")
    assert weights(rows, 0, 1) == {"a1": 2, "a2": 1, "b2": 1, "c1": 2}
    bought = pd.concat([frame, table(("a", "3", 60, "purchase", 1), ("d", "3", 0, "view", 1))])
    _, domains = prepared(tmp_path, bought, split=last, duplicates="sum", relevant={"event": ["purchase"]})
    assert domains.named(domains.held_out("test")).tolist() == [("a", "3")]
    rows, _ = prepared(tmp_path, frame, split=HashSplit(kind="hash"), duplicates="sum")
    assert weights(rows) == {"a1": 3, "a2": 2, "a3": 1, "b2": 2, "b3": 1, "c1": 2}
    shipped = frame.assign(split=["train", "train", "train", "test", *["train"] * 6, "test"])
    rows, _ = prepared(tmp_path, shipped, split=ShippedSplit(kind="shipped"), duplicates="sum")
    assert weights(rows, 0) == {"a1": 2, "a2": 2, "a3": 1, "b2": 2, "b3": 1, "c1": 1}


@pytest.mark.parametrize("border", [pd.Timestamp("2024-01-04", tz="UTC"), "by user"])
def test_a_source_adds_what_comes_before_its_border(tmp_path, border):
    """The same instant for everybody, or a time for each user; a user without one has all."""
    frame = table(*[("a", "1", day, "view", 1) for day in range(6)], *[("b", "1", day, "view", 1) for day in range(6)])
    by_user = isinstance(border, str)
    if by_user:
        border = pd.Series([pd.Timestamp("2024-01-03", tz="UTC")], index=["a"], name="timestamp")
    given = Given("shop", {"interactions": frame}, TIME, 1.0, 0, duplicates="sum")
    PartInteractions(RankingTask()).source(given, border).write(tmp_path)
    counted = DomainData.read(tmp_path, "shop").rows["weight"].tolist()
    assert counted == ([2, 6] if by_user else [3, 3])


@pytest.mark.parametrize("duplicates", ["first", "last", "sum"])
def test_nothing_of_the_test_weighs_a_training_row(tmp_path, duplicates):
    """Moving, repeating or changing rows of the test leaves what the others count as it is, to the last bit."""
    how = {"duplicates": duplicates, "weight": {"half_life_days": 3, "event": EVENTS}}
    frame = LOG.drop(index=[14, 15]) if duplicates == "last" else LOG  # a last row of the test leaves no other one
    before, _ = prepared(tmp_path, frame, **how)
    late = frame["timestamp"] > pd.Timestamp("2024-01-08 12:00", tz="UTC")
    moved = frame.assign(timestamp=frame["timestamp"] + pd.to_timedelta(np.where(late, 700, 0), unit="D"))
    moved["event"] = moved["event"].where(~late, "cart")
    again = moved[late & moved["user_id"].eq("d")] if duplicates != "last" else moved.iloc[:0]
    after, _ = prepared(tmp_path, pd.concat([moved, again.assign(event="purchase")]), **how)
    columns = ["user", "item", "part", "weight"]
    pd.testing.assert_frame_equal(
        before.loc[before["part"] < 2, columns].reset_index(drop=True),
        after.loc[after["part"] < 2, columns].reset_index(drop=True),
    )


def test_a_weight_of_nothing_is_known_and_no_sign(tmp_path):
    """It is in no history and trains nothing, and is left out of the ranking like all that is known."""
    _, domains = prepared(tmp_path, LOG, weight={"event": {**EVENTS, "view": 0}})
    parts = parted(LOG, weight={"event": {**EVENTS, "view": 0}})
    assert (parts.rows, parts.known["weightless"]) == ({"train": 5, "valid": 2, "test": 3}, 4)
    view = domains.training()["shop"]
    names = domains.named(view).tolist()
    assert dict(zip(names, view.weights, strict=True)) == {("a", "2"): 5, ("c", "1"): 3, ("d", "1"): 5}
    assert view.fields["past"].taken["shop"].nnz == 3
    assert domains.seen(domains.target, ("train",)).nnz == 5
    assert domains.target.items["train_count"].tolist() == [3 + 5, 5]


def test_answers_are_what_is_named(tmp_path):
    """A row that is none is not judged; one for validation trains later, one for the test is dropped and counted."""
    parts = parted(LOG, relevant={"event": ["purchase"]})
    assert parts.rows == {"train": 5, "valid": 1, "test": 1, "valid_not_relevant": 1}
    assert {reason: count for reason, count in parts.dropped.items() if count} == {"repeated": 6, "not_relevant": 2}
    assert sum(parts.rows.values()) + sum(parts.dropped.values()) == len(LOG)
    _, domains = prepared(tmp_path, LOG, relevant={"event": ["purchase"]})
    assert domains.named(domains.held_out("valid")).tolist() == [("d", "1")]
    assert domains.named(domains.held_out("test")).tolist() == [("e", "1")]
    assert domains.training()["shop"].fields["past"].taken["shop"].nnz == 7
    assert domains.training(held_back=("shop",))["shop"].fields["past"].taken["shop"].nnz == 5
    assert "weight" not in domains.target.rows


def test_answers_by_rating_and_by_all_rows_of_a_pair(tmp_path):
    """A missing rating is none; where rows are taken together, one of those that may be known is enough."""
    _, domains = prepared(tmp_path, LOG, relevant={"rating": {"at_least": 4}})
    assert domains.named(domains.held_out("test")).tolist() == [("d", "2"), ("e", "1")]
    _, domains = prepared(tmp_path, LOG, relevant={"rating": {"at_least": 4}, "event": ["purchase"]})
    assert domains.named(domains.held_out("test")).tolist() == [("e", "1")]
    _, domains = prepared(tmp_path, LOG, relevant={"event": ["purchase"]}, duplicates="sum")
    assert domains.named(domains.held_out("test")).tolist() == [("d", "2"), ("e", "1")]
    assert domains.named(domains.held_out("valid")).tolist() == [("d", "1")]  # c2 is bought in the test alone


def test_without_a_word_nothing_changes(tmp_path):
    """No column more, binary histories, whole numbers as counts, and views whose rows count 1."""
    rows, domains = prepared(tmp_path, LOG)
    assert not {"weight", "relevant"} & set(rows)
    assert domains.target.items["train_count"].dtype == np.int64
    view = domains.training()["shop"]
    assert set(view.fields["past"].taken["shop"].data) == {1.0}
    assert list(view.rows) == ["row", "unit"]
    assert set(view.weights) == {1.0}


def test_rows_of_both_parts_count_the_larger_weight(tmp_path):
    """As a shipped split may have them: 1 without weights, as before."""
    frame = table(
        ("a", "1", 0, "view", 1), ("a", "1", 1, "cart", 1), ("b", "1", 2, "purchase", 1), ("c", "1", 3, "view", 1)
    )
    frame = pd.concat([frame, table(("b", "1", 4, "view", 1))])
    frame["split"] = ["train", "valid", "train", "test", "valid"]
    split = ShippedSplit(kind="shipped", valid=("valid",))
    _, domains = prepared(tmp_path, frame, split=split, **BY_EVENT)
    assert domains.histories(("train", "valid"))["shop"].toarray().ravel().tolist() == [3, 5, 0]
    _, domains = prepared(tmp_path, frame, split=split)
    assert domains.histories(("train", "valid"))["shop"].toarray().ravel().tolist() == [1, 1, 0]
