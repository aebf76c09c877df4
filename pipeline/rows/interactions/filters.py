"""Which items may be answered: those that a request names, and those of the categories that it names.

Shapes: n requests, I items of the target.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import columns as c
from pipeline.config import Alike
from pipeline.errors import DataError
from pipeline.near import near
from pipeline.rows.asked import lists

CANDIDATES, CATEGORIES = "candidates", "categories"
_WHAT = {c.ITEM: "item ids", c.CATEGORY: "categories"}


def allowed(
    frame: pd.DataFrame, items: pd.DataFrame, alike: Mapping[str, tuple[Alike, ...]]
) -> NDArray[np.bool_] | None:
    """Which items each request may be answered with: [n, I]; None: all.

    An empty list allows nothing; where a request has none, that filter is not there. Candidates that are not in the
    catalogue are left out, but that all of them are not is a mistake.

    Args:
        frame: The requests.
        items: The target's catalogue: item_id and, where it is known, category.
        alike: Which spellings of an id are one, by column.

    Raises:
        DataError: a column holds no lists, or a category that no item has, or no candidate is an item.
    """
    result = None
    for column, own in ((CANDIDATES, c.ITEM), (CATEGORIES, c.CATEGORY)):
        if column not in frame or frame[column].isna().all():
            continue
        if own not in items:
            raise DataError(f"{column}: the catalogue of this model tells no {own} of its items; leave it out.")
        rows, names = lists(frame[column], column, alike.get(own, ()), _WHAT[own])
        known = pd.Index(items[own].dropna().unique())
        places = known.get_indexer(names)
        if column == CATEGORIES and (places < 0).any():
            name = str(names[int(np.argmin(places))])
            raise DataError(f"{column}: no item is of the category {name!r}.{near(name, map(str, known))}")
        if len(names) and (places < 0).all():
            raise DataError(
                f"{column}: none of the {len(names):,} ids, such as {names[0]!r}, is in the catalogue; expected them "
                f"as they stand in the tables, such as {known[0]!r}."
            )
        named = np.zeros((len(frame), len(known) + 1), dtype=bool)  # the last: an item of which it is not known
        named[rows[places >= 0], places[places >= 0]] = True
        named[frame[column].isna().to_numpy()] = True
        may = named[:, known.get_indexer(pd.Index(items[own]))]
        result = may if result is None else result & may
    return result
