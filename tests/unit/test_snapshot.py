"""The bytes of a snapshot depend on its content alone."""

import random

import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.data import snapshot
from pipeline.data.tables import KINDS
from pipeline.errors import DataError

NAN = float("nan")


def interactions(*rows, **more):
    """A canonical table of (user, item, domain)."""
    names = ("user_id", "item_id", "domain")
    return pa.table({**dict(zip(names, zip(*rows, strict=True), strict=True)), **more})


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_never_shows(seed):
    """Ties, missing values, both zeros and NaN included."""
    choice = random.Random(seed)
    values = [0.0, NAN, None, 1.0, float("inf")]
    rows = [(choice.choice("ab"), choice.choice("ab"), "d", choice.choice(values)) for _ in range(50)]
    shuffled = choice.sample(rows, len(rows))
    names = ["user_id", "item_id", "domain", "value"]
    first, second = (pa.table(dict(zip(names, zip(*some, strict=True), strict=True))) for some in (rows, shuffled))
    assert snapshot.content_hash(first) == snapshot.content_hash(second)
    assert snapshot.content_hash(first) != snapshot.content_hash(first.slice(1))


def test_inputs_stand_under_each_other(tmp_path):
    """A column that only one input has is left out of a domain where it has no value."""
    books = interactions(("a", "1", "books"), value=[1.0])
    films = interactions(("a", "2", "films"), ("b", "1", "films"))
    tables = snapshot.assemble([("interactions", books), ("interactions", films)], KINDS, ["books", "films"], None)
    facts = snapshot.write_domain(tables, KINDS, "films", tmp_path)
    assert (facts.rows, facts.counted) == (2, {"users": 2, "items": 2})
    assert parquet.read_table(tmp_path / "interactions.parquet").to_pydict() == films.to_pydict()
    snapshot.write_domain(tables, KINDS, "books", tmp_path)
    assert parquet.read_table(tmp_path / "interactions.parquet").to_pydict() == books.to_pydict()


def test_the_order_of_inputs_never_shows(tmp_path):
    """Files that do not have the same columns are read in the order of their names, which decides nothing."""
    rated = interactions(("b", "1", "d"), ("a", "1", "d"), value=[2.0, 1.0])
    seen = interactions(("a", "1", "d"), event=["view"])
    written = []
    for place, parts in enumerate(([rated, seen], [seen, rated])):
        tables = snapshot.assemble([("interactions", part) for part in parts], KINDS, ["d"], None)
        (tmp_path / str(place)).mkdir()
        snapshot.write_domain(tables, KINDS, "d", tmp_path / str(place))
        written.append((tmp_path / str(place) / "interactions.parquet").read_bytes())
    assert written[0] == written[1]
    assert parquet.read_schema(tmp_path / "0" / "interactions.parquet").names[3:] == ["event", "value"]


def test_each_table_must_have_each_domain():
    """A misspelt domain in the items would cost the features without a word."""
    rows = interactions(("a", "1", "books"))
    items = pa.table({"item_id": ["1"], "domain": ["Books"]})
    with pytest.raises(DataError, match=r"tables\.items: no row has the domain 'books' of .* have: 'Books'\. Correct"):
        snapshot.assemble([("interactions", rows), ("items", items)], KINDS, ["books"], None)


def test_rows_of_other_domains_are_counted():
    """Also those without a domain."""
    rows = interactions(("a", "1", "books"), ("a", "2", "games"), ("a", "3", None))
    assert snapshot.count_ignored({"interactions": rows}, ["books", "films"]) == {
        "interactions": {"(none)": 1, "games": 1}
    }


def test_rows_of_which_a_value_could_not_be_read_lie_apart(tmp_path):
    """They count nowhere else, and where they stood in the file does not make other content of them."""
    marks = {"unread": ["user_id", None], "unread_file": ["a.csv", None], "unread_row": [7, None]}
    marks |= {"unread_column": ["who", None], "unread_value": ["'?'", None], "unread_expected": ["an id", None]}
    table = interactions((None, "1", "d"), ("a", "2", "d"), **marks)
    tables = snapshot.assemble(
        [("interactions", table), ("interactions", interactions(("b", "2", "d")))], KINDS, "d", None
    )
    facts = snapshot.write_domain(tables, KINDS, "d", tmp_path)
    assert (facts.rows, facts.counted, facts.unreadable) == (2, {"users": 2, "items": 1}, {"interactions": 1})
    kept = parquet.read_table(tmp_path / "interactions.parquet")
    assert kept.to_pydict() == {"user_id": ["a", "b"], "item_id": ["2", "2"], "domain": ["d", "d"]}
    [row] = parquet.read_table(tmp_path / snapshot.UNREADABLE).to_pylist()
    assert row == {
        "user_id": None, "item_id": "1", "domain": "d", "unread": "user_id", "unread_file": "a.csv", "unread_row": 7,
        "unread_column": "who", "unread_value": "'?'", "unread_expected": "an id", "table": "interactions",
    }  # fmt: skip
    moved = table.set_column(5, "unread_row", pa.array([9, None]))
    assert snapshot.content_hash(moved) == snapshot.content_hash(table)
