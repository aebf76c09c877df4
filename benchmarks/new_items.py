"""Lanes of the newest runs of some scenarios on the same test rows, all of them and those of items without a row.

    python benchmarks/new_items.py no_common_users no_common_users_words --than target_only --home FOLDER

Printed are NDCG@10 in %, the mean over users, and how much better the lane `--than` of the first scenario is: paired,
95 % intervals over users. The scenarios must have the same rows: a second may name another model. Nothing is fitted.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from quality import folder_of, table

from pipeline.labels.ranking_metrics import user_metrics
from pipeline.views import FloatArray

DRAWS = 2000


def predicted(home: Path, scenario: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the lanes of the newest run said of the test rows, and the target's items."""
    results = max(home.glob(f"runs/{scenario}__*/results"))
    ranks = pd.read_parquet(folder_of(home, results / "verdict..json") / "predictions.parquet")
    target = json.loads((results.parent / "plan.json").read_text(encoding="utf-8"))["scenario"]["target"]
    return ranks.astype({"lane": str}), pd.read_parquet(
        folder_of(home, results / f"prepare.{target}.json") / "items.parquet"
    )


def told(values: FloatArray, draws: FloatArray, sign: str = "") -> str:
    """A mean in per cent with its interval."""
    low, high = np.quantile(draws @ values / len(values), [0.025, 0.975])
    return f"{100 * values.mean():{sign}.2f} [{100 * low:{sign}.2f}, {100 * high:{sign}.2f}]"


def main() -> None:
    """Print one table for all rows, and one for those of new items."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="+")
    parser.add_argument("--than", default="target_only")
    parser.add_argument("--home", type=Path, default=Path(".crosslift"))
    given = parser.parse_args()
    lanes: dict[str, pd.DataFrame] = {}
    for place, scenario in enumerate(given.scenarios):
        ranks, items = predicted(given.home, scenario)
        for name, rows in ranks.groupby("lane"):
            own = rows.sort_values("row")
            own = own.assign(new=items["train_count"].to_numpy()[own["item"]] == 0)
            lanes.setdefault(str(name) if not place else f"{name}, {scenario}", own.reset_index(drop=True))
    for title, only_new in (("all test rows", False), ("items without a row", True)):
        chosen = {name: rows[rows["new"] | (not only_new)] for name, rows in lanes.items()}
        each = {
            name: user_metrics(rows.rename(columns={"unit": "user"}), rows["predicted"].to_numpy(), (10,))["ndcg@10"]
            for name, rows in chosen.items()
        }
        users = len(each[given.than])
        draws = np.random.default_rng(0).multinomial(users, np.full(users, 1 / users), DRAWS)
        base = each[given.than].to_numpy()
        print(f"\n{title}: {len(chosen[given.than])} rows, {users} users\n")
        table(
            ["lane", "NDCG@10", f"{given.than} minus it"],
            [
                [name, told(one.to_numpy(), draws), told(base - one.to_numpy(), draws, "+")]
                for name, one in each.items()
            ],
        )


if __name__ == "__main__":
    main()
