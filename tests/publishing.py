"""Publishing a step's folder in a test, without running the step."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.config import PreparedSettings, Settings
from pipeline.results import F, Step, StepResult
from pipeline.rows.interactions.prepared import Domains
from pipeline.runs.inputs import load_prepared
from pipeline.runs.run import Run
from pipeline.runs.transaction import transact

LANE = {"lane": "", "valid": {}, "valid_domain": "", "settings": {}}
FACTS: dict[str, dict[str, Any]] = {
    "ingest": {"rows": 0},
    "clean": {"tables": {}, "main": "interactions"},
    "validate": {"failed": {}, "checks": 0, "quarantined": 0, "data_docs": "unhashed/data_docs/index.html"},
    "prepare": {"rows": {}, "kept": 0, "dropped": {}},
    "audit": {"test_rows": 0, "marked": 0, "kinds": {}},
    "pretrain_source": {"epochs": 0},
    "adapt_domain": {"epochs": 0},
    "finetune_target": LANE,
    "fit_baseline": LANE,
    "blend_lanes": LANE,
    "verdict": {"verdict": "passed", "lane": None, "candidate": "", "reason": "", "failed": []},
}


class Key(Settings):
    """Whatever makes one folder another one."""

    key: str = ""


def result_of(step: Step[F], name: str = "", *, reused: bool = False, **facts: Any) -> StepResult[F]:
    """A result without a folder, with facts that say nothing but for those given."""
    told = step.facts.model_validate({**FACTS[step.name], **facts})
    return StepResult[Any](
        step=step.name, name=name, fingerprint="f", folder="x", manifest="m", reused=reused, facts=told
    )


def publish(
    run: Run,
    step: Step[F],
    write: Callable[[Path], object],
    facts: Mapping[str, Any] | None = None,
    *,
    key: object = "",
    name: str = "",
) -> StepResult[F]:
    """Publish what `write` writes, with facts that say nothing but for those given."""

    def build(_settings: Key, _inputs: Mapping[str, Any], folder: Path, _work: Path) -> F:
        write(folder)
        return step.facts.model_validate({**FACTS[step.name], **(facts or {})})

    return transact(run, step, build, Key(key=str(key)), {}, name)


def nothing(folder: Path) -> None:
    """Write nothing."""


def domains_of(run: Run) -> Domains:
    """The prepared domains of a run."""
    return load_prepared(PreparedSettings.of(run.scenario), run.prepared())
