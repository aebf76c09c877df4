"""The package of a lane: what a candidate needs to serve, published whole."""

from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.errors import MissingResultError
from pipeline.results import StepResult
from pipeline.steps.inputs import LANE_STEPS, load_prepared, prepared_inputs
from pipeline.steps.run import Run
from pipeline.steps.transaction import Facts, transact


def lanes_of(run: Run) -> dict[str, StepResult]:
    """Find the candidates of a run by lane."""
    return {name: result for step in LANE_STEPS for name, result in run.results(step).items()}


def lane_of(run: Run, lane: str) -> StepResult:
    """Find the candidate of one lane.

    Raises:
        MissingResultError: it did not succeed in this run.
    """
    if lane not in (found := lanes_of(run)):
        raise MissingResultError(
            f"run {run.run_id}: the verdict names the lane {lane!r}, which did not succeed in this run; there are: "
            f"{', '.join(found) or 'none'}."
        )
    return found[lane]


def packaged(run: Run, lane: str) -> StepResult:
    """Publish the package of a lane in its own folder; it is reused while candidate, data and code are the same."""
    scenario, candidate = run.scenario, lane_of(run, lane)
    info = {
        "scenario": scenario.name,
        "lane": lane,
        "task": scenario.task.kind,
        "target": scenario.target,
        "sources": scenario.sources,
        "pseudonymous": scenario.pseudonymous or scenario.embedded is not None,  # as ingest decides
        "key": run.result("ingest", scenario.target).facts.get("key"),
        "candidate": candidate.manifest,
        "data": prepared_inputs(run),
        "code": version("crosslift"),
    }
    inputs = {"candidate": candidate.manifest, **prepared_inputs(run)}
    return transact(run, "package", partial(_package, run, candidate, info), inputs=inputs, config=info, name=lane)


def _package(run: Run, candidate: StepResult, info: dict[str, Any], folder: Path, _work: Path) -> Facts:
    from pipeline.rows.kind import PackageInfo
    from pipeline.serving.package import write_package

    scenario = run.scenario
    prepared = load_prepared(run).as_served(scenario.bridges, target_labels=scenario.target_labels)
    write_package(folder, prepared, run.path(candidate), PackageInfo.model_validate(info))
    return {"lane": str(info["lane"])}
