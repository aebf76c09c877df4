"""The audit on the real pairs, beside counts made in another way from the raw tables."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.rows.interactions.leaks import audit_report
from pipeline.rows.interactions.prepared import DomainData, Domains

DATA = os.environ.get("CROSSLIFT_DATA", "")
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA, reason="CROSSLIFT_DATA is not set: it names the folder with the real tables"),
]


def read(pair: str) -> pd.DataFrame:
    """Training and test rows of a pair."""
    frame = pd.read_parquet(Path(DATA) / f"amazon_{pair}" / "interactions.parquet")
    frame = frame[frame["split"].isin(["train", "test"])]
    return frame.astype({"user_id": "str", "item_id": "str", "domain": "str", "split": "str"})


def domain(frame: pd.DataFrame, name: str) -> DomainData:
    """One domain of a pair, without validation rows: they are training rows to the audit."""
    rows = frame[frame["domain"] == name]
    user, users = pd.factorize(rows["user_id"], sort=True)
    item, items = pd.factorize(rows["item_id"], sort=True)
    dense = pd.DataFrame({"user": user, "item": item, "kept": True})
    dense["part"] = np.where(rows["split"] == "test", 2, 0).astype("int8")
    return DomainData(name, pd.DataFrame({"user_id": users}), pd.DataFrame({"item_id": items}), dense)


def identical_sets(frame: pd.DataFrame, target: str, source: str) -> int:
    """Test rows on items that have exactly the users of an item of the other domain, and whose user trained on it."""
    rows = frame.drop_duplicates(["domain", "item_id", "user_id"])
    rows = rows.assign(sum=pd.util.hash_array(rows["user_id"].to_numpy(dtype=object)))  # equal sets, equal sums
    sets = rows.groupby(["domain", "item_id"])["sum"].agg(["sum", "size"])
    sets = sets[sets["size"] >= 3].reset_index()
    mine, other = (sets[sets["domain"] == name].drop(columns="domain") for name in (target, source))
    twins = mine.merge(other, on=["sum", "size"], suffixes=("", "_twin"))
    test = frame[(frame["domain"] == target) & (frame["split"] == "test")]
    train = frame[(frame["domain"] == source) & (frame["split"] == "train")][["user_id", "item_id"]]
    met = test.merge(twins[["item_id", "item_id_twin"]], on="item_id").merge(
        train.rename(columns={"item_id": "item_id_twin"}), on=["user_id", "item_id_twin"]
    )
    return len(met[["user_id", "item_id"]].drop_duplicates())


@pytest.mark.parametrize(
    ("pair", "target", "marked", "test_rows", "low", "high"),
    [
        ("electronics_phones", "phones", 280, 2559, 0.105, 0.115),
        ("electronics_phones", "electronics", 141, 2560, 0.05, 0.06),
        ("electronics_clothing", "clothing", 28, 12526, 0.001, 0.003),
        ("electronics_clothing", "electronics", 16, 13824, 0.001, 0.003),
    ],
)
def test_twins_of_the_real_pairs(pair, target, marked, test_rows, low, high):
    """The shares are those that were published with the data, and most marks are sets that are identical."""
    frame = read(pair)
    first, second = pair.split("_")
    source = second if target == first else first

    report = audit_report(Domains((domain(frame, source),), domain(frame, target)))["domains"][target]

    assert (report["marked"], report["test_rows"]) == (marked, test_rows)
    assert low <= marked / test_rows <= high
    assert 0.9 * marked <= identical_sets(frame, target, source) <= marked
    assert report["kinds"]["repeated"] == report["kinds"]["unseen"] == 0
