"""What several rows of one user and item mean, before a split looks at them."""

import pandas as pd

from pipeline import columns as c
from pipeline.config import Duplicates
from pipeline.data.splits import first_of_pairs, order_column
from pipeline.errors import DataError


def settle_pairs(rows: pd.DataFrame, how: Duplicates, domain: str, within: tuple[str, ...] = ()) -> pd.DataFrame:
    """The rows with one row for each user and item; all of them where `how` is first, because each split takes that.

    Args:
        rows: Interactions of a domain.
        how: `last`: the latest row stays. `sum`: the first row stays, and the others are added to it once a split has
            said what may be known (`pipeline.rows.interactions.weights.together`). `refuse`: there must be none.
        domain: Its name, for the message.
        within: Further columns that tell rows apart, such as the part of a split that the data ships.

    Raises:
        DataError: there are several and `refuse` is said, or nothing says which is the last.
    """
    keys = [c.USER, c.ITEM, *within]
    repeated = int(rows.duplicated(keys).sum())
    if how == "first" or not repeated:
        return rows
    if how == "refuse":
        pairs = int((rows.groupby(keys, dropna=False, observed=True).size() > 1).sum())
        raise DataError(
            f"{domain}: interactions: {pairs:,} pairs of user and item have several rows, {repeated:,} more than one "
            "each, and `duplicates: refuse` asks for one. Deliver one row of each, or say which counts: "
            "`duplicates: first`, `last` or `sum`."
        )
    if how == "last":
        order = order_column(rows)
        if order is None:
            raise DataError(
                f"{domain}: interactions: `duplicates: last` needs the column {c.TIMESTAMP} or {c.POSITION}, but there "
                f"are {', '.join(rows.columns)}; name it under `columns`, or take `duplicates: first`."
            )
        return rows.sort_values([*keys, order], kind="stable", na_position="first").drop_duplicates(keys, keep="last")
    parts = [part for _, part in rows.groupby(list(within), dropna=False)] if within else [rows]
    return pd.concat([first_of_pairs(part) for part in parts])
