"""Run scenarios at several shares of target data and print what the source brought, as a Markdown table.

    CROSSLIFT_DATA=... python benchmarks/quality.py cross_category cross_category_phones --home FOLDER

Numbers are read from each run's report.json: per cent, test rows without marks, with the scenario's intervals. `lane`
is the one that uses the source and is best on validation rows; its gain is against the same method on the target alone.
`--lanes` prints every lane. The home is kept, so that a second call computes nothing again.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DONE = (0, 4)  # the run succeeded; with 4 its model does not serve


def run(scenario: str, share: float, seed: int | None, home: Path, strategies: str = "") -> dict[str, Any]:
    """Run a scenario at a share and read its report."""
    more = ["--seed", str(seed)] if seed is not None else []
    more += ["--strategies", strategies] if strategies else []
    return execute([scenario, "--target-share", str(share), *more], home)


def execute(arguments: list[str], home: Path) -> dict[str, Any]:
    """Run `crosslift run` and read its report, with the run's id as `run`."""
    program = str(Path(sys.executable).with_name("crosslift"))
    command = [program, "run", *arguments, "--json"]
    environment = {**os.environ, "CROSSLIFT_HOME": str(home)}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in DONE:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}.")
    told = json.loads(done.stdout)
    page = Path(told["report"])
    found: dict[str, Any] = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    return {**found, "run": told["run_id"]}


def folder_of(home: Path, record: Path) -> Path:
    """The published folder that a record of a run names."""
    return home / str(json.loads(record.read_text(encoding="utf-8"))["folder"])


def row(report: dict[str, Any]) -> list[str]:
    """Tell one run: target-only, the lane with the source that validation picked, its gain, and the verdict."""
    comparison, verdict = report["comparison"], report["verdict"]
    share = comparison["target_share"]
    [point] = [point for point in report["curve"] if point["share"] == share]
    best = point["best"]
    told = [comparison["scenario"], f"{share:.0%}", str(comparison["seed"]), interval(point["target_only"])]
    if best is None:
        told += ["none uses the source", "", ""]
    else:
        told += [f"{best['lane']} {interval(best['value'])}", interval(best["gain"], "+"), best["counterpart"]]
    return [*told, f"{verdict['verdict']}: {verdict['candidate']}"]


def lane_rows(report: dict[str, Any]) -> list[list[str]]:
    """Tell every lane of one run: validation, test without marks, test on all rows, gain of the source on each."""
    comparison = report["comparison"]
    views, metric = comparison["views"], comparison["metric"]
    clean, every = views.get("without marked rows"), views["all rows"]
    found = []
    for lane in comparison["lanes"]:
        cells = [comparison["scenario"], f"{comparison['target_share']:.0%}", lane["name"]]
        cells.append(f"{100 * lane['valid'][metric]:.2f}")
        for view in (clean, every):
            gains = [one for one in view["gains"] if one["lane"] == lane["name"] and one["transfer"]] if view else []
            cells.append(interval(view["lanes"][lane["name"]][metric]) if view else "")
            cells.append(interval(gains[0]["difference"], "+") if gains else "")
        found.append(cells)
    return found


def interval(estimate: dict[str, float], sign: str = "") -> str:
    """Write an estimate in per cent with its interval."""
    return f"{100 * estimate['value']:{sign}.2f} [{100 * estimate['low']:.2f}, {100 * estimate['high']:.2f}]"


def table(head: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table."""
    for cells in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Run what the command line names and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="+")
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0, 0.3, 0.1])
    parser.add_argument("--seed", type=int, help="instead of the scenario's")
    parser.add_argument("--home", type=Path, default=Path(".crosslift"), help="where the runs are kept")
    parser.add_argument("--lanes", action="store_true", help="every lane, also on all rows")
    given = parser.parse_args()
    home = given.home.expanduser().resolve()
    reports = [run(name, share, given.seed, home) for name in given.scenarios for share in given.shares]
    metric = reports[0]["comparison"]["metric"]
    print(f"{metric} in %, test rows without marks, {100 * reports[0]['comparison']['level']:.0f} % intervals\n")
    if given.lanes:
        head = ["scenario", "share", "lane", "validation", "without marks", "gain", "all rows", "gain on all rows"]
        table(head, [cells for report in reports for cells in lane_rows(report)])
    else:
        head = ["scenario", "share", "seed", "target_only", "lane", "its gain", "against", "verdict: candidate"]
        table(head, [row(report) for report in reports])


if __name__ == "__main__":
    main()
