"""The pages of a run: published by `evaluate` with the verdict, and again by `promote` with the outcome."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import ReportSettings
from pipeline.errors import StorageError
from pipeline.folders import UNHASHED, digest, read_json, write_json
from pipeline.results import (
    ADAPT,
    AUDIT,
    CLEAN,
    INGEST,
    LANES,
    PREPARE,
    PRETRAIN,
    REPORT,
    VALIDATE,
    VERDICT,
    Outcome,
    ReportFacts,
    Step,
    StepResult,
    VerdictFacts,
)
from pipeline.runs.inputs import POINT, start_of
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import cost_of, facts_of, transact

if TYPE_CHECKING:
    from pipeline.evaluation.report import StepCost

log = logging.getLogger(__name__)

STEPS: tuple[Step[Any], ...] = (INGEST, CLEAN, VALIDATE, PREPARE, AUDIT, PRETRAIN, ADAPT, *LANES, VERDICT)


def publish_report(
    run: Run, judged: StepResult[VerdictFacts], outcome: Outcome | None = None
) -> StepResult[ReportFacts]:
    """Publish `report.html`, `report.md` and `report.json` of a run.

    Args:
        run: The run, with the ranks and the comparison of its `verdict`.
        judged: Where the verdict lies that counts: the run's own, or the one against a later champion.
        outcome: What became of it; None while nobody knows.
    """
    points = _points(_keep_point(run)) if run.scenario.target_labels else ()
    splits = _points(_keep_split(run, draw)) if (draw := run.scenario.split.drawn) is not None else ()
    settings = ReportSettings.of(run.scenario, points=points, splits=splits, outcome=outcome)
    told = {f"{step.name}.{name}": run.folder_of(one) for step in STEPS for name, one in run.results(step).items()}
    inputs = {**told, "ranked": run.input(VERDICT), "verdict": run.folder_of(judged)}
    return transact(run, REPORT, build, settings, inputs)


def _keep_point(run: Run) -> Path:
    """Put this run's point beside those of other shares of the same scenario and data; gives their folder."""
    folder = run.home.root / "curves" / _same_rows(run, {"target_share": True})
    write_json(folder / f"{run.scenario.target_share:g}.json", read_json(run.input(VERDICT).path / POINT))
    return folder


def _keep_split(run: Run, draw: int) -> Path:
    """Put what this run says beside other splits of the same scenario and data; gives their folder."""
    from pipeline.evaluation.comparison import Comparison
    from pipeline.evaluation.spread import make_split_point

    comparison = Comparison.model_validate(read_json(run.input(VERDICT).path / "comparison.json"))
    folder = _splits(run)
    write_json(folder / f"{draw}.json", make_split_point(comparison, draw).model_dump(mode="json"))
    return folder


def _splits(run: Run) -> Path:
    """The folder of runs that differ in the draw of their split alone: a lane of that name is the same in all."""
    return run.home.root / "splits" / _same_rows(run, {"split": {"draw"}})


def _same_rows(run: Run, but: Mapping[str, Any]) -> str:
    """Name what runs have in common that differ in this alone, beside what decides about no number."""
    every = {"shares", "repeats", "title", "schedule"}
    same = run.scenario.model_dump(mode="json", exclude={**dict.fromkeys(every, True), **but})
    data = {name: run.result(INGEST, name).manifest for name in run.scenario.domains}
    return digest([same, data])[:32]


def _points(folder: Path) -> tuple[Any, ...]:
    """What other runs left there; what cannot be read is left out until its run is repeated."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(read_json(path))
        except StorageError as error:
            log.warning("what another run said is left out: %s", error)
    return tuple(found)


def build(settings: ReportSettings, inputs: Mapping[str, Folder], folder: Path, _work: Path) -> ReportFacts:
    """Write the three pages."""
    from pipeline.evaluation.comparison import Comparison
    from pipeline.evaluation.curve import CurvePoint
    from pipeline.evaluation.gate import Verdict
    from pipeline.evaluation.report import Report, write_report
    from pipeline.evaluation.spread import SplitPoint
    from pipeline.tasks.words import words_of

    ranked, judged = inputs["ranked"].path, inputs["verdict"].path
    points = [CurvePoint.model_validate(point) for point in settings.points]
    splits = [SplitPoint.model_validate(point) for point in settings.splits]
    report = Report(
        comparison=Comparison.model_validate(read_json(ranked / "comparison.json")),
        verdict=Verdict.model_validate(read_json(judged / "verdict.json")),
        outcome=settings.outcome,
        curve=tuple(sorted(points, key=lambda point: point.share)),
        shares=settings.shares,
        splits=tuple(sorted(splits, key=lambda point: point.draw)),
        repeats=settings.repeats,
        costs=_costs(settings, inputs),
        latencies=read_json(ranked / UNHASHED / "latency.json"),
        findings=facts_of(AUDIT, inputs[f"{AUDIT.name}."].path).findings if f"{AUDIT.name}." in inputs else (),
    )
    (folder / UNHASHED).mkdir()
    write_report(folder / UNHASHED, report, words_of(settings.task))
    return ReportFacts(
        **facts_of(VERDICT, judged).model_dump(),
        html=f"{UNHASHED}/report.html",
        markdown=f"{UNHASHED}/report.md",
        data=f"{UNHASHED}/report.json",
    )


def _costs(settings: ReportSettings, inputs: Mapping[str, Folder]) -> "tuple[StepCost, ...]":
    """Cost of each step's folder when it was computed; a lane also names the shared steps that it needed."""
    from pipeline.evaluation.report import StepCost

    needs = {
        strategy.name: tuple(dict.fromkeys(((PRETRAIN.name, ""), (start[0].name, start[1]))))
        for strategy in settings.strategies
        if (start := start_of(strategy))
    }
    costs = []
    for key, one in inputs.items():
        step, there, name = key.partition(".")
        if there:
            costs.append(StepCost(step=step, name=name, cost=cost_of(one.place), needs=needs.get(name, ())))
    return tuple(costs)
