"""Which items may be answered."""

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import DataError
from pipeline.rows.interactions.filters import filters

ITEMS = pd.DataFrame({"item_id": ["a", "b", "c", "d"], "category": ["x", "y", None, "x"]})


def may(items: pd.DataFrame = ITEMS, **columns: list[object]) -> np.ndarray | None:
    frame = pd.DataFrame({name: pd.Series(value, dtype=object) for name, value in columns.items()})
    found = [one.allows(slice(None)) for one in filters(frame, items, {})]
    return np.logical_and.reduce(found) if found else None


def test_a_request_may_get_what_it_names() -> None:
    """Nothing where its list is empty, all where it has none; an item without a category is of none."""
    found = may(candidates=[["a", "c", "gone"], [], None], categories=[["x"], None, ["y", "x"]])
    assert found is not None
    assert found.astype(int).tolist() == [[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 1]]
    every = may(candidates=[None, ["c"]])
    assert every is not None
    assert every.astype(int).tolist() == [[1, 1, 1, 1], [0, 0, 1, 0]]
    assert may(candidates=[None, None]) is None
    assert may(user_id=["u"]) is None


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"categories": [["x"], ["yy"]]}, r"no item is of the category 'yy'\. Did you mean 'y'\?"),
        ({"candidates": [["1.0", "2.0"]]}, r"none of the 2 ids, such as '1.0', is in the catalogue; .* such as 'a'"),
        ({"candidates": ["a"]}, r"candidates: expected a list of item ids"),
    ],
)
def test_what_cannot_be_meant_is_refused(columns: dict[str, list[object]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        may(**columns)


def test_a_catalogue_without_categories_says_so() -> None:
    with pytest.raises(DataError, match="categories: the catalogue of this model tells no category of its items"):
        may(ITEMS[["item_id"]], categories=[["x"]])


def test_many_requests_are_asked_together() -> None:
    """A request of which no candidate is known gets nothing, wherever in a file it stands."""
    named: list[object] = [["b"]] * 300 + [["gone"], None]
    [one] = filters(pd.DataFrame({"candidates": pd.Series(named, dtype=object)}), ITEMS, {})
    assert one.allows(slice(298, 556)).astype(int).tolist() == [[0, 1, 0, 0]] * 2 + [[0] * 4, [1] * 4]
