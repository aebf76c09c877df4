"""Hashed words of items."""

import unicodedata

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.config import Reading
from pipeline.data.tokens import bag_hashes, item_tokens, stable_hash, text_hashes
from pipeline.rows.reading import read_as

HASHES = [1_760_245_841_805_064_774, 2_984_610_181_246_591_869, 4_423_683_340_902_613_324]


def bucket(word, buckets):
    apart = unicodedata.normalize("NFKD", word)  # Arrow's NFKC leaves the marks of letters apart
    return int(stable_hash(pd.Index([apart]))[0] % buckets)


def test_the_hash_has_the_values_that_published_splits_hang_on():
    """A library that changes the hash would change every split: these values were written down once."""
    assert stable_hash(pd.Index(["", "u1", "naïve 🛒"])).tolist() == HASHES


def test_words_are_those_of_title_then_category_in_lower_case():
    """Letters of any script, digits and underscores make words; what lies between them does not.

    Scripts without blanks are read by letter: a title would be one word else, which no other title has.
    """
    items = pd.DataFrame({"title": ["Oak TABLE-oak, 2nd_hand!", "Größe 東京"], "category": ["Home>Tables", None]})
    words = [["oak", "table", "oak", "2nd_hand", "home", "tables"], ["größe", "東", "京"]]
    expected = [[bucket(word, 64) for word in line] for line in words]
    assert [list(tokens) for tokens in item_tokens(items, 64)] == expected


def test_items_without_words_have_empty_lists():
    """Missing and empty titles are no error, and the type stays int32."""
    tokens = item_tokens(pd.DataFrame({"title": [None, "", "--", "Tea"]}, index=[7, 8, 9, 10]), 16)
    assert [len(line) for line in tokens] == [0, 0, 0, 1]
    assert {line.dtype for line in tokens} == {np.dtype("int32")}
    assert tokens.index.tolist() == [7, 8, 9, 10]


def test_a_brand_is_words_and_a_price_one_token_more():
    """Prices between two half powers of two are one token, which no word is; what is no price has none."""
    prices = [14.99, 15.9, 16.0, None, 0.0, -3.0, np.inf, 0.01]
    items = pd.DataFrame({"brand": ["Acme & Co", *[None] * 7], "price": prices})
    steps = [7, 7, 8, None, None, None, None, -14]
    found = [list(tokens) for tokens in item_tokens(items, 1 << 20)]
    words = [bucket(word, 1 << 20) for word in ("acme", "co")]
    assert found[0] == [*words, bucket("price=7", 1 << 20)]
    assert found[1:] == [[] if step is None else [bucket(f"price={step}", 1 << 20)] for step in steps[1:]]
    assert [list(tokens) for tokens in item_tokens(pd.DataFrame({"title": ["price=7"]}), 1 << 20)] == [
        [bucket("price", 1 << 20), bucket("7", 1 << 20)]
    ]


def test_tables_without_any_word_or_row_work():
    """No word at all, and no item at all, give empty results."""
    assert [len(line) for line in item_tokens(pd.DataFrame({"title": ["!", "?"]}), 16)] == [0, 0]
    assert len(item_tokens(pd.DataFrame({"title": pd.Series([], dtype=str)}), 16)) == 0


def test_bags_are_read_as_names_and_counts():
    """The last colon divides; a name alone counts once, and one that counts nothing is not there."""
    bags = pd.Series(["good:2 bad", None, " 10:30:1.5\tgood:.5e1 x:0 ", "", "bad"], dtype=object)
    hashes, rows, counts = bag_hashes(bags)
    told = [*zip(rows.tolist(), hashes.tolist(), counts.tolist(), strict=True)]
    good, bad, time = stable_hash(pd.Index(["good", "bad", "10:30"])).tolist()
    assert told == [(0, good, 2.0), (0, bad, 1.0), (2, time, 1.5), (2, good, 5.0), (4, bad, 1.0)]
    assert [len(part) for part in bag_hashes(pd.Series([None, ""], dtype=object))] == [0, 0, 0]


@pytest.mark.parametrize("read", [bag_hashes, text_hashes])
def test_words_of_several_tables_are_those_of_one(read):
    """Also where pandas keeps what was put under each other in pieces, as it does with its own texts."""
    one = pd.Series(["a:2 b", None, "b"], dtype="str")
    both = pd.concat([one, pd.Series(["c a", "d"], dtype="str")], ignore_index=True)
    for found, expected in zip(read(both), read(both.astype(object)), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert read(both)[1].max() == 4


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([["good:2", "bad"], None, []], ["good:2 bad", None, None]),
        ([np.array(["a", "b"]), np.array(["c"])], ["a b", "c"]),
        ([["a", None, "b"], ["x"]], ["a  b", "x"]),
        ([[1, 2], [3]], ["1 2", "3"]),
        ([("a", "b"), "c d"], ["a b", "c d"]),
        (pd.Series([["a", "b"], None], dtype=pd.ArrowDtype(pa.list_(pa.string()))), ["a b", None]),
    ],
)
def test_lists_of_a_request_are_bags(values, told):
    """As lists of a table are: their values with a blank between them, in whatever they come."""
    column = values if isinstance(values, pd.Series) else pd.Series(values, dtype=object)
    read = read_as(column, "bag", "words", Reading())
    assert [None if pd.isna(one) else one for one in read] == told
