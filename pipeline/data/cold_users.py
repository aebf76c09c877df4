"""The split that divides users: those who choose and those who test have no training row in the target."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from pipeline import columns as c
from pipeline.config import ColdUsersSplit
from pipeline.data.splits import PART, TEST, TRAIN, VALID, Parted, first_of_pairs
from pipeline.data.tokens import mixed, stable_hash
from pipeline.errors import DataError


def cold_users(rows: pd.DataFrame, split: ColdUsersSplit, known: Collection[str], domain: str) -> Parted:
    """Divide the users whom a source knows by a hash of their id; all rows of a user have one part.

    Args:
        rows: Interactions of the target; of a repeated user and item the first row stays.
        split: Shares of these users that choose and that test.
        known: Users who have a row in a source; without any of these nothing could be said of a cold user.
        domain: The target's name, for the message.

    Raises:
        DataError: no user of the target is known in a source.
    """
    first = first_of_pairs(rows)
    codes, ids = pd.factorize(first[c.USER])
    shared = pd.Index(ids).isin(list(known))
    if not shared.any():
        raise DataError(
            f"{domain}: interactions: the split 'cold_users' divides the users whom a source knows, but none of the "
            f"{len(ids)} users of {domain} has a row in one; look whether the domains write user ids alike, or choose "
            "another split."
        )
    place = mixed(stable_hash(pd.Index(ids)) ^ stable_hash(pd.Index(["cold"]))[0]) / 2.0**64
    part = np.where(place < split.test, TEST, np.where(place < split.test + split.valid, VALID, TRAIN))
    parts = np.where(shared, part, TRAIN)[codes]
    return Parted(first.assign(**{PART: parts}), {"repeated": len(rows) - len(first)})
