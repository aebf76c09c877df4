"""Points of the curve over shares, and of several splits: one file each, beside those of runs on the same rows."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import CrossliftError, StorageError, UserError
from pipeline.folders import Home, digest, read_json, storage_errors
from pipeline.results import INGEST
from pipeline.runs.run import Run

log = logging.getLogger(__name__)


def curve_of(run: Run) -> Path:
    """The folder of points of runs that differ in the share of the target's rows alone."""
    return run.home.root / "curves" / _same_rows(run, {"target_share": True})


def splits_of(run: Run) -> Path:
    """The folder of runs that differ in the draw of their split alone: a lane of that name is the same in all."""
    return run.home.root / "splits" / _same_rows(run, {"split": {"draw"}})


def point_name(share: float) -> str:
    """The file of a share's point."""
    return f"{share:g}.json"


def read_points(folder: Path) -> tuple[Any, ...]:
    """What runs left there; what cannot be read is left out until its run is repeated."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(read_json(path))
        except StorageError as error:
            log.warning("what another run said is left out: %s", error)
    return tuple(found)


def last_curve(home: Home, scenario: str) -> Path:
    """The folder of the curve that the report of a scenario's last run shows; trials have curves of their own.

    Raises:
        UserError: no run of the scenario is there that has read its tables.
    """
    runs = []
    for plan in (home.root / "runs").glob("*/plan.json"):
        try:
            run = Run.load(home, str(read_json(plan)["run_id"]))
            if run.scenario.name == scenario and not run.trial:
                runs.append((run.began, curve_of(run)))
        except (CrossliftError, KeyError, TypeError):
            continue  # damaged, or it never read its tables: it has no curve
    if not runs:
        raise UserError(
            f"{scenario}: there is no run below {home.root} that has read its tables, so there is no curve. Start one: "
            f"`crosslift run {scenario}`."
        )
    return max(runs)[1]


def remove_point(folder: Path, share: float) -> None:
    """Remove the point of a share; the next report is without it, and a run with that share brings it back.

    Raises:
        UserError: there is none; those that are there are named.
        StorageError: the folder cannot be written.
    """
    path = folder / point_name(share)
    if not path.exists():
        there = ", ".join(sorted(one.stem for one in folder.glob("*.json"))) or "none"
        raise UserError(f"--remove: expected the share of a point of this curve, got {share:g}; there are: {there}.")
    with storage_errors(folder):
        path.unlink()


def _same_rows(run: Run, but: Mapping[str, Any]) -> str:
    """Name what runs have in common that differ in this alone, beside what decides about no number."""
    every = {"shares", "repeats", "title", "schedule"}
    same = run.scenario.model_dump(mode="json", exclude={**dict.fromkeys(every, True), **but})
    data = {name: run.result(INGEST, name).manifest for name in run.scenario.domains}
    return digest([same, data])[:32]
