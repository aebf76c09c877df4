"""A run: one scenario with the values of one trigger, and the results of its steps by name."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.config import Options, Scenario
from pipeline.errors import ConfigError, MissingResultError, StorageError, UserError
from pipeline.folders import Home, exclusive, manifest_hash, read_json, run_folder, write_json
from pipeline.integrity import damage
from pipeline.locks import HeldError
from pipeline.results import StepResult
from pipeline.scenarios import apply_options, differences


@dataclass(frozen=True)
class Run:
    """What every step gets: where to write, which run it is, and the scenario as it stood when the run began."""

    home: Home
    run_id: str
    scenario: Scenario
    force: bool = False
    trial: str = ""  # how the options differ from the scenario's own values; empty: not at all
    promote: bool = False  # a trial may serve all the same

    @classmethod
    def start(cls, home: Home, run_id: str, scenario: Scenario, options: Options) -> "Run":
        """Fix the scenario for this run; a run that is started again keeps the results it has if nothing changed."""
        changed = apply_options(scenario, options)
        run = cls(home, run_id, changed, options.force, differences(scenario, changed), options.promote)
        folder = home.run(run_id)
        plan = {
            "run_id": run_id,
            "scenario": run.scenario.model_dump(mode="json"),
            "force": run.force,
            "trial": run.trial,
            "promote": run.promote,
        }
        if (folder / "plan.json").exists() and planned(folder) != plan:
            for record in folder.glob("results/*.json"):
                record.unlink()
        write_json(folder / "plan.json", plan)
        return run

    @classmethod
    def load(cls, home: Home, run_id: str) -> "Run":
        """The run that `start` fixed.

        Raises:
            ConfigError: there is no such run below this home.
            StorageError: its plan is damaged.
        """
        plan = home.run(run_id) / "plan.json"
        if not plan.exists():
            raise ConfigError(f"{plan}: there is no run {run_id!r}; start one with `crosslift run SCENARIO`.")
        value = planned(plan.parent)
        try:
            scenario = Scenario.model_validate(value["scenario"])
            trial, promote = value.get("trial", ""), value.get("promote", False)  # an older plan knows of no trials
            return cls(home, run_id, scenario, bool(value["force"]), str(trial), bool(promote))
        except (ValidationError, KeyError, TypeError) as error:
            raise StorageError(
                f"{plan}: expected the plan of a run, which is damaged or of another version ({type(error).__name__}). "
                "Start another run: `crosslift run SCENARIO`."
            ) from error

    @property
    def may_promote(self) -> bool:
        """Whether what the gate chooses may serve; what a person only tries may not."""
        return self.promote or not self.trial

    @cached_property
    def folder(self) -> Path:
        """The folder of this run's records."""
        return self.home.run(self.run_id)

    def record(self, result: StepResult) -> None:
        """Keep a step's result under its name."""
        write_json(self._record(result.step, result.name), result.model_dump(mode="json"))

    def forget(self, step: str, name: str = "") -> None:
        """Drop a result before its step is tried again, so that a failed try leaves no result behind."""
        self._record(step, name).unlink(missing_ok=True)

    def result(self, step: str, name: str = "") -> StepResult:
        """The result of a step of this run.

        Raises:
            MissingResultError: the step did not succeed in this run.
            StorageError: its record is damaged.
        """
        path = self._record(step, name)
        if not path.exists():
            what = f"{step} of {name}" if name else step
            raise MissingResultError(
                f"run {self.run_id}: needs the result of {what}, which did not succeed in this run."
            )
        return read_record(path)

    def results(self, step: str) -> dict[str, StepResult]:
        """The results of a step by name, of those that succeeded.

        Raises:
            StorageError: a record is damaged.
        """
        found = [read_record(path) for path in sorted(self.folder.glob(f"results/{step}.*.json"))]
        return {result.name: result for result in found}

    def path(self, result: StepResult) -> Path:
        """Where a result's folder lies, after every file in it was held against what the record and the manifest say.

        Raises:
            StorageError: a file is not what was published; it is named.
        """
        folder = self.place(result)
        why = damage(folder)
        if not why and manifest_hash(folder) != result.manifest:
            why = "its manifest is not the one that this run recorded"
        if why:
            step = f"{result.step} {result.name}".rstrip()
            raise StorageError(
                f"{folder}: the folder of {step} was damaged since it was published, and nothing was made of it: "
                f"{why}. Repeat the command (in Airflow clear the task that made it): {step} then makes it again."
            )
        return folder

    def place(self, result: StepResult) -> Path:
        """Where a result's folder lies, to be told or to be looked at; nothing in it was checked."""
        return self.home.root / result.folder

    def _record(self, step: str, name: str) -> Path:
        return self.folder / "results" / f"{step}.{name}.json"


@contextmanager
def alone(home: Home, run_id: str) -> Iterator[None]:
    """Keep a second command from working on the same run: both would drop each other's records.

    Raises:
        UserError: another process works on it; a killed one does not count.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(home.lock(f"run-{run_folder(run_id)}"), wait=False))
        except HeldError as held:
            raise UserError(
                f"run {run_id}: is running already, as {held.owner}. Nothing was changed; wait until that has ended, "
                "or take another run id."
            ) from None
        yield


def read_record(path: Path) -> StepResult:
    """The record of a step in a run's folder.

    Raises:
        StorageError: it is damaged.
    """
    try:
        return StepResult.model_validate(read_json(path))
    except (StorageError, ValidationError) as error:
        raise StorageError(
            f"{path}: expected the record of a step, which is damaged ({_first_line(error)}). Repeat the command (in "
            "Airflow clear that task): the step writes it anew."
        ) from error


def planned(folder: Path) -> Any:
    """The plan in a run's folder, None where it cannot be read: then it is no plan of any run."""
    try:
        return read_json(folder / "plan.json")
    except StorageError:
        return None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def data_root() -> Path:
    """The folder with the user's tables, named by `CROSSLIFT_DATA`.

    Raises:
        ConfigError: it is not set or does not exist.
    """
    value = os.environ.get("CROSSLIFT_DATA", "")
    root = Path(value).expanduser()
    if not value or not root.is_dir():
        raise ConfigError(
            f"CROSSLIFT_DATA: expected the folder that holds the scenario's tables, got {value!r}; set it, for example "
            "`export CROSSLIFT_DATA=/data/shop`."
        )
    return root.resolve()
