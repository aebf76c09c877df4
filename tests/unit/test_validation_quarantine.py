"""Row rules: which rows leave, under which name, and that nothing else changes."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.rules import Times
from pipeline.data.tables import INTERACTIONS, ITEMS
from pipeline.validation.quarantine import sort_rows

GOOD = datetime(2024, 5, 1, tzinfo=UTC)


def interactions(**columns: list) -> pa.Table:
    """A table of as many good rows as the given columns have, with those columns put in."""
    count = len(next(iter(columns.values())))
    good = {
        "user_id": pa.array([f"u{place}" for place in range(count)]),
        "item_id": pa.array(["i"] * count),
        "timestamp": pa.array([GOOD] * count, pa.timestamp("us", "UTC")),
        "value": pa.array([1.0] * count),
    }
    return pa.table(
        {name: pa.array(columns[name], good[name].type) if name in columns else good[name] for name in good}
    )


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("user_id", None, "missing_user_id"),
        ("user_id", "", "missing_user_id"),
        ("item_id", None, "missing_item_id"),
        ("item_id", "a\0b", "control_characters_in_item_id"),
        ("user_id", "a\nb", "control_characters_in_user_id"),
        ("item_id", "a\x85b", "control_characters_in_item_id"),
        ("item_id", "a\u2028b", "control_characters_in_item_id"),
        ("item_id", "x" * 257, "too_long_item_id"),
        ("timestamp", datetime(1970, 1, 20, tzinfo=UTC), "bad_timestamp"),
        ("timestamp", datetime(2101, 1, 1, tzinfo=UTC), "bad_timestamp"),
        ("value", float("inf"), "non_finite_value"),
        ("value", float("-inf"), "non_finite_value"),
        ("value", float("nan"), "non_finite_value"),
    ],
)
def test_each_row_rule_removes_its_row_alone(column, value, rule):
    """One bad row among good ones leaves, under the rule's name, and the good ones stay as they were."""
    good = {"user_id": ("g", "h"), "item_id": ("g", "h"), "timestamp": (GOOD, GOOD), "value": (0.0, 0.0)}[column]
    table = interactions(**{column: [good[0], value, good[1]]})

    parts = sort_rows(table, INTERACTIONS.rules(Times()))

    assert parts.counts == {rule: 1}
    assert parts.removed.column("rule").to_pylist() == [rule]
    assert parts.clean.equals(table.take([0, 2]))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("user_id", "🛒"),
        ("item_id", "é\u200d"),
        ("item_id", "<script>"),
        ("item_id", "x" * 256),
        ("value", None),
        ("timestamp", None),
    ],
)
def test_unusual_but_sound_values_stay(column, value):
    """Emoji, markup, the longest id and optional values that are absent break no row rule."""
    table = interactions(**{column: [value]})

    assert sort_rows(table, INTERACTIONS.rules(Times())).clean.equals(table)


def test_time_split_needs_times():
    """A row without a time leaves only where the split is made by time."""
    table = interactions(timestamp=[None, GOOD])

    assert sort_rows(table, INTERACTIONS.rules(Times(needs_time=True))).counts == {"bad_timestamp": 1}


def test_future_is_measured_from_the_data_interval():
    """With the end of the data interval given, a time after it leaves and the end itself stays."""
    table = interactions(timestamp=[datetime(2024, 5, 1, 0, 0, 1, tzinfo=UTC), GOOD])

    parts = sort_rows(table, INTERACTIONS.rules(Times(as_of=GOOD)))

    assert parts.clean.column("user_id").to_pylist() == ["u1"]


def test_first_broken_rule_names_the_row_and_equal_rows_keep_their_first():
    """A row that breaks several rules is counted once; of equal rows one stays."""
    table = interactions(user_id=[None, "a", "a", "a"], item_id=["\0", "i", "i", "j"])

    parts = sort_rows(table, INTERACTIONS.rules(Times()))

    assert parts.counts == {"missing_user_id": 1, "duplicate_row": 1}
    assert parts.clean.column("item_id").to_pylist() == ["i", "j"]


def test_item_rules():
    """A negative price and a price of NaN leave; no price and price zero stay."""
    table = pa.table({"item_id": ["a", "b", "c", "d"], "price": pa.array([-0.01, float("nan"), None, 0.0])})

    parts = sort_rows(table, ITEMS.rules(Times()))

    assert parts.counts == {"negative_price": 1, "non_finite_price": 1}
    assert parts.clean.column("item_id").to_pylist() == ["c", "d"]


def test_tables_of_other_types_and_without_rows_pass():
    """Rules for texts and floats leave columns of other types to the suites; an empty table stays empty."""
    wrong = pa.table({"user_id": pa.array([1, 2]), "item_id": pa.array([1, 1]), "value": pa.array(["x", "y"])})

    assert sort_rows(wrong, INTERACTIONS.rules(Times())).clean.equals(wrong)
    assert len(sort_rows(interactions(user_id=[]), INTERACTIONS.rules(Times())).clean) == 0


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "", None, "b\0"]), st.sampled_from([1.0, float("nan"), None, float("inf")])),
        max_size=12,
    )
)
def test_rows_are_parted_without_loss(rows):
    """Clean and removed rows together are all rows, the counts add up, and cleaning again removes nothing."""
    table = interactions(user_id=[user for user, _ in rows], value=[value for _, value in rows])

    parts = sort_rows(table, INTERACTIONS.rules(Times()))
    again = sort_rows(parts.clean, INTERACTIONS.rules(Times()))

    assert len(parts.clean) + len(parts.removed) == len(rows)
    assert sum(parts.counts.values()) == len(parts.removed)
    assert again.counts == {}
    values = parts.clean.column("value").drop_null().to_pylist()
    assert np.isfinite(np.array(values, dtype=float)).all()
