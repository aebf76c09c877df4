"""How items are called where people read of them."""

from collections.abc import Iterable

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
