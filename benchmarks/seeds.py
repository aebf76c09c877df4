"""Run a scenario with several seeds and print what each lane reaches on average, as a Markdown table.

    CROSSLIFT_DATA=... python benchmarks/seeds.py cross_category_phones --share 0.3 --seeds 0 1 2 3 4 --home FOLDER

Each user's metric is averaged over the seeds first, then users are drawn with replacement: the interval is about other
users, and the column `by seed` about other seeds. Test rows without marks. The home is kept, so that a second call
computes nothing again.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from quality import folder_of, interval, run, table

from pipeline.evaluation.bootstrap import estimate
from pipeline.evaluation.statistics import resample
from pipeline.folders import run_folder
from pipeline.labels.ranking_metrics import user_metrics
from pipeline.labels.statistic import Means

RESAMPLES = 2000


def metrics_of(given: argparse.Namespace, seed: int) -> tuple[dict[str, Any], pd.DataFrame]:
    """Run one seed; its comparison, and the gated metric of each user without marked rows, a column for each lane."""
    home, wanted = given.home.resolve(), (given.scenario, given.share, seed)
    report = run(*wanted, home, given.strategies)
    comparison, results = report["comparison"], home / "runs" / run_folder(report["run"]) / "results"
    ranked = pd.read_parquet(folder_of(home, results / "verdict..json") / "predictions.parquet")
    marks = pd.read_parquet(folder_of(home, results / "audit..json") / "marks.parquet")
    marked = marks.loc[marks["domain"] == comparison["target"], "row"]
    lanes = {str(name): part.reset_index(drop=True) for name, part in ranked.groupby("lane", observed=True)}
    rows = next(iter(lanes.values()))[["row", "unit", "item"]].rename(columns={"unit": "user"})
    clean = ~rows["row"].isin(marked).to_numpy()
    users = {name: user_metrics(rows[clean], one["predicted"].to_numpy()[clean], (10,)) for name, one in lanes.items()}
    return comparison, pd.DataFrame({name: part[comparison["metric"]] for name, part in users.items()})


def main() -> None:
    """Run what the command line names and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario")
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--strategies", default="", help="as `crosslift run` takes them")
    parser.add_argument("--home", type=Path, default=Path(".crosslift"), help="where the runs are kept")
    given = parser.parse_args()
    found = [metrics_of(given, seed) for seed in given.seeds]
    comparison, level = found[0][0], found[0][0]["level"]
    names = [str(name) for name in found[0][1] if all(name in users for _, users in found)]
    values = np.mean([users[names].to_numpy() for _, users in found], axis=0)
    means = resample({"": Means(values)}, RESAMPLES, 0)[""].drawn
    places = {name: place for place, name in enumerate(names)}
    counterparts = {lane["name"]: lane["counterpart"] for lane in comparison["lanes"]}
    rows = []
    for name in sorted(names, key=lambda name: -values[:, places[name]].mean()):
        here, own = places[name], counterparts[name]
        cells = [name, interval(estimate(values[:, here].mean(), means[:, here], level).model_dump())]
        if own in places:
            there = places[own]
            gain = estimate((values[:, here] - values[:, there]).mean(), means[:, here] - means[:, there], level)
            seeds = [100 * (users[name] - users[own]).mean() for _, users in found]
            cells += [interval(gain.model_dump(), "+"), own, ", ".join(f"{value:+.2f}" for value in seeds)]
        rows.append([*cells, *[""] * (5 - len(cells))])
    share = f"{given.share:.0%} of the target's rows, {len(given.seeds)} seeds"
    print(f"{given.scenario}, {share}: {comparison['metric']} in %, {len(values)} users\n")
    table(["lane", "without marks", "gain by the source", "against", "by seed"], rows)


if __name__ == "__main__":
    main()
