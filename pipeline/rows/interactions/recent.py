"""What users took last, in all domains, for people to look at."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline import columns as c
from pipeline.data.item_names import item_names
from pipeline.data.splits import PART, TEST
from pipeline.views import IntArray

if TYPE_CHECKING:
    from pipeline.rows.interactions.prepared import DomainData, Domains


def recent_items(domains: "Domains", users: IntArray, most: int) -> list[tuple[str, ...]]:
    """Name the last items of each user, the newest first; an item of a source names its domain.

    Args:
        domains: Whose rows; those of the test are left out, and those that thinning took away.
        users: [N] places in the union of users.
        most: How many items a user.
    """
    found = [_rows(domains, domain, users) for domain in (domains.target, *domains.sources)]
    every = pd.concat(found, ignore_index=True)
    every = every.sort_values("when", ascending=False, kind="stable", na_position="last")
    last = {user: rows.head(most) for user, rows in every.groupby("user")}
    return [_told(domains, last[user]) if user in last else () for user in users]


def _rows(domains: "Domains", domain: "DomainData", users: IntArray) -> pd.DataFrame:
    """The rows of these users in one domain, the newest first: user, domain, item and, where there is one, the time."""
    rows = domain.rows
    owners = domains.user_index(domain)[rows["user"].to_numpy()]
    chosen = np.isin(owners, users) & (rows[PART] != TEST).to_numpy() & rows["kept"].to_numpy()
    mine = rows[chosen].assign(user=owners[chosen], domain=domain.name)
    if c.POSITION in mine:
        mine = mine.sort_values(c.POSITION, ascending=False, kind="stable")
    when = mine[c.TIMESTAMP].array if c.TIMESTAMP in mine else pd.NaT
    return pd.DataFrame({"user": mine["user"], "domain": mine["domain"], "item": mine["item"], "when": when})


def _told(domains: "Domains", rows: pd.DataFrame) -> tuple[str, ...]:
    catalogues = {domain.name: domain.items for domain in domains.all}
    told = []
    for domain, item in zip(rows["domain"], rows["item"], strict=True):
        [name] = item_names(catalogues[domain], [item])
        told.append(name if domain == domains.name else f"{name} ({domain})")
    return tuple(told)
