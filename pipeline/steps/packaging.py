"""The package of a lane: what a candidate needs to serve, published whole."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from pipeline.config import PackageSettings, Reading
from pipeline.results import INGEST, PACKAGE, PRETRAIN, PackageFacts, StepResult
from pipeline.runs.inputs import chain_of, lane_of, load_prepared
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import transact


def packaged(run: Run, lane: str) -> StepResult[PackageFacts]:
    """Publish the package of a lane in its own folder; it is reused while candidate, data and code are the same."""
    scenario, candidate = run.scenario, lane_of(run, lane)
    settings = PackageSettings.of(
        scenario,
        task=scenario.task.as_rows(),
        lane=lane,
        pseudonymous=scenario.pseudonymous or scenario.embedded is not None,  # as ingest decides
        alike=scenario.tables.alike if scenario.tables else {},
        reading=scenario.tables.read_of(scenario.target) if scenario.tables else Reading(),
        key=run.result(INGEST, scenario.target).facts.key,
        code=version("crosslift"),
    )
    inputs = {"candidate": run.folder_of(candidate), **run.prepared()}
    if scenario.source_model and PRETRAIN.name in chain_of(run, lane):
        inputs[PRETRAIN.name] = run.folder_of(run.result(PRETRAIN))
    return transact(run, PACKAGE, build, settings, inputs, lane)


def build(settings: PackageSettings, inputs: Mapping[str, Folder], folder: Path, _work: Path) -> PackageFacts:
    """Write the candidate with all that it needs to answer requests."""
    from pipeline.rows.kind import PackageInfo
    from pipeline.rows.learnt import NOTHING, Learnt
    from pipeline.serving.package import write_package

    prepared = load_prepared(settings, inputs).as_served(
        settings.bridges, target_labels=settings.target_labels, personal=settings.personal
    )
    info = PackageInfo(
        scenario=settings.name,
        lane=settings.lane,
        task=settings.task.name,
        target=settings.target,
        sources=settings.sources,
        pseudonymous=settings.pseudonymous,
        key=settings.key,
        alike=settings.alike,
        reading=settings.reading,
        candidate=inputs["candidate"].identity,
        data={key: one.identity for key, one in inputs.items() if key.startswith("prepare.")},
        code=settings.code,
    )
    begun = inputs.get(PRETRAIN.name)
    write_package(folder, prepared, inputs["candidate"].path, info, Learnt.read(begun.path) if begun else NOTHING)
    return PackageFacts(lane=settings.lane, begun=begun is not None)
