"""How items are called where people read of them, and all that is said of them."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from pipeline import columns as c


def item_names(items: pd.DataFrame, places: Iterable[int]) -> list[str]:
    """The title of each item where it has one, else its id.

    Args:
        items: A catalogue: item_id and, where titles exist, title.
        places: Places in the catalogue.
    """
    chosen = items.iloc[list(places)]
    ids = [str(one) for one in chosen[c.ITEM]]
    titles = chosen[c.TITLE] if c.TITLE in chosen else [None] * len(chosen)
    return [
        one if pd.isna(title) or not str(title).strip() else str(title) for one, title in zip(ids, titles, strict=True)
    ]


def item_texts(items: pd.DataFrame) -> pd.Series:
    """[I] what is said of each item: its title, and its category behind it; empty where there is neither."""
    said = [items[column].fillna("").astype(str) for column in (c.TITLE, c.CATEGORY) if column in items]
    empty = pd.Series(np.full(len(items), "", dtype=object), index=items.index)
    return sum((one + " " for one in said), empty).str.strip()
