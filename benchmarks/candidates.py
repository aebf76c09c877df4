r"""Rank candidate lists that somebody else drew, with every lane of a run, as a Markdown table.

    CROSSLIFT_DATA=... python benchmarks/candidates.py cross_platform xmrec_wsdmcup22/t1_valid_candidates.parquet \
        --home FOLDER

The table below `CROSSLIFT_DATA` has the columns `user_id` and `candidate_item_ids`. Each test row's item is ranked
among its user's candidates, equal scores at half; an item without a training row in the target is found by no lane.
Means of NDCG@10 and of the share of users with the item among the first ten, in per cent, with 95 % intervals by
bootstrap over users; differences to target-only are paired. Nothing is chosen by them: this is a protocol of others,
beside the full ranking of the report. The newest run of the scenario in the home is read, and nothing is fitted.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from quality import table

from pipeline import columns as c
from pipeline.config import JudgeSettings
from pipeline.evaluation.terms import TARGET_ONLY
from pipeline.folders import Home
from pipeline.models.load import load_ranker
from pipeline.results import AUDIT
from pipeline.runs.inputs import MARKS, lanes_of
from pipeline.runs.run import Run
from pipeline.steps.judging import held_out
from pipeline.views import PAST, FloatArray, View

TOP = 10
DRAWS = 2000


def ranks(predictor: Any, view: View, candidates: "list[FloatArray]") -> FloatArray:
    """Rank each row's item [N] among its user's candidates, places of the catalogue; -1 is an item it lacks."""
    found = np.full(len(view), np.inf)
    for start in range(0, len(view), 512):
        users = view.units[start : start + 512]
        scores = predictor.scores(view.fields[PAST].of(users))
        for row, own in enumerate(scores, start):
            item = view.label.value[row]
            others = candidates[row]
            others = own[others[(others >= 0) & (others != item)]]
            found[row] = 1 + (others > own[item]).sum() + (others == own[item]).sum() / 2
    return found


def gains(ranked: FloatArray) -> FloatArray:
    """NDCG@10, and whether the item is among the first ten: [N, 2]."""
    hit = ranked <= TOP
    return np.stack([np.where(hit, 1 / np.log2(1 + ranked), 0.0), hit.astype(np.float64)], axis=1)


def told(values: FloatArray, draws: "FloatArray", sign: str = "") -> str:
    """Write a mean in per cent with its interval."""
    drawn = draws @ values / len(values)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{100 * values.mean():{sign}.2f} [{100 * low:.2f}, {100 * high:.2f}]"


def newest(home: Home, scenario: str) -> Run:
    """Find the run of a scenario that was planned last."""
    plans = sorted(home.root.glob(f"runs/{scenario}__*/plan.json"), key=lambda path: path.stat().st_mtime)
    if not plans:
        sys.exit(f"{home.root}: expected a run of {scenario}, found none; run `crosslift run {scenario}`.")
    return Run.load(home, plans[-1].parent.name)


def main() -> None:
    """Rank the lists of one file and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario")
    parser.add_argument("lists", help="Parquet file below CROSSLIFT_DATA")
    parser.add_argument("--home", type=Path, default=Path(".crosslift"), help="where the runs are kept")
    given = parser.parse_args()
    run = newest(Home(given.home.expanduser().resolve()), given.scenario)
    settings = JudgeSettings.of(run.scenario, oracles=tuple(sorted(run.scenario.oracles)))
    test = held_out(settings, {**run.prepared(), "marks": run.input(AUDIT, artifact=MARKS)})
    view = test.rows
    lists = pd.read_parquet(Path(os.environ["CROSSLIFT_DATA"]) / given.lists).set_index(c.USER)["candidate_item_ids"]
    users = test.prepared.named(view).get_level_values(0)
    view, users = view.take(users.isin(lists.index)), users[users.isin(lists.index)]
    catalogue = pd.Index(view.label.catalogue[c.ITEM])
    candidates = [catalogue.get_indexer(pd.Index(lists[user])) for user in users]
    missed = len(lists) - len(view)  # their item is not in the catalogue: no lane can rank it, and each gets nothing
    lanes = {name: load_ranker(run.path(result)) for name, result in lanes_of(run).items()}
    each = {name: np.pad(gains(ranks(one, view, candidates)), ((0, missed), (0, 0))) for name, one in lanes.items()}
    counts = np.random.default_rng(0).multinomial(len(lists), np.full(len(lists), 1 / len(lists)), DRAWS)
    base = each[TARGET_ONLY][:, 0]
    rows = [
        [name, told(both[:, 0], counts), told(both[:, 1], counts), told(both[:, 0] - base, counts, "+")]
        for name, both in sorted(each.items(), key=lambda pair: -pair[1][:, 0].mean())
    ]
    print(f"{len(lists):,} lists, {missed:,} of them of an item that no training row of {run.scenario.target} has.\n")
    table(["lane", "NDCG@10", "HR@10", "difference to target-only"], rows)


if __name__ == "__main__":
    main()
