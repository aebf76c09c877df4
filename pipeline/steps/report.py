"""The pages of a run: published by `evaluate` with the verdict, and again by `promote` with the outcome."""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import ReportSettings
from pipeline.folders import UNHASHED, read_json, write_json
from pipeline.results import (
    ADAPT,
    AUDIT,
    BLEND,
    CLEAN,
    EMBED,
    INGEST,
    LANES,
    PREPARE,
    PRETRAIN,
    REPORT,
    TUNE,
    VALIDATE,
    VERDICT,
    F,
    Mixture,
    ReportFacts,
    Step,
    StepResult,
    VerdictFacts,
)
from pipeline.runs.account import accounts, ignored_rows
from pipeline.runs.inputs import CASES, POINT, start_of
from pipeline.runs.points import curve_of, point_name, read_points, splits_of
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import cost_of, facts_of, transact

if TYPE_CHECKING:
    from pipeline.evaluation.comparison import Comparison
    from pipeline.evaluation.learning import Learning
    from pipeline.evaluation.report import StepCost, Told
    from pipeline.labels.words import Words
    from pipeline.registry.nights import Night
    from pipeline.runs.aftermath import Aftermath

log = logging.getLogger(__name__)

CURVES = "metrics.csv"  # an artifact of a lane that was fitted by epochs
PROMOTED = "promoted"

STEPS: tuple[Step[Any], ...] = (INGEST, CLEAN, VALIDATE, PREPARE, AUDIT, EMBED, PRETRAIN, ADAPT, *LANES, VERDICT)


def publish_report(
    run: Run, judged: StepResult[VerdictFacts], after: "Aftermath | None" = None
) -> StepResult[ReportFacts]:
    """Publish `report.html`, `report.md` and `report.json` of a run.

    The page names the run that made it; a later one in which nothing changed, earlier nights neither, finds it.

    Args:
        run: The run, with the ranks and the comparison of its `verdict`.
        judged: Where the verdict lies that counts: the run's own, or the one against a later champion.
        after: What is known at the end; None before.
    """
    points = read_points(_keep_point(run)) if run.scenario.target_labels else ()
    splits = read_points(_keep_split(run, draw)) if (draw := run.scenario.split.drawn) is not None else ()
    settings = ReportSettings.of(
        run.scenario, points=points, splits=splits, rows=tuple(asdict(account) for account in accounts(run)),
        ignored=ignored_rows(run), links={"data_docs": _data_docs(run), **(after.links if after else {})},
        nights=tuple(_told(night) for night in after.nights) if after else (),
        outcome=after.outcome if after else None,
    )  # fmt: skip
    told = {f"{step.name}.{name}": run.folder_of(one) for step in STEPS for name, one in run.results(step).items()}
    inputs = {**told, "ranked": run.input(VERDICT), "verdict": run.folder_of(judged)}
    return transact(run, REPORT, partial(build, night=(run.run_id, run.began)), settings, inputs)


def _data_docs(run: Run) -> str:
    """The way from the page to the Data Docs; empty where there are none."""
    checked, page = run.results(VALIDATE).get(""), run.home.step(REPORT.name, "page") / UNHASHED
    return "" if checked is None else os.path.relpath(run.place(checked) / checked.facts.data_docs, page)


def _told(night: "Night") -> dict[str, Any]:
    """What the figure needs of an earlier night."""
    values = {name: getattr(night, name) for name in ("candidate", "champion", "target_only")}
    return {
        **{name: one.model_dump() if one else None for name, one in values.items()},
        "ended": night.ended, "metric": night.metric, "promoted": night.outcome == PROMOTED,
    }  # fmt: skip


def _keep_point(run: Run) -> Path:
    """Put this run's point beside those of other shares of the same scenario and data; gives their folder."""
    folder = curve_of(run)
    write_json(folder / point_name(run.scenario.target_share), read_json(run.input(VERDICT).path / POINT))
    return folder


def _keep_split(run: Run, draw: int) -> Path:
    """Put what this run says beside other splits of the same scenario and data; gives their folder."""
    from pipeline.evaluation.comparison import Comparison
    from pipeline.evaluation.spread import make_split_point

    comparison = Comparison.model_validate(read_json(run.input(VERDICT).path / "comparison.json"))
    folder = splits_of(run)
    write_json(folder / f"{draw}.json", make_split_point(comparison, draw).model_dump(mode="json"))
    return folder


def build(
    settings: ReportSettings, inputs: Mapping[str, Folder], folder: Path, _work: Path, *, night: tuple[str, str]
) -> ReportFacts:
    """Write the three pages; `night` is the run's id, and when it began, which decide no look-up."""
    from pipeline.evaluation.cases import Cases
    from pipeline.evaluation.curve import CurvePoint
    from pipeline.evaluation.gate import Verdict
    from pipeline.evaluation.report import SHARED, Links, NightTold, Report, Rows, tonight, write_report
    from pipeline.evaluation.spread import SplitPoint
    from pipeline.tasks.words import words_of

    ranked, judged = inputs["ranked"].path, inputs["verdict"].path
    comparison = _compared(inputs)
    verdict = Verdict.model_validate(read_json(judged / "verdict.json"))
    words, (run_id, began) = words_of(settings.task), night
    told = list(map(NightTold.model_validate, settings.nights))
    if settings.outcome is not None:
        told.append(tonight(comparison, verdict, settings.outcome.outcome == PROMOTED, began))
    report = Report(
        comparison=comparison,
        verdict=verdict,
        outcome=settings.outcome,
        curve=tuple(sorted(map(CurvePoint.model_validate, settings.points), key=lambda point: point.share)),
        shares=settings.shares,
        splits=tuple(sorted(map(SplitPoint.model_validate, settings.splits), key=lambda point: point.draw)),
        repeats=settings.repeats,
        costs=_costs(settings, inputs),
        latencies=read_json(ranked / UNHASHED / "latency.json"),
        findings=facts_of(AUDIT, inputs[f"{AUDIT.name}."].path).findings if f"{AUDIT.name}." in inputs else (),
        run_id=run_id,
        began=began,
        links=Links.model_validate(settings.links),
        nights=tuple(told),
        learning=_learning(comparison, words, inputs),
        adapted=_numbers(ADAPT, inputs, lambda facts: facts.told),
        moved=_numbers(TUNE, inputs, lambda facts: facts.moved),
        evidence=tuple(one for step in LANES for one in _numbers(step, inputs, lambda facts: facts.evidence)),
        mixtures=_mixtures(inputs),
        cases=Cases.model_validate(read_json(judged / CASES)),
        rows=tuple(Rows.model_validate(rows) for rows in settings.rows),
        ignored=settings.ignored,
        folded=_folded(comparison.target, inputs),
    )
    (folder / UNHASHED).mkdir()
    write_report(folder / UNHASHED, report, words)
    html, markdown, data = (f"{UNHASHED}/report.{kind}" for kind in ("html", "md", "json"))
    shared = tuple(f"{UNHASHED}/{SHARED}/{page}" for page in ("report.html", "report.md"))
    told_before = facts_of(VERDICT, judged).model_dump()
    return ReportFacts(**told_before, html=html, markdown=markdown, data=data, shared=shared)


def _compared(inputs: Mapping[str, Folder]) -> "Comparison":
    """What was compared; of a registered model in the place of sources the version, where the scenario has an alias."""
    from pipeline.evaluation.comparison import Comparison

    found = Comparison.model_validate(read_json(inputs["ranked"].path / "comparison.json"))
    start = inputs.get(f"{PRETRAIN.name}.")
    taught = facts_of(PRETRAIN, start.path).taught_by if start else ""
    return found.model_copy(update={"sources": (taught,)}) if taught else found


def _folded(target: str, inputs: Mapping[str, Folder]) -> tuple[int, int] | None:
    """In how many folds how many rows of the target chose; None where its validation rows did."""
    from pipeline.rows.kind import FOLDED, FOLDS

    if (prepared := inputs.get(f"{PREPARE.name}.{target}")) is None:
        return None
    known = facts_of(PREPARE, prepared.path).known
    return (known[FOLDS], known[FOLDED]) if FOLDS in known else None


def _learning(comparison: "Comparison", words: "Words", inputs: Mapping[str, Folder]) -> "tuple[Learning, ...]":
    """How the lanes learnt that have epochs, the best on validation rows first."""
    from pipeline.evaluation.learning import read_learning

    sign = words.sign(comparison.watched)
    paths = [
        (lane.name, one.path / CURVES)
        for lane in comparison.lanes
        for step in LANES
        if (one := inputs.get(f"{step.name}.{lane.name}")) is not None
    ]
    found = [read_learning(path, name, sign) for name, path in paths if path.exists()]
    return tuple(one for one in found if one is not None)


def _numbers(
    step: Step[F], inputs: Mapping[str, Folder], values: Callable[[F], dict[str, float]]
) -> "tuple[Told, ...]":
    """What each folder of a step tells in numbers, where it tells any."""
    from pipeline.evaluation.report import Told

    facts = {key.partition(".")[2]: facts_of(step, one.path) for key, one in inputs.items()
             if key.startswith(f"{step.name}.")}  # fmt: skip
    return tuple(Told(name=name, values=values(one)) for name, one in facts.items() if values(one))


def _mixtures(inputs: Mapping[str, Folder]) -> tuple[Mixture, ...]:
    """How much each lane counts in each blend."""
    told = [facts_of(BLEND, one.path).mixture for key, one in inputs.items() if key.startswith(f"{BLEND.name}.")]
    return tuple(one for one in told if one)


def _costs(settings: ReportSettings, inputs: Mapping[str, Folder]) -> "tuple[StepCost, ...]":
    """Cost of each step's folder when it was computed; a lane also names the shared steps that it needed."""
    from pipeline.evaluation.report import StepCost

    needs: dict[str, tuple[tuple[str, str], ...]] = {
        strategy.name: tuple(dict.fromkeys(((PRETRAIN.name, ""), (start[0].name, start[1]))))
        for strategy in settings.strategies
        if (start := start_of(strategy))
    }
    for blend in settings.blends:
        own = [(step.name, one) for one in blend.of for step in LANES if f"{step.name}.{one}" in inputs]
        needs[blend.name] = (*own, *(need for one in blend.of for need in needs.get(one, ())))
    costs = []
    for key, one in inputs.items():
        step, there, name = key.partition(".")
        if there:
            costs.append(StepCost(step=step, name=name, cost=cost_of(one.place), needs=needs.get(name, ())))
    return tuple(costs)
