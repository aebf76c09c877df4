"""prepare: splits and id maps of each domain, from the validated rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import PrepareSettings, Scenario
from pipeline.results import CLEAN, PREPARE, PrepareFacts, StepResult
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import transact

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.rows.kind import Given, Parts

SOURCE = "source."  # before the name of a source among the inputs: a domain may have any name
QUARANTINE = "quarantine"
BORDER = "border.parquet"  # from when on a source must not know anything: for all users, or by user


def prepare(run: Run) -> dict[str, StepResult[PrepareFacts]]:
    """Publish one folder a domain (see the rows of the task), the target's first.

    A source's folder hangs on the target only through the times from which it must not know anything, and not on the
    share of target rows, so that thinning the target or changing its items leaves the source's bytes alone.

    Raises:
        DataError: a split needs a column that is missing, or leaves a part empty that a run needs.
        MissingResultError: `validate` did not succeed in this run.
    """
    scenario = run.scenario
    for name in scenario.domains:
        run.forget(PREPARE, name)
    cleaned = {name: {"clean": run.input(CLEAN, name)} for name in scenario.domains}
    target = scenario.target
    known = {f"{SOURCE}{name}": cleaned[name]["clean"] for name in scenario.sources if scenario.split.needs_sources}
    prepared = transact(run, PREPARE, build_target, _settings(scenario, target), {**cleaned[target], **known}, target)
    border = run.input(PREPARE, target, BORDER)
    sources = {
        name: transact(run, PREPARE, build_source, _settings(scenario, name), {**cleaned[name], "border": border}, name)
        for name in scenario.sources
    }
    return {**sources, target: prepared}


def _settings(scenario: Scenario, domain: str) -> PrepareSettings:
    own = domain == scenario.target
    needs = ("train", "valid", "test") if scenario.target_labels else ()
    return PrepareSettings(
        domain=domain,
        task=scenario.task.as_rows(),
        split=scenario.split if own else scenario.split.for_sources(),
        share=(scenario.target_share if scenario.target_labels else 0.0) if own else 1.0,
        draw=scenario.share_draw if own else 0,
        stratified=own and scenario.thinning == "stratified",
        duplicates=scenario.duplicates,
        needs=needs if own else ("train",),
    )


def build_target(settings: PrepareSettings, inputs: Mapping[str, Folder], folder: Path, _work: Path) -> PrepareFacts:
    """Part the target's rows, and say from when on sources must not know anything."""
    from pipeline.data.splits import write_border
    from pipeline.tasks.parting import parting_of

    sources = {key.removeprefix(SOURCE): _tables(one) for key, one in inputs.items() if key.startswith(SOURCE)}
    parts, border = parting_of(settings.task).target(_given(settings, inputs), sources)
    write_border(border, folder / BORDER)
    return _publish(settings, parts, folder)


def build_source(settings: PrepareSettings, inputs: Mapping[str, Folder], folder: Path, _work: Path) -> PrepareFacts:
    """Part a source's rows, those from before the border."""
    from pipeline.data.splits import read_border
    from pipeline.tasks.parting import parting_of

    border = read_border(inputs["border"].path)
    return _publish(settings, parting_of(settings.task).source(_given(settings, inputs), border), folder)


def _given(settings: PrepareSettings, inputs: Mapping[str, Folder]) -> "Given":
    from pipeline.rows.kind import Given

    tables = _tables(inputs["clean"])
    return Given(settings.domain, tables, settings.split, settings.share, settings.draw, settings.stratified,
                 settings.duplicates)  # fmt: skip


def _publish(settings: PrepareSettings, parts: "Parts", folder: Path) -> PrepareFacts:
    from pipeline.rows.empty import refuse_empty

    refuse_empty(settings.domain, parts, settings.needs, settings.split)
    parts.write(folder)
    latest = parts.span[1].isoformat() if parts.span else None
    return PrepareFacts(rows=parts.rows, kept=parts.kept, dropped=parts.dropped, known=parts.known, latest=latest)


def _tables(cleaned: Folder) -> "dict[str, pd.DataFrame]":
    """The validated tables of a domain."""
    import pandas as pd

    names = (name for name in cleaned.path.glob("*.parquet") if name.stem != QUARANTINE)
    return {path.stem: pd.read_parquet(path) for path in sorted(names)}
