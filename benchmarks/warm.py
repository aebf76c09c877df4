"""What a source brings to customers whom a poor shop knows: what the gate lets serve beside target-only, over draws.

    CROSSLIFT_DATA=... python benchmarks/warm.py cross_category_phones cross_category --shares 0.3 0.1 --home FOLDER

Each scenario is run as it ships but for fewer lanes, and the other way round, at shares of the target's training and
validation rows, several draws each; the gate is asked about each draw as if nothing served yet, and where it lets
nothing serve, target-only does. NDCG@10 in % on test rows without marks, the mean over the draws; draws and users are
drawn with replacement together. The last columns hold what serves against the baseline that knows the target alone and
is best on these test rows, which nobody could have picked beforehand. What was run is kept in the home.
"""

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from promoted import judged
from quality import ROOT, table
from shares import Draw, drawn_of, interval, mean, over_draws, resampled

from pipeline.evaluation.gate import decide
from pipeline.evaluation.terms import TARGET_ONLY
from pipeline.runs.run import Run
from pipeline.views import FloatArray

STRATEGIES: list[dict[str, Any]] = [
    {"tune": {"kind": "scratch"}},
    {"tune": {"kind": "fine_tune"}},
    {"adapt": {"kind": "coral"}, "tune": {"kind": "fine_tune"}},
]
TWICE = ("ials", "ials_knn", "ease", "user_knn")  # on the target alone, and with the source
BASELINES = [{"kind": "popularity"}, {"kind": "item_knn"}]
BASELINES += [{"kind": kind, **more} for kind in TWICE for more in ({}, {"domains": "all"})]


def written(scenario: str, folder: Path) -> list[str]:
    """Write a scenario in both directions, and give the names."""
    built_in = yaml.safe_load((ROOT / "pipeline" / "scenarios" / f"{scenario}.yaml").read_text(encoding="utf-8"))
    ends, names = (built_in["sources"][0], built_in["target"]), []
    for source, target in (ends, ends[::-1]):
        names.append(f"{source}_to_{target}")
        changed = {"name": names[-1], "sources": [source], "target": target, "schedule": None}
        lanes = {"strategies": STRATEGIES, "baselines": BASELINES}
        text = yaml.safe_dump({**built_in, **changed, **lanes}, sort_keys=False)
        (folder / f"{names[-1]}.yaml").write_text(text, encoding="utf-8")
    return names


def row_of(name: str, share: float, draws: Sequence[Draw]) -> list[str]:
    """One row of the table."""
    served = [decide(one.test.terms, one.lanes, one.test.scores(one.predicted), None).lane for one in draws]
    chosen = [lane or TARGET_ONLY for lane in served]
    terms, found = draws[0].test.terms, resampled(draws)
    values = over_draws(found)
    serves = mean([one[lane] for one, lane in zip(found, chosen, strict=True)])
    alone = [lane.name for lane in draws[0].lanes if lane.kind == "baseline" and not lane.transfer]
    best = max(alone, key=lambda lane: float(values[lane][0]))
    ratio: FloatArray = serves / values[TARGET_ONLY]
    low, high = np.nanquantile(ratio[1:], [0.025, 0.975])
    transfers = {lane.name for one in draws for lane in one.lanes if lane.transfer}
    counted = Counter(lane for lane in chosen if lane in transfers)
    return [
        name, f"{share:.0%}", ", ".join(f"`{lane}` {count}" for lane, count in counted.most_common()) or "none",
        interval(terms, serves), interval(terms, values[TARGET_ONLY]),
        interval(terms, serves - values[TARGET_ONLY], "+"), f"{ratio[0]:.2f} [{low:.2f}, {high:.2f}]",
        f"`{best}` {interval(terms, values[best])}", interval(terms, serves - values[best], "+"),
    ]  # fmt: skip


def lane_rows(name: str, share: float, draws: Sequence[Draw]) -> list[list[str]]:
    """A row for each lane, whatever the gate says: what it is over the draws, and its gain over target-only."""
    terms, values = draws[0].test.terms, over_draws(resampled(draws))
    names = sorted((lane.name for lane in draws[0].lanes), key=lambda lane: -float(values[lane][0]))
    gains = {lane: interval(terms, values[lane] - values[TARGET_ONLY], "+") for lane in names if lane != TARGET_ONLY}
    return [[name, f"{share:.0%}", f"`{lane}`", interval(terms, values[lane]), gains.get(lane, "")] for lane in names]


def main() -> None:
    """Run what is missing, and print a row for each direction and share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="+")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.3, 0.1])
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--lanes", action="store_true", help="every lane, whatever the gate says")
    parser.add_argument("--home", type=Path, default=Path(".crosslift"), help="where the runs are kept")
    given = parser.parse_args()
    home = given.home.expanduser().resolve()
    (folder := home / "warm").mkdir(parents=True, exist_ok=True)
    os.environ["CROSSLIFT_SCENARIOS"] = str(folder)
    names = [name for scenario in given.scenarios for name in written(scenario, folder)]
    rows = []
    for share in given.shares:
        for name in names:
            found = [
                drawn_of(name, share, draw, home) for draw in (given.draws if share < 1 else [0])
            ]  # all rows are one draw
            print(*(why for why in found if isinstance(why, str)), sep="\n", end="")
            if draws := [Draw(*judged(run), every=False) for run in found if isinstance(run, Run)]:
                rows += lane_rows(name, share, draws) if given.lanes else [row_of(name, share, draws)]
    if given.lanes:
        table(["direction", "share", "lane", "over all draws", "gain"], rows)
        return
    head = ["direction", "share", "transfer serves in", "what serves", "target-only", "gain", "ratio"]
    table([*head, "best on the target alone", "against it"], rows)


if __name__ == "__main__":
    main()
