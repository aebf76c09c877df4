"""Which items may be answered: those that a request names, and those of the categories that it names.

Shapes: n requests, I items of the target.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from pipeline import columns as c
from pipeline.config import Alike
from pipeline.errors import DataError
from pipeline.near import near
from pipeline.rows.asked import lists
from pipeline.views import IntArray, Mask

CANDIDATES, CATEGORIES = "candidates", "categories"
_WHAT = {c.ITEM: "item ids", c.CATEGORY: "categories"}


@dataclass(frozen=True, eq=False)
class Filter:
    """What one column of all requests allows.

    Args:
        named: CSR [n, K + 1] which of K values each request names; none the last, of items of which it is not known.
        free: [n] requests that name no list, and may get any item.
        values: [I] which value each item has, -1 where it is not known.
    """

    named: sparse.csr_matrix
    free: Mask
    values: IntArray

    def allows(self, requests: slice) -> Mask:
        """Which items some requests may be answered with: [b, I]."""
        named = self.named[requests].toarray() | self.free[requests, None]
        return np.asarray(named[:, self.values], dtype=np.bool_)


def filters(frame: pd.DataFrame, items: pd.DataFrame, alike: Mapping[str, tuple[Alike, ...]]) -> list[Filter]:
    """Which items each request may be answered with; no filter: all.

    An empty list allows nothing; where a request has none, that filter is not there. Candidates that are not in the
    catalogue are left out, but that all of them are not, of all requests together, is a mistake.

    Args:
        frame: The requests.
        items: The target's catalogue: item_id and, where it is known, category.
        alike: Which spellings of an id are one, by column.

    Raises:
        DataError: a column holds no lists, or a category that no item has, or no candidate is an item.
    """
    found = []
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
            raise DataError(
                f"{column}: no item is of the category {name!r}.{near(name, map(str, known))} There is {known[0]!r}; "
                "in a text that lists some, one with commas stands in quotes."
            )
        if len(names) and (places < 0).all():
            raise DataError(
                f"{column}: none of the {len(names):,} ids, such as {names[0]!r}, is in the catalogue; expected them "
                f"as they stand in the tables, such as {known[0]!r}."
            )
        there, shape = places >= 0, (len(frame), len(known) + 1)
        named = sparse.csr_matrix((there[there], (rows[there], places[there])), shape=shape)
        values = known.get_indexer(pd.Index(items[own])).astype(np.int64)
        found.append(Filter(named, frame[column].isna().to_numpy(), values))
    return found
