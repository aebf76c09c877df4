"""What a further label of a review brings: one model for both against one each, means over seeds, as a table.

    CROSSLIFT_DATA=... python benchmarks/labels.py --seeds 0 1 2 3 4 --home FOLDER

Runs four copies of `product_quality_reviews`: either label first, with the other beside it and without, by the tunes
`scratch`, `fine_tune` and `joint`. Both of a pair are judged on the same rows; 95 % intervals are over products, of
which each resample takes the same for all seeds. What was run is kept in the home.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from promoted import judged
from quality import ROOT, table
from shares import Draw, interval, run_of

from pipeline.runs.run import Run
from pipeline.views import FloatArray

BUILT_IN = ROOT / "pipeline" / "scenarios" / "product_quality_reviews.yaml"
TUNES = ("scratch", "fine_tune", "joint")
LABELS: dict[str, dict[str, Any]] = {
    "rating": {"kind": "regression", "metric": "mse"},
    "recommended": {"kind": "binary", "metric": "auroc"},
}


def written(first: str, further: str | None, folder: Path) -> str:
    """Write a copy of the scenario, and give its name."""
    scenario = yaml.safe_load(BUILT_IN.read_text(encoding="utf-8"))
    name = f"{scenario['name']}_{first}{'_both' if further else ''}"
    also = {further: {"kind": LABELS[further]["kind"]}} if further else {}
    rest = {key: value for key, value in scenario["task"].items() if key in {"features", "groups"}}
    scenario |= {
        "name": name,
        "task": {**LABELS[first], "label": first, "also": also, **rest},
        "strategies": [{"tune": {"kind": tune}} for tune in TUNES],
        "baselines": [{"kind": "constant"}],
        "schedule": None,
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(scenario, sort_keys=False), encoding="utf-8")
    return name


def mean_of(scenario: str, seeds: list[int], home: Path) -> tuple[Draw, dict[str, FloatArray]]:
    """The mean over seeds of each lane's gated metric [1 + R]: itself, then of each resample of the units."""
    found = []
    for seed in seeds:
        run = run_of(f"{scenario} seed {seed}", [scenario, "--seed", str(seed)], home)
        if not isinstance(run, Run):
            raise SystemExit(f"{scenario}, seed {seed}: {run}")
        found.append(Draw(*judged(run), every=False))
    drawn = [one.drawn(one.names) for one in found]
    return found[0], {name: np.mean([one[name] for one in drawn], axis=0) for name in drawn[0]}


def main() -> None:
    """Run what is missing and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--home", type=Path, default=Path(".crosslift"), help="where the runs are kept")
    given = parser.parse_args()
    home = given.home.expanduser().resolve()
    (folder := home / "labels").mkdir(parents=True, exist_ok=True)
    os.environ["CROSSLIFT_SCENARIOS"] = str(folder)
    rows = []
    for first, further in (("rating", "recommended"), ("recommended", "rating")):
        one, both = mean_of(written(first, further, folder), given.seeds, home)
        _, alone = mean_of(written(first, None, folder), given.seeds, home)
        terms = one.test.terms
        for lane in [lane.name for lane in one.lanes if lane.kind == "strategy"]:
            gain_R: FloatArray = terms.sign * (both[lane] - alone[lane])
            cells = [f"{first}, {terms.words.name(terms.metric)}", lane, interval(terms, both[lane])]
            rows.append([*cells, interval(terms, alone[lane]), interval(terms, gain_R, "+")])
    table(["label", "lane", "both labels", "alone", "gain"], rows)


if __name__ == "__main__":
    main()
