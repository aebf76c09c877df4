"""The package of a lane: what a candidate needs to serve, published whole."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from pipeline.config import PackageSettings
from pipeline.results import CLEAN, INGEST, PACKAGE, PackageFacts, StepResult
from pipeline.runs.inputs import lane_of, load_domains
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import transact


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
