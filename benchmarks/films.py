"""MovieLens 1M as two other benchmarks read it: each user's last film by time is held out."""

from pathlib import Path

import numpy as np
import pandas as pd


def read(path: Path) -> pd.DataFrame:
    """The table: user_id, item_id, timestamp, by user and time; a film of one instant keeps its place."""
    names = {"user_id:token": "user_id", "item_id:token": "item_id", "timestamp:float": "timestamp"}
    rows = pd.read_csv(path, sep="\t").rename(columns=names)[list(names.values())]
    rows = rows.drop_duplicates(["user_id", "item_id"])
    return rows.sort_values(["user_id", "timestamp"], kind="stable").reset_index(drop=True)


def last_ones(rows: pd.DataFrame) -> pd.Series:
    """Which rows [N] are held out: the last of each user."""
    return ~rows.duplicated("user_id", keep="last")


def ndcg(rank: np.ndarray) -> float:
    """NDCG@10 of one right answer each, by its rank."""
    return float(np.where(rank <= 10, 1 / np.log2(rank + 1), 0.0).mean())
