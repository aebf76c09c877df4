"""Print how long Crosslift takes and how much memory it needs; nothing is judged here.

    python benchmarks/speed.py demo                        `make demo` after the install
    python benchmarks/speed.py run cross_category          `crosslift run`: wall time, peak memory, again, evaluation
    python benchmarks/speed.py airflow cross_category HOME a finished DAG run below HOME beside `crosslift run`
    python benchmarks/speed.py parse                       the DAG file beyond Airflow's own import
    python benchmarks/speed.py bootstrap                   2,000 resamples of AUROC and AUPRC, 12 lanes, one core

Every run gets a new folder as its CROSSLIFT_HOME, so that nothing is reused but where "again" says so.
"""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from pipeline.evaluation.statistics import resample
from pipeline.labels.classes import auprc, auroc
from pipeline.labels.statistic import Recomputed

ROOT = Path(__file__).parents[1]
EVERY = 0.5  # seconds between two looks at the memory
DONE = (0, 4)  # the run succeeded; with 4 its model does not serve


@dataclass(frozen=True)
class Measured:
    """What a command took: seconds of the clock, the highest memory of it and its children, what it printed."""

    seconds: float
    peak_mebibytes: float
    output: str


def measure(command: Sequence[str], home: Path) -> Measured:
    """Run a command in a home and look at its memory while it works.

    Memory is the proportional set size: a page that forks share is divided among them, so the sum is what the machine
    has to hold.
    """
    started = time.monotonic()
    environment = {**os.environ, "CROSSLIFT_HOME": str(home)}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output)
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            time.sleep(EVERY)
        seconds = time.monotonic() - started
        output.seek(0)
        printed = output.read()
    if process.returncode not in DONE:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}; its home is {home}.")
    return Measured(seconds, peak, printed)


def memory(pid: int) -> float:
    """Add up the mebibytes of a process and all that it started."""
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    for one in family:
        try:
            total += one.memory_full_info().pss
        except psutil.Error:  # it ended meanwhile
            continue
    return total / 2**20


def crosslift_run(scenario: str, home: Path) -> tuple[Measured, dict[str, Any]]:
    """Run a scenario by the command line; gives also what it says in JSON."""
    measured = measure([str(Path(sys.executable).with_name("crosslift")), "run", scenario, "--json"], home)
    return measured, json.loads(measured.output)


def demo() -> None:
    """Print the time of `make demo`; the environment must be there already."""
    with tempfile.TemporaryDirectory(prefix="crosslift-speed-") as home:
        found = measure(["make", "demo"], Path(home))
        show("`make demo`, after the install", f"{found.seconds:.0f} s")
        show("peak memory, all processes", f"{found.peak_mebibytes / 1024:.2f} GiB")


def run(scenario: str) -> None:
    """Print time and memory of a first and a second run, and the time of evaluation for each candidate."""
    with tempfile.TemporaryDirectory(prefix="crosslift-speed-") as name:
        home = Path(name)
        first, told = crosslift_run(scenario, home)
        again, repeated = crosslift_run(scenario, home)
        lanes = len(told["lanes"])
        show(f"`crosslift run {scenario}`, {lanes} lanes", f"{first.seconds:.0f} s")
        show("peak memory, all processes", f"{first.peak_mebibytes / 1024:.2f} GiB")
        computed = [step["step"] for step in repeated["steps"] if step["state"] == "computed"]
        show("again, nothing changed", f"{again.seconds:.0f} s, computed: {', '.join(computed) or 'nothing'}")
        [meta] = (home / "steps" / "verdict").glob("*/meta.json")
        seconds = json.loads(meta.read_text(encoding="utf-8"))["cost"]["wall_seconds"]
        show("evaluation for each candidate, intervals included", f"{seconds / lanes:.1f} s")


def airflow(scenario: str, home: Path) -> None:
    """Print Airflow's share: the newest green DAG run below a home, minus the same steps by `crosslift run`."""
    uri = f"file:{home / 'airflow' / 'airflow.db'}?mode=ro"
    query = (
        "SELECT run_id, start_date, end_date FROM dag_run WHERE dag_id = ? AND state = 'success' "
        "ORDER BY start_date DESC LIMIT 1"
    )
    connection = sqlite3.connect(uri, uri=True)
    row = connection.execute(query, (f"retrain__{scenario}",)).fetchone()
    connection.close()
    if row is None:
        sys.exit(f"{home}: there is no green run of retrain__{scenario}.")
    started, ended = (datetime.fromisoformat(value) for value in row[1:])
    dag_run = (ended - started).total_seconds()
    with tempfile.TemporaryDirectory(prefix="crosslift-speed-") as own:
        alone = crosslift_run(scenario, Path(own))[0].seconds
    show(f"DAG run {row[0]}", f"{dag_run:.0f} s")
    show(f"`crosslift run {scenario}`", f"{alone:.0f} s")
    show("Airflow's own share", f"{dag_run - alone:.0f} s (only if nothing was reused in either)")


def parse() -> None:
    """Print the CPU seconds of loading the DAG file after Airflow's own modules, and what heavy it loaded."""
    done = subprocess.run(
        [sys.executable, "tests/dags/load_dags.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    show("DAG file beyond Airflow's import", f"{found['seconds']:.2f} s for {len(found['dags'])} DAGs")
    show("heavy modules loaded by it", ", ".join(found["heavy"]) or "none")


def show(what: str, value: str) -> None:
    """Print one figure as a row of a Markdown table."""
    print(f"| {what} | {value} |", flush=True)


def bootstrap() -> None:
    """Print the CPU seconds of AUROC and AUPRC: 12,000 rows, 2,000 resamples, 12 lanes, rare and common labels."""
    rng = np.random.default_rng(0)
    rows, unit = 12_000, np.arange(12_000)
    for share in (0.03, 0.5):
        label, lanes = rng.random(rows) < share, {}
        for lane in range(12):
            score = np.round(label + rng.normal(0, 2, rows), 3)
            both = [partial(metric, positive_N=label, score_N=score) for metric in (auroc, auprc)]
            lanes[str(lane)] = Recomputed(both, unit, rows)
        started = time.process_time()
        resample(lanes, 2000, 0)
        print(f"{share:.0%} positives: {time.process_time() - started:.1f} s")


def main() -> None:
    """Read the command line and print the figures of one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("demo", help="make demo")
    parts.add_parser("run", help="a scenario by crosslift run, twice").add_argument("scenario")
    share = parts.add_parser("airflow", help="a finished DAG run beside crosslift run")
    share.add_argument("scenario")
    share.add_argument("home", type=Path, help="CROSSLIFT_HOME of `make up` or `make demo`")
    parts.add_parser("parse", help="load time of the DAG file")
    parts.add_parser("bootstrap", help="resamples of metrics that are no means")
    given = parser.parse_args()
    if given.part == "demo":
        demo()
    elif given.part == "run":
        run(given.scenario)
    elif given.part == "airflow":
        airflow(given.scenario, given.home.expanduser().resolve())
    elif given.part == "bootstrap":
        bootstrap()
    else:
        parse()


if __name__ == "__main__":
    main()
