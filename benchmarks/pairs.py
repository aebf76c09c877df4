"""Run a scenario for every pair of some domains, and print the accuracy of each lane on all test rows, as a table.

    CROSSLIFT_DATA=... python benchmarks/pairs.py product_quality books dvd electronics --home FOLDER

Each pair is the built-in scenario with another source and target, and `linear` on the source beside its baselines: the
table is of lanes, whichever of them serves. The home is kept, so that a second call computes nothing again.
"""

import argparse
import os
from itertools import permutations
from pathlib import Path

import yaml
from quality import ROOT, execute, table


def main() -> None:
    """Run all pairs that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario")
    parser.add_argument("domains", nargs="+")
    parser.add_argument("--home", type=Path, default=Path(".crosslift"), help="where the runs are kept")
    given = parser.parse_args()
    home = given.home.expanduser().resolve()
    (folder := home / "pairs").mkdir(parents=True, exist_ok=True)
    os.environ["CROSSLIFT_SCENARIOS"] = str(folder)
    built_in = yaml.safe_load((ROOT / "pipeline" / "scenarios" / f"{given.scenario}.yaml").read_text(encoding="utf-8"))
    beside = {"baselines": [*built_in["baselines"], {"kind": "linear", "domains": "source"}]}
    found: dict[str, dict[str, float]] = {}
    for source, target in permutations(given.domains, 2):
        name = f"{given.scenario}_{source}_{target}"
        scenario = {**built_in, **beside, "name": name, "sources": [source], "target": target}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(scenario, sort_keys=False), encoding="utf-8")
        lanes = execute([name], home)["comparison"]["views"]["all rows"]["lanes"]
        found[f"{source} to {target}"] = {lane: told["accuracy"]["value"] for lane, told in lanes.items()}
    lanes = list(next(iter(found.values())))
    rows = [[pair, *(f"{100 * told[lane]:.1f}" for lane in lanes)] for pair, told in found.items()]
    means = [sum(told[lane] for told in found.values()) / len(found) for lane in lanes]
    table(["accuracy in %", *lanes], [*rows, ["mean", *(f"{100 * mean:.1f}" for mean in means)]])


if __name__ == "__main__":
    main()
