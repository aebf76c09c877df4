"""The pages of a run: published by `evaluate` with the verdict, and again by `promote` with the outcome."""

import logging
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.errors import StorageError
from pipeline.folders import UNHASHED, digest, read_json, write_json
from pipeline.results import Outcome, StepResult
from pipeline.steps.inputs import LANE_STEPS, POINT, start_of
from pipeline.steps.run import Run
from pipeline.steps.transaction import Facts, cost_of, transact

log = logging.getLogger(__name__)

STEPS = ("ingest", "validate", "prepare", "audit", "pretrain_source", "adapt_domain", *LANE_STEPS, "verdict")


def publish_report(run: Run, judged: StepResult, outcome: Outcome | None = None) -> StepResult:
    """Publish `report.html`, `report.md` and `report.json` of a run.

    Args:
        run: The run, with the ranks and the comparison of its `verdict`.
        judged: Where the verdict lies that counts: the run's own, or the one against a later champion.
        outcome: What became of it; None while nobody knows.
    """
    curve = _keep_point(run) if run.scenario.target_labels else None
    points = {name: digest(point) for name, point in _points(curve).items()}
    told = outcome.model_dump(mode="json") if outcome else None
    return transact(
        run,
        "report",
        partial(_report, run, judged, outcome, curve),
        inputs={"ranked": run.result("verdict").manifest, "verdict": judged.manifest, **points},
        config={"shares": run.scenario.shares, "outcome": told},
    )


def _keep_point(run: Run) -> Path:
    """Put this run's point beside those of other shares of the same scenario and data; gives their folder."""
    same = run.scenario.model_dump(mode="json", exclude={"target_share", "strategies", "shares", "title", "schedule"})
    data = {name: run.result("ingest", name).manifest for name in run.scenario.domains}
    folder = run.home.root / "curves" / digest([same, data])[:32]
    write_json(folder / f"{run.scenario.target_share:g}.json", read_json(run.path(run.result("verdict")) / POINT))
    return folder


def _points(curve: Path | None) -> dict[str, Any]:
    """The curve's points by file; one that cannot be read is left out until its share is run again."""
    found = {}
    for path in sorted(curve.glob("*.json")) if curve else ():
        try:
            found[path.name] = read_json(path)
        except StorageError as error:
            log.warning("a point of the curve is left out: %s", error)
    return found


def _report(
    run: Run, judged: StepResult, outcome: Outcome | None, curve: Path | None, folder: Path, _work: Path
) -> Facts:
    from pipeline.evaluation.comparison import Comparison
    from pipeline.evaluation.curve import CurvePoint
    from pipeline.evaluation.gate import Verdict
    from pipeline.evaluation.report import Report, write_report
    from pipeline.labels.items import ITEMS

    ranked = run.path(run.result("verdict"))
    points = [CurvePoint.model_validate(point) for point in _points(curve).values()]
    report = Report(
        comparison=Comparison.model_validate(read_json(ranked / "comparison.json")),
        verdict=Verdict.model_validate(read_json(run.path(judged) / "verdict.json")),
        outcome=outcome,
        curve=tuple(sorted(points, key=lambda point: point.share)),
        shares=run.scenario.shares,
        costs=_costs(run),
        latencies=read_json(ranked / UNHASHED / "latency.json"),
    )
    (folder / UNHASHED).mkdir()
    write_report(folder / UNHASHED, report, ITEMS)
    facts = {key: judged.facts[key] for key in ("verdict", "lane", "candidate", "reason", "failed")}
    return {
        **facts,
        "html": f"{UNHASHED}/report.html",
        "markdown": f"{UNHASHED}/report.md",
        "json": f"{UNHASHED}/report.json",
    }


def _costs(run: Run) -> tuple[Any, ...]:
    """Cost of each step's folder when it was computed; a lane also names the shared steps that it needed."""
    from pipeline.evaluation.report import StepCost

    needs = {
        strategy.name: tuple(dict.fromkeys((("pretrain_source", ""), start)))
        for strategy in run.scenario.strategies
        if (start := start_of(strategy))
    }
    return tuple(
        StepCost(step=step, name=name, cost=cost_of(run.place(result)), needs=needs.get(name, ()))
        for step in STEPS
        for name, result in run.results(step).items()
    )
