"""How items are called where people read of them, and all that is said of them."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from pipeline import columns as c

TEXTS = (c.TITLE, c.CATEGORY, c.BRAND)  # columns that describe an item in words


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


def described(catalogue: pd.DataFrame, goods: pd.DataFrame | None) -> pd.DataFrame:
    """A catalogue with the columns of a table of items that describe them, those that say anything of any."""
    told = [] if goods is None else [one for one in (*TEXTS, c.PRICE) if one in goods and goods[one].notna().any()]
    if goods is None or not told:
        return catalogue
    found = goods.drop_duplicates(c.ITEM).set_index(c.ITEM).reindex(catalogue[c.ITEM])
    return catalogue.assign(**{one: found[one].array for one in told})


def is_described(items: pd.DataFrame) -> bool:
    """Whether anything is said of the items of a catalogue."""
    return bool({*TEXTS, c.PRICE} & {*items.columns})


def item_texts(items: pd.DataFrame) -> pd.Series:
    """[I] what is said of each item in words: title, category and brand; empty where there is none of them."""
    said = [items[column].fillna("").astype(str) for column in TEXTS if column in items]
    empty = pd.Series(np.full(len(items), "", dtype=object), index=items.index)
    return sum((one + " " for one in said), empty).str.strip()
