"""Ids of several spellings: found over all tables of a scenario, shown by their shape, made one where that is said."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.tables import KINDS
from pipeline.data.values.spelling import in_words, mixed_spellings, shape, treat_alike


def rows(items, domain="d", users=None):
    """Interactions of these items, one user each."""
    users = users or [f"u{place}" for place in range(len(items))]
    return ("interactions", pa.table({"user_id": users, "item_id": items, "domain": [domain] * len(items)}))


def goods(items, domain="d"):
    """A table of items."""
    return ("items", pa.table({"item_id": items, "domain": [domain] * len(items)}))


def found(*parts, domains=("d",), personal=()):
    """What is told, without the way's words."""
    return [
        (one["column"], one["way"], one["domain"], one["ids"], one["example"])
        for one in mixed_spellings(parts, KINDS, domains, personal)
    ]


@pytest.mark.parametrize(
    ("way", "one", "other"),
    [
        ("zeros", ["007", "12", "x"], ["7", "012", "x"]),
        ("decimals", ["7", "12", "x"], ["7.0", "12.00", "x"]),
        ("case", ["Ab1", "q", "x"], ["aB1", "Q", "x"]),
        ("blanks", ["A 1", "b2", "x"], ["A1", "b 2", "x"]),
    ],
)
def test_each_way_is_found_across_tables_and_can_be_made_one(way, one, other):
    """Two of three items are spelt otherwise in the other table; treated alike the tables name the same three."""
    parts = [rows(one), goods(other)]
    [(column, told, domain, count, example)] = found(*parts)
    assert (column, told, domain, count) == ("item_id", way, "d", 2)
    assert set(example) in ({one[0], other[0]}, {one[1], other[1]})
    same = treat_alike(parts, KINDS, {"item_id": (way,)})
    assert set(same[0][1]["item_id"].to_pylist()) == set(same[1][1]["item_id"].to_pylist())
    assert found(*same) == []
    assert same[0][1]["user_id"].to_pylist() == ["u0", "u1", "u2"]


def test_ids_that_are_only_unusual_are_not_told():
    """Leading zeros, upper case and blanks everywhere alike; zeros in front of letters; other domains."""
    assert found(rows(["007", "012", "000"]), goods(["007", "012", "000"])) == []
    assert found(rows(["Ab 1"]), goods(["Ab 1"])) == []
    assert found(rows(["00ab", "ab", "1.50", "1.5", None])) == []
    assert found(rows(["007", "1"]), rows(["7", "1"], "other")) == []


def test_domains_are_compared_too():
    """Each alone is of one spelling."""
    parts = (rows(["007", "1"]), rows(["7", "1"], "e"))
    assert found(*parts, domains=("d", "e")) == [("item_id", "zeros", "", 1, ["007", "7"])]


def test_personal_ids_show_their_shape():
    """Letters and digits are hidden; what makes the difference is seen."""
    [(_, _, _, count, example)] = found(rows(["i", "j"], users=["Ann@ex.com", "ann@ex.com"]), personal=("user_id",))
    assert (count, example) == (1, ["Xxx@xx.xxx", "xxx@xx.xxx"])
    told = mixed_spellings([rows(["i", "j"], users=["0071.0", "0071"])], KINDS, ["d"], ["user_id"])
    assert told[0]["example"] == ["0099", "0099.0"]
    assert in_words(told[0]).startswith(
        "user_id: 1 ids in d seem to be spelt in several ways, such as '0099' and '0099.0'"
    )


@given(st.text(max_size=12))
def test_a_shape_tells_no_digit_and_no_letter(text):
    """Only zeros in front, and after a point at the end, stay what they are."""
    found = shape(text)
    assert len(found) == len(text)
    assert {letter for letter in found if letter.isalnum()} <= {"0", "9", "x", "X"} | {
        letter for letter in text if letter.isalnum() and not letter.isdigit() and not letter.isalpha()
    }


def test_several_ways_follow_each_other():
    """Blanks and case go first, so that the zeros behind a point are seen, and then those in front."""
    every = {"item_id": ("zeros", "decimals", "case", "blanks")}
    [(_, table)] = treat_alike([rows(["00 7.0", "7", "0", "000", None])], KINDS, every)
    assert table["item_id"].to_pylist() == ["7", "7", "0", "0", None]
