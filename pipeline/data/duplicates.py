"""What several rows of one user and item mean, before a split looks at them."""

import logging

import pandas as pd

from pipeline import columns as c
from pipeline.config import Duplicates
from pipeline.data.splits import first_of_pairs, order_column
from pipeline.errors import DataError

log = logging.getLogger(__name__)


def settle_pairs(rows: pd.DataFrame, how: Duplicates, domain: str, within: tuple[str, ...] = ()) -> pd.DataFrame:
    """The rows with one row for each user and item; all of them where `how` is first, because each split takes that.

    Args:
        rows: Interactions of a domain.
        how: `last`: the latest row stays. `sum`: the first row stays, with the sum of the values; a missing value adds
            nothing. `refuse`: there must be none.
        domain: Its name, for the message.
        within: Further columns that tell rows apart, such as the part of a split that the data ships.

    Raises:
        DataError: there are several and `refuse` is said, or the column is missing that says which is the last, or
            what is summed.
    """
    keys = [c.USER, c.ITEM, *within]
    repeated = int(rows.duplicated(keys).sum())
    if how == "first" or not repeated:
        return rows
    if how == "refuse":
        pairs = int((rows.groupby(keys, dropna=False).size() > 1).sum())
        raise DataError(
            f"{domain}: interactions: {pairs:,} pairs of user and item have several rows, {repeated:,} more than one "
            "each, and `duplicates: refuse` asks for one. Deliver one row of each, or say which counts: "
            "`duplicates: first`, `last` or `sum`."
        )
    if how == "last":
        order = _column(rows, order_column(rows), how, domain, f"{c.TIMESTAMP} or {c.POSITION}")
        return rows.sort_values([*keys, order], kind="stable", na_position="first").drop_duplicates(keys, keep="last")
    value = _column(rows, c.VALUE if c.VALUE in rows else None, how, domain, c.VALUE)
    log.warning(
        "%s: the values of %s rows of one user and item were added up; each pair counts as one positive sign all the "
        "same, because nothing weighs rows yet", domain, f"{repeated:,}",
    )  # fmt: skip
    sums = rows.groupby(keys, dropna=False)[value].sum(min_count=1).rename("_sum").reset_index()
    first = first_of_pairs(rows) if not within else pd.concat(
        [first_of_pairs(part) for _, part in rows.groupby(list(within), dropna=False)]
    )  # fmt: skip
    summed = first.merge(sums, on=keys, how="left", validate="one_to_one")
    return summed.assign(**{value: summed["_sum"]}).drop(columns="_sum")


def _column(rows: pd.DataFrame, found: str | None, how: str, domain: str, needed: str) -> str:
    if found is None:
        raise DataError(
            f"{domain}: interactions: `duplicates: {how}` needs the column {needed}, but there are "
            f"{', '.join(rows.columns)}; name it under `columns`, or take `duplicates: first`."
        )
    return found
