"""`product_quality_text` for every target and threshold of the data: twelve tasks with ten labels each, as a table.

    CROSSLIFT_DATA=... python benchmarks/reviews.py --home FOLDER [--encoder minilm]

Each task is the built-in scenario, of its strategies `direct` alone, with another target and another number of stars
from which a review is positive; with `--encoder` two baselines read what a pretrained encoder says of a text beside
its words. Accuracy and balanced accuracy on all test rows, the mean over the tasks. What was run is kept in the home.
"""

import argparse
import os
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from quality import ROOT, table
from shares import run_of

from pipeline.evaluation.comparison import ALL
from pipeline.runs.figures import comparison_of
from pipeline.runs.run import Run

BUILT_IN = ROOT / "pipeline" / "scenarios" / "product_quality_text.yaml"
TARGETS, THRESHOLDS = ("books", "dvd", "electronics", "kitchen_housewares"), (2, 4, 5)
METRICS = ("accuracy", "balanced_accuracy", "auroc")


def written(target: str, threshold: int, encoder: str | None, folder: Path) -> str:
    """Write the scenario of one task, and give its name."""
    text = BUILT_IN.read_text(encoding="utf-8")
    others = ", ".join(f"'{one}'" for one in TARGETS if one != target)
    for before, after in (
        ("kitchen_housewares", target),
        ("threshold = 4", f"threshold = {threshold}"),
        ("'books', 'dvd', 'electronics'", others),
    ):
        if before not in text:
            raise SystemExit(f"{BUILT_IN}: expected {before!r}")
        text = text.replace(before, after)
    scenario = yaml.safe_load(text)
    reading: list[dict[str, Any]] = [{"kind": "linear", "domains": "source", "encoder": encoder}]
    reading += [{**reading[0], "domains": "all", "source_weights": [1.0]}]  # ten rows in thousands
    scenario["name"] = name = f"product_quality_text_{target}_{threshold}{f'_{encoder}' if encoder else ''}"
    scenario["baselines"] += reading if encoder else []
    scenario["schedule"] = None
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(scenario, sort_keys=False), encoding="utf-8")
    return name


def main() -> None:
    """Run what is missing and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder")
    parser.add_argument("--home", type=Path, default=Path(".crosslift"), help="where the runs are kept")
    given = parser.parse_args()
    home = given.home.expanduser().resolve()
    (folder := home / "reviews").mkdir(parents=True, exist_ok=True)
    os.environ["CROSSLIFT_SCENARIOS"] = str(folder)
    found: dict[str, list[list[float]]] = {}
    for target, threshold in product(TARGETS, THRESHOLDS):
        name = written(target, threshold, given.encoder, folder)
        run = run_of(name, [name, "--strategies", "direct"], home)
        if not isinstance(run, Run):
            raise SystemExit(f"{name}: {run}")
        for lane, told in comparison_of(run).views[ALL].lanes.items():
            found.setdefault(lane, []).append([told[metric].value for metric in METRICS])
    means = {lane: np.mean(values, axis=0) for lane, values in found.items()}
    rows = [
        [lane, str(len(found[lane])), *(f"{value:.3f}" for value in mean)]
        for lane, mean in sorted(means.items(), key=lambda one: -one[1][0])
    ]
    table(["lane", "tasks", *METRICS], rows)


if __name__ == "__main__":
    main()
