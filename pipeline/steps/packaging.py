"""The package of a lane: what a candidate needs to serve, published whole."""

from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.errors import MissingResultError
from pipeline.results import StepResult
from pipeline.steps.inputs import LANE_STEPS, load_domains, prepared_inputs
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
    validated = {f"validate.{name}": run.result("validate", name).manifest for name in scenario.domains}
    info = {
        "scenario": scenario.name,
        "lane": lane,
        "target": scenario.target,
        "sources": scenario.sources,
        "pseudonymous": scenario.pseudonymous or scenario.embedded is not None,  # as ingest decides
        "key": run.result("ingest", scenario.target).facts.get("key"),
        "candidate": candidate.manifest,
        "data": prepared_inputs(run),
        "code": version("crosslift"),
    }
    inputs = {"candidate": candidate.manifest, **prepared_inputs(run), **validated}
    return transact(run, "package", partial(_package, run, candidate, info), inputs=inputs, config=info, name=lane)


def _package(run: Run, candidate: StepResult, info: dict[str, Any], folder: Path, _work: Path) -> Facts:
    import pandas as pd
    import pyarrow.parquet as pq

    from pipeline import columns as c
    from pipeline.serving.package import PackageInfo, write_package

    titles = {}
    for name in run.scenario.domains:
        table = run.path(run.result("validate", name)) / "items.parquet"
        if table.exists() and c.TITLE in pq.read_schema(table).names:
            items = pd.read_parquet(table, columns=[c.ITEM, c.TITLE]).drop_duplicates(c.ITEM)
            titles[name] = items.set_index(c.ITEM)[c.TITLE]
    domains = load_domains(run)
    if not run.scenario.target_labels and "items" in run.scenario.bridges:
        domains = domains.with_source_counts()  # what a stranger gets
    write_package(folder, domains, run.path(candidate), PackageInfo.model_validate(info), titles)
    return {"lane": str(info["lane"])}
