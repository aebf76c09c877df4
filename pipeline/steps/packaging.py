"""The package of a lane: what a candidate needs to serve, published whole."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from pipeline.config import PackageSettings
from pipeline.errors import MissingResultError
from pipeline.results import CLEAN, INGEST, LANES, PACKAGE, LaneFacts, PackageFacts, StepResult
from pipeline.steps.inputs import load_domains
from pipeline.steps.run import Folder, Run
from pipeline.steps.transaction import transact


def lanes_of(run: Run) -> dict[str, StepResult[LaneFacts]]:
    """Find the candidates of a run by lane."""
    return {name: result for step in LANES for name, result in run.results(step).items()}


def lane_of(run: Run, lane: str) -> StepResult[LaneFacts]:
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


def packaged(run: Run, lane: str) -> StepResult[PackageFacts]:
    """Publish the package of a lane in its own folder; it is reused while candidate, data and code are the same."""
    scenario, candidate = run.scenario, lane_of(run, lane)
    settings = PackageSettings.of(
        scenario,
        lane=lane,
        pseudonymous=scenario.pseudonymous or scenario.embedded is not None,  # as ingest decides
        key=run.result(INGEST, scenario.target).facts.key,
        code=version("crosslift"),
    )
    cleaned = {f"clean.{name}": run.input(CLEAN, name) for name in scenario.domains}
    inputs = {"candidate": run.folder_of(candidate), **run.prepared(), **cleaned}
    return transact(run, PACKAGE, build, settings, inputs, lane)


def build(settings: PackageSettings, inputs: Mapping[str, Folder], folder: Path, _work: Path) -> PackageFacts:
    """Write the candidate with the items, titles and histories that it serves with."""
    import pandas as pd
    import pyarrow.parquet as pq

    from pipeline import columns as c
    from pipeline.serving.package import PackageInfo, write_package

    titles = {}
    for name in settings.domains:
        table = inputs[f"clean.{name}"].path / "items.parquet"
        if table.exists() and c.TITLE in pq.read_schema(table).names:
            items = pd.read_parquet(table, columns=[c.ITEM, c.TITLE]).drop_duplicates(c.ITEM)
            titles[name] = items.set_index(c.ITEM)[c.TITLE]
    domains = load_domains(settings, inputs)
    if not settings.target_labels and "items" in settings.bridges:
        domains = domains.with_source_counts()  # what a stranger gets
    info = PackageInfo(
        scenario=settings.name,
        lane=settings.lane,
        target=settings.target,
        sources=settings.sources,
        pseudonymous=settings.pseudonymous,
        key=settings.key,
        candidate=inputs["candidate"].identity,
        data={key: one.identity for key, one in inputs.items() if key.startswith("prepare.")},
        code=settings.code,
    )
    write_package(folder, domains, inputs["candidate"].path, info, titles)
    return PackageFacts(lane=settings.lane)
