"""Kill runs at random moments, let each be repeated, and hold what comes out against an undisturbed run.

    python benchmarks/kills.py --kills 50

A small generated scenario runs once undisturbed. Then, again and again, a run begins in a fresh home or in a home that
was used before, some of its processes get SIGKILL after a random time (the command alone, one of its tasks, or all of
them at once), and the same command is given again. Equal means: every step's manifest is that of the undisturbed run,
the package that serves too, `models list` and `clean` work, and no process is left. Prints a line a kill and counts,
and ends with 1 if any is unequal. Moments are drawn from `--seed`.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).parents[1]
NIGHT = "night"
DONE = (0, 4)
WHO = ("the command", "one task", "all processes")
SCENARIO = {
    "name": "small",
    "title": "Small enough to be killed often",
    "sources": ["grocer"],
    "target": "florist",
    "bridges": ["users", "item_features"],
    "embedded": {"variant": "shops", "users": 200, "items": 100},
    "cold_start": True,
    "split": {"kind": "time"},
    "model": {"dim": 16, "text_buckets": 256},
    "training": {"epochs": 3, "batch_size": 128, "negatives": 64},
    "strategies": [{"tune": {"kind": "scratch"}}, {"tune": {"kind": "fine_tune"}}],
    "baselines": [{"kind": "popularity"}, {"kind": "ials", "domains": "all"}],
}


@dataclass(frozen=True)
class Place:
    """Where runs happen: a folder with the scenario, and the homes beside it."""

    root: Path

    def start(self, home: Path, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a command in a session of its own; what it says goes to a file."""
        program = str(Path(sys.executable).with_name("crosslift"))
        environment = {**os.environ, "CROSSLIFT_HOME": str(home), "CROSSLIFT_SCENARIOS": str(self.root / "scenarios")}
        with (self.root / "told.log").open("ab") as log:
            return subprocess.Popen(
                [program, *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def run(self, home: Path, *arguments: str) -> int:
        """Run a command to its end."""
        return self.start(home, *arguments).wait()


def result_of(home: Path) -> dict[str, Any]:
    """Read what a run published: the manifest of each step and lane, and which lane serves."""
    records = [json.loads(path.read_text()) for path in (home / "runs" / NIGHT / "results").glob("*.json")]
    return {f"{record['step']} {record['name']}".rstrip(): record["manifest"] for record in records}


def kill(process: "subprocess.Popen[bytes]", who: str, moments: random.Random) -> None:
    """Send SIGKILL to some of the processes of a run."""
    command = psutil.Process(process.pid)
    children = command.children(recursive=True)
    chosen = {"the command": [command], "one task": children and [moments.choice(children)]}
    for one in chosen.get(who) or [*children, command]:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue


def left_over(home: Path) -> list[str]:
    """Name the processes of a home that still run."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CROSSLIFT_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline())[:80])
        except psutil.Error:
            continue
    return found


def trial(place: Place, used: Path | None, seconds: float, who: str, moments: random.Random) -> str:
    """Kill one run and repeat it; empty if all is as it should be, else what is not."""
    home = place.root / "home"
    shutil.rmtree(home, ignore_errors=True)
    if used is not None:
        shutil.copytree(used, home, symlinks=True)
    command = ("run", "small", "--run-id", NIGHT, *(("--force",) if used is not None else ()))
    process = place.start(home, *command)
    time.sleep(seconds)
    kill(process, who, moments)
    process.wait()
    code = place.run(home, *command)
    if code not in DONE:
        return f"the repeated run ended with {code}"
    for check in (("models", "list"), ("clean", "--dry-run")):
        if place.run(home, *check):
            return f"{' '.join(check)} failed"
    if found := result_of(home):
        expected = result_of(place.root / "undisturbed")
        if unequal := sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key)):
            return f"unequal: {', '.join(unequal)}"
    deadline = time.monotonic() + 60
    while left := left_over(home):
        if time.monotonic() > deadline:
            return f"left over: {', '.join(left)}"
        time.sleep(0.5)
    return ""


def main() -> None:
    """Kill so many runs and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    moments = random.Random(given.seed)  # noqa: S311  no secret
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        place = Place(Path(folder))
        (place.root / "scenarios").mkdir()
        (place.root / "scenarios" / "small.yaml").write_text(yaml.safe_dump(SCENARIO), encoding="utf-8")
        whole, began = place.root / "undisturbed", time.monotonic()
        if place.run(place.root / "home", "run", "small", "--run-id", NIGHT) not in DONE:
            sys.exit((place.root / "told.log").read_text()[-3000:])
        length = time.monotonic() - began
        shutil.copytree(place.root / "home", whole, symlinks=True)  # the store knows where its files lay
        unequal = 0
        for number in range(given.kills):
            used, who = (whole if number % 2 else None), moments.choice(WHO)
            seconds = moments.uniform(0, length)
            told = trial(place, used, seconds, who, moments)
            unequal += bool(told)
            kind = "used " if used else "fresh"
            print(f"{number + 1:3}  {kind}  {seconds:6.2f} s  {who:13}  {told or 'equal'}", flush=True)
        print(f"{given.kills - unequal} equal, {unequal} unequal; an undisturbed run took {length:.1f} s")
    sys.exit(1 if unequal else 0)


if __name__ == "__main__":
    main()
