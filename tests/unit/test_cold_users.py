"""Cold users: divided by their id, so that no row of who chooses or tests is trained on."""

import numpy as np
import pandas as pd
import pytest

from pipeline.config import ColdUsersSplit
from pipeline.data.cold_users import cold_users
from pipeline.errors import DataError

SPLIT = ColdUsersSplit(kind="cold_users", valid=0.2, test=0.3)


def rows(users: int, each: int = 3) -> pd.DataFrame:
    """So many users with some items each."""
    names = [f"u{number}" for number in range(users) for _ in range(each)]
    return pd.DataFrame({"user_id": names, "item_id": [f"i{place % 50}" for place in range(len(names))]})


def test_every_user_has_one_part_and_strangers_train() -> None:
    """The shares are of the users whom a source knows; who is in the target alone trains."""
    table = rows(2000)
    known = {f"u{number}" for number in range(1500)}
    parted = cold_users(table, SPLIT, known, "shop").rows
    parts = parted.groupby("user_id")["part"].agg(["nunique", "first"])
    assert (parts["nunique"] == 1).all()
    assert set(parts.loc[~parts.index.isin(known), "first"]) == {0}
    shares = parts.loc[parts.index.isin(known), "first"].value_counts(normalize=True)
    np.testing.assert_allclose([shares[0], shares[1], shares[2]], [0.5, 0.2, 0.3], atol=0.04)


def test_neither_order_nor_other_users_move_a_user() -> None:
    """The part hangs on the user's id alone."""
    table = rows(300)
    known = set(table["user_id"])
    parts = cold_users(table, SPLIT, known, "shop").rows.groupby("user_id")["part"].first()
    fewer = table[table["user_id"].isin(sorted(known)[:100])].sample(frac=1, random_state=1)
    again = cold_users(fewer, SPLIT, known, "shop").rows.groupby("user_id")["part"].first()
    assert (parts.reindex(again.index) == again).all()


def test_repeats_are_counted_and_strangers_alone_are_refused() -> None:
    """Of equal pairs one stays; without a common user the split has nobody to divide."""
    table = rows(30)
    assert cold_users(pd.concat([table, table.head(7)]), SPLIT, {"u1"}, "shop").dropped == {"repeated": 7}
    with pytest.raises(DataError, match="none of the 30 users of shop has a row in one; look whether the domains"):
        cold_users(table, SPLIT, {"other"}, "shop")
