"""Freeze what runs computed, and compare a later code's runs with it: a move of code must change none of it.

    CROSSLIFT_DATA=... python benchmarks/frozen.py freeze frozen.json --home FOLDER
    CROSSLIFT_DATA=... python benchmarks/frozen.py compare frozen.json --home OTHER_FOLDER

Runs `demo`, `new_shop` and `cross_category_phones` (all of the target's rows) into a home and keeps, of every lane, a
hash of its weights, a hash of its ranks of the test rows and its validation metrics, and of every run the gate's
decisions. A hash of weights looks at the values of each array and not at their names, so that a renamed tensor is no
difference and a changed bit is one. `compare` prints every difference and ends with 1 where there is any. A home that
has the runs already is read, not computed again.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

ROOT = Path(__file__).parents[1]
SCENARIOS = ("demo", "new_shop", "cross_category_phones")
TRAINED = ("pretrain_source", "adapt_domain", "finetune_target", "fit_baseline")
DONE = (0, 4)  # the run succeeded; with 4 the gate promoted nothing
RUN = "frozen_{}"


def run(scenario: str, home: Path) -> Path:
    """Run a scenario, and give the folder of its records."""
    name = RUN.format(scenario)
    program = str(Path(sys.executable).with_name("crosslift"))
    command = [program, "run", scenario, "--run-id", name, "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "CROSSLIFT_HOME": str(home)}, stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode not in DONE:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}.")
    return home / "runs" / name


def freeze(home: Path, records: Path) -> dict[str, Any]:
    """Read what a run computed: lanes, ranks, decisions."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(records.glob("results/*.json"))]
    lanes = {
        f"{result['step']} {result['name']}".rstrip(): hash_weights(home / result["folder"])
        for result in results
        if result["step"] in TRAINED
    }
    [verdict] = [result for result in results if result["step"] == "verdict"]
    folder = home / verdict["folder"]
    comparison = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    return {
        "weights": lanes,
        "ranks": hash_ranks(folder / "predictions.parquet"),
        "valid": {lane["name"]: lane["valid"] for lane in comparison["lanes"]},
        "test": {
            name: {lane: values[comparison["metric"]]["value"] for lane, values in view["lanes"].items()}
            for name, view in comparison["views"].items()
        },
        "decision": decisions(json.loads((folder / "verdict.json").read_text(encoding="utf-8"))),
    }


def hash_weights(folder: Path) -> str:
    """Hash the values of all arrays below a folder, whatever they are called."""
    arrays = [array for path in sorted(folder.rglob("*.safetensors")) for array in load_file(path).values()]
    shaped = [f"{array.dtype} {array.shape}".encode() + array.tobytes() for array in arrays]
    each = sorted(hashlib.sha256(one).digest() for one in shaped)
    return hashlib.sha256(b"".join(each)).hexdigest()[:32]


def hash_ranks(path: Path) -> dict[str, str]:
    """Hash each lane's ranks of the test rows, in the order of the rows."""
    table = pd.read_parquet(path, columns=["row", "lane", "predicted"]).sort_values("row", kind="stable")
    return {
        str(lane): hashlib.sha256(np.ascontiguousarray(part["predicted"], dtype=np.float64).tobytes()).hexdigest()[:32]
        for lane, part in table.groupby("lane", observed=True)
    }


def decisions(verdict: dict[str, Any]) -> dict[str, Any]:
    """Keep what was decided, and against what, with the points and their intervals."""
    kept = ("role", "reference", "difference", "with_margin", "demand", "outcome")
    return {
        **{key: verdict[key] for key in ("verdict", "candidate", "lane")},
        "comparisons": [{key: one[key] for key in kept} for one in verdict["comparisons"]],
    }


def differences(before: Any, after: Any, where: str = "") -> list[str]:
    """Name every place at which two frozen values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        pairs = {key: (before.get(key, "nothing"), after.get(key, "nothing")) for key in (*before, *after)}
        return [line for key, pair in pairs.items() for line in differences(*pair, f"{where} / {key}".strip(" /"))]
    return [] if before == after else [f"{where}: {before} -> {after}"]


def main() -> None:
    """Freeze, or compare with what was frozen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["freeze", "compare"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--home", type=Path, required=True, help="where the runs are kept")
    parser.add_argument("--scenarios", nargs="+", default=SCENARIOS, choices=SCENARIOS)
    given = parser.parse_args()
    home = given.home.expanduser().resolve()
    found = {scenario: freeze(home, run(scenario, home)) for scenario in given.scenarios}
    if given.what == "freeze":
        given.file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return
    frozen = json.loads(given.file.read_text(encoding="utf-8"))
    told = differences({name: frozen[name] for name in given.scenarios}, found)
    print("\n".join(told) or f"equal: {', '.join(given.scenarios)}")
    sys.exit(1 if told else 0)


if __name__ == "__main__":
    main()
