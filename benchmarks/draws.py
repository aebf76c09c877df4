"""Run a task on examples with several draws of the target's rows, and print what each lane reaches, as a table.

    CROSSLIFT_DATA=... python benchmarks/draws.py purchase_intent --shares 1 0.1 --draws 0 2 3 4 5 --home FOLDER

Draws and units are drawn with replacement together: each resample takes some of the draws and the same units in each.
Test rows without marks. A draw that leaves one class for validation is refused: name others. The home is kept, so that
a second call computes nothing again.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from quality import execute, folder_of, table

from pipeline.folders import run_folder
from pipeline.labels.classes import auprc

RESAMPLES = 2000


def scores_of(scenario: str, share: float, draw: int, home: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """Run one draw; its summary, and unit, label and the probability of the positive class by lane, unmarked rows."""
    told = execute([scenario, "--target-share", str(share), "--share-draw", str(draw)], home)
    results = home / "runs" / run_folder(told["run"]) / "results"
    predicted = pd.read_parquet(folder_of(home, results / "verdict..json") / "predictions.parquet")
    marks = pd.read_parquet(folder_of(home, results / "audit..json") / "marks.parquet")
    marked = marks.loc[marks["domain"] == told["comparison"]["target"], "row"]
    predicted = predicted[~predicted["row"].isin(marked)]
    lanes = {str(name): part.reset_index(drop=True) for name, part in predicted.groupby("lane", observed=True)}
    first = next(iter(lanes.values()))
    label = next(name for name in first if name not in {"row", "unit", "lane", "predicted"})
    scores = {name: np.stack(part["predicted"].to_numpy())[:, 1] for name, part in lanes.items()}
    return told, pd.DataFrame({"unit": first["unit"], "label": first[label], **scores})


def drawn(found: list[pd.DataFrame], lanes: list[str]) -> dict[str, np.ndarray]:
    """AUPRC of each lane, mean over draws: the metric itself first, then of each resample of draws and units."""
    random = np.random.default_rng(0)
    units, place = np.unique(found[0]["unit"], return_inverse=True)
    counts_Rn = random.multinomial(len(units), np.full(len(units), 1 / len(units)), size=RESAMPLES)
    counts_RN = np.concatenate([np.ones((1, len(place))), counts_Rn[:, place]])
    weights_RD = random.multinomial(len(found), np.full(len(found), 1 / len(found)), size=RESAMPLES) / len(found)
    weights_RD = np.concatenate([np.full((1, len(found)), 1 / len(found)), weights_RD])
    values = {}
    for lane in lanes:
        each = [auprc(counts_RN, one["label"].to_numpy() == 1, one[lane].to_numpy()) for one in found]
        values[lane] = (np.stack(each, axis=1) * weights_RD).sum(axis=1)
    return values


def interval(values: np.ndarray, sign: str = "") -> str:
    """Write the metric with the 95 % interval of its resamples."""
    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    return f"{values[0]:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def main() -> None:
    """Run what the command line names and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario")
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0, 0.1])
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--home", type=Path, default=Path(".crosslift"), help="where the runs are kept")
    given = parser.parse_args()
    home, rows = given.home.expanduser().resolve(), []
    for share in given.shares:
        draws = given.draws if share < 1 else given.draws[:1]  # all rows are all rows
        both = [scores_of(given.scenario, share, draw, home) for draw in draws]
        found = [one for _, one in both]
        lanes = [name for name in found[0] if name not in {"unit", "label"} and all(name in one for one in found)]
        values = drawn(found, lanes)
        learnt = {lane["name"]: lane["domains"] for lane in both[0][0]["comparison"]["lanes"]}
        alone = [name for name in lanes if learnt[name] == [both[0][0]["comparison"]["target"]]]
        best = max(alone, key=lambda name: values[name][0])
        for name in sorted(lanes, key=lambda name: -values[name][0]):
            gain = interval(values[name] - values["target_only"], "+") if name != "target_only" else ""
            beside = interval(values[name] - values[best], "+") if name not in alone else ""
            rows.append([f"{share:.0%}", name, interval(values[name]), gain, beside])
    print(f"{given.scenario}: AUPRC, draws {', '.join(map(str, given.draws))}, test rows without marks\n")
    table(["share", "lane", "AUPRC", "against target_only", "against the best on the target alone"], rows)


if __name__ == "__main__":
    main()
