"""Ranking metrics of each user, from the ranks of the items that the user took."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

METRICS = ("ndcg", "recall", "hit_rate", "mrr")


def metric_names(cutoffs: Sequence[int]) -> tuple[str, ...]:
    """Name all metrics at all cutoffs, such as `ndcg@10`."""
    return tuple(f"{kind}@{cutoff}" for cutoff in cutoffs for kind in METRICS)


def user_metrics(rows: pd.DataFrame, ranks: NDArray[np.float64], cutoffs: Sequence[int]) -> pd.DataFrame:
    """NDCG, recall, hit rate and MRR of each user at each cutoff k.

    With n relevant items of the user at ranks r: ndcg = sum over r <= k of 1 / log2(1 + r), divided by the same sum
    over the ranks 1 to min(k, n); recall = share of the n with r <= k; hit rate = 1 if any; mrr = 1 / min r, or 0 if
    that is beyond k. A pair that stands in `rows` twice counts once. Ranks with a half come from ties.

    Args:
        rows: Columns `user` and `item`.
        ranks: [N] the rank of each row's item.
        cutoffs: The values of k.

    Returns:
        One line for each user, indexed by `user` and sorted; columns `ndcg@10`, `recall@10`, ...; all in [0, 1].
    """
    table = pd.DataFrame({"user": rows["user"].to_numpy(), "item": rows["item"].to_numpy(), "rank": ranks})
    table = table.drop_duplicates(["user", "item"])
    users, place = np.unique(table["user"].to_numpy(), return_inverse=True)
    rank = table["rank"].to_numpy()
    relevant = np.bincount(place, minlength=len(users))
    best = np.full(len(users), np.inf)
    np.minimum.at(best, place, rank)
    values: dict[str, NDArray[np.float64]] = {}
    for k in cutoffs:
        hit = rank <= k
        gain = np.bincount(place, weights=np.where(hit, 1 / np.log2(1 + rank), 0.0), minlength=len(users))
        ideal = np.cumsum(1 / np.log2(1 + np.arange(1, k + 1)))[np.minimum(relevant, k) - 1]
        values[f"ndcg@{k}"] = np.minimum(gain / ideal, 1.0)  # many relevant items in one tie could exceed the ideal
        values[f"recall@{k}"] = np.bincount(place, weights=hit, minlength=len(users)) / relevant
        values[f"hit_rate@{k}"] = (best <= k).astype(np.float64)
        values[f"mrr@{k}"] = np.where(best <= k, 1 / best, 0.0)
    return pd.DataFrame(values, index=pd.Index(users, name="user"))
