"""A run: one scenario with the values of one trigger, and the results of its steps by name."""

import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.config import Encoded, Options, Scenario
from pipeline.data.encoder_folders import require
from pipeline.errors import ConfigError, MissingResultError, StorageError, UserError
from pipeline.folders import MANIFEST, Home, exclusive, manifest_hash, read_json, run_folder, write_json
from pipeline.integrity import damage
from pipeline.locks import HeldError
from pipeline.near import near, near_path
from pipeline.results import EMBED, PREPARE, F, Step, StepResult
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
    began: str = ""  # ISO 8601, UTC; kept in the plan, so that a run that goes on judges as it did

    @classmethod
    def start(cls, home: Home, run_id: str, scenario: Scenario, options: Options) -> "Run":
        """Fix the scenario for this run; a run that is started again keeps the results it has if nothing changed.

        Raises:
            ConfigError: the options name what the scenario does not have.
            UserError: an encoder that it names is not installed.
        """
        require(scenario.encoders)
        changed = apply_options(scenario, options)
        run = cls(home, run_id, changed, options.force, differences(scenario, changed), options.promote)
        folder = home.run(run_id)
        plan: dict[str, Any] = {
            "run_id": run_id,
            "scenario": run.scenario.model_dump(mode="json"),
            "force": run.force,
            "trial": run.trial,
            "promote": run.promote,
            "began": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        if (folder / "plan.json").exists():
            before = planned(folder)
            if isinstance(before, dict) and before == {**plan, "began": before.get("began")}:
                plan = before
            else:
                for record in folder.glob("results/*.json"):
                    record.unlink()
        write_json(folder / "plan.json", plan)
        return replace(run, began=plan["began"])

    @classmethod
    def load(cls, home: Home, run_id: str) -> "Run":
        """The run that `start` fixed.

        Raises:
            ConfigError: there is no such run below this home.
            StorageError: its plan is damaged.
        """
        plan = home.run(run_id) / "plan.json"
        if not plan.exists():
            beside = [path.parent.name for path in home.root.glob("runs/*/plan.json")]
            hint = near(run_id, beside)
            raise ConfigError(f"{plan}: there is no run {run_id!r}; start one with `crosslift run SCENARIO`.{hint}")
        value = planned(plan.parent)
        try:
            scenario = Scenario.model_validate(value["scenario"])
            trial, promote = value.get("trial", ""), value.get("promote", False)  # an older plan knows of no trials
            began = str(value.get("began", ""))  # nor when it began
            return cls(home, run_id, scenario, bool(value["force"]), str(trial), bool(promote), began)
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

    def record(self, result: StepResult[Any]) -> None:
        """Keep a step's result under its name."""
        write_json(self._record(result.step, result.name), result.model_dump(mode="json"))

    def forget(self, step: Step[Any], name: str = "") -> None:
        """Drop a result before its step is tried again, so that a failed try leaves no result behind."""
        self._record(step.name, name).unlink(missing_ok=True)

    def result(self, step: Step[F], name: str = "") -> StepResult[F]:
        """The result of a step of this run.

        Raises:
            MissingResultError: the step did not succeed in this run.
            StorageError: its record is damaged.
        """
        path = self._record(step.name, name)
        if not path.exists():
            what = f"{step.name} of {name}" if name else step.name
            raise MissingResultError(
                f"run {self.run_id}: needs the result of {what}, which did not succeed in this run."
            )
        return read_record(step, path)

    def results(self, step: Step[F]) -> dict[str, StepResult[F]]:
        """The results of a step by name, of those that succeeded.

        Raises:
            StorageError: a record is damaged.
        """
        found = [read_record(step, path) for path in sorted(self.folder.glob(f"results/{step.name}.*.json"))]
        return {result.name: result for result in found}

    def path(self, result: StepResult[Any]) -> Path:
        """Where a result's folder lies, after every file in it was held against what the record and the manifest say.

        Raises:
            StorageError: a file is not what was published; it is named.
        """
        return self.folder_of(result).path

    def place(self, result: StepResult[Any]) -> Path:
        """Where a result's folder lies, to be told or to be looked at; nothing in it was checked."""
        return self.home.root / result.folder

    def folder_of(self, result: StepResult[Any]) -> "Folder":
        """A result's folder, as a later step reads it."""
        return Folder(self.place(result), result.manifest, f"{result.step} {result.name}".rstrip())

    def input(self, step: Step[Any], name: str = "", artifact: str = "") -> "Folder":
        """What a later step reads of an earlier one: its folder, or one artifact of it and then nothing else.

        Raises:
            MissingResultError: the step did not succeed in this run.
        """
        return replace(self.folder_of(self.result(step, name)), artifact=artifact)

    def prepared(self, *names: str, encoders: Collection[Encoded] = ()) -> "dict[str, Folder]":
        """The prepared domains of these names; those of the scenario where none is named.

        With `encoders` also what those say that read such features.
        """
        domains = names or self.scenario.domains
        wanted: list[tuple[Step[Any], str]] = [(PREPARE, name) for name in domains]
        wanted += [(EMBED, embedded(name, kind)) for kind in encoders for name in domains]
        return {f"{step.name}.{name}": self.input(step, name) for step, name in wanted}

    def _record(self, step: str, name: str) -> Path:
        return self.folder / "results" / f"{step}.{name}.json"


@dataclass(frozen=True)
class Folder:
    """A published folder, or one artifact of it, as a later step reads it.

    Args:
        place: Where the folder lies; nothing in it was checked.
        manifest: Hash that its manifest must have.
        step: What made it, for messages.
        artifact: The one file that may be read; empty: all of them.
    """

    place: Path
    manifest: str
    step: str
    artifact: str = ""

    @cached_property
    def identity(self) -> str:
        """Hash of what may be read: of the manifest, or of the artifact alone.

        Raises:
            StorageError: the manifest is not what was published.
        """
        if not self.artifact:
            return self.manifest
        self._refuse(self._other_manifest())
        return str(read_json(self.place / MANIFEST)[self.artifact]["sha256"])

    @cached_property
    def path(self) -> Path:
        """Where it lies, after every file of the folder was held against what record and manifest say.

        Raises:
            StorageError: a file is not what was published; it is named.
        """
        self._refuse(damage(self.place) or self._other_manifest())
        return self.place / self.artifact

    def _other_manifest(self) -> str:
        try:
            same = manifest_hash(self.place) == self.manifest
        except StorageError as error:
            return str(error)
        return "" if same else "its manifest is not the one that this run recorded"

    def _refuse(self, why: str) -> None:
        if why:
            raise StorageError(
                f"{self.place}: the folder of {self.step} was damaged since it was published, and nothing was made of "
                f"it: {why}. Repeat the command (in Airflow clear the task that made it): {self.step} then makes it "
                "again."
            )


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


def read_record(step: Step[F], path: Path) -> StepResult[F]:
    """The record of a step in a run's folder; facts of another version that nobody asks for any more are left out.

    Raises:
        StorageError: it is damaged.
    """
    shape: type[StepResult[F]] = StepResult[step.facts]  # type: ignore[name-defined]
    try:
        return shape.model_validate(read_json(path), extra="ignore")
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


def embedded(domain: str, kind: Encoded) -> str:
    """Name what `embed` made of the texts or the pictures of a domain."""
    return f"{domain}.{kind}"


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
            f"`export CROSSLIFT_DATA=/data/shop`.{near_path(root) if value else ''}"
        )
    return root.resolve()
