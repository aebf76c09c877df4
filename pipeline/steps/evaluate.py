"""evaluate: rank the test rows with every candidate, ask the gate, and write the report."""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import Scenario
from pipeline.errors import CrossliftError, StorageError
from pipeline.folders import UNHASHED, digest, read_json, write_json
from pipeline.results import StepResult
from pipeline.steps.champion import UNREADABLE, serving
from pipeline.steps.inputs import load_domains, prepared_inputs, start_of
from pipeline.steps.run import Run
from pipeline.steps.transaction import Facts, cost_of, transact

if TYPE_CHECKING:
    from pipeline.evaluation.comparison import Comparison, Validated
    from pipeline.evaluation.gate import ChampionScores, Verdict
    from pipeline.evaluation.held_out import HeldOut
    from pipeline.evaluation.ranking import FloatArray
    from pipeline.registry.lookup import Champion

log = logging.getLogger(__name__)

LANE_STEPS = ("finetune_target", "fit_baseline")
STEPS = ("ingest", "validate", "prepare", "audit", "pretrain_source", "adapt_domain", *LANE_STEPS, "verdict")
POINT = "point.json"  # of the curve over shares


def evaluate(run: Run, without: int | None = None) -> StepResult:
    """Publish the verdict (`ranks.parquet`, `comparison.json`, `verdict.json`), then the report.

    The verdict depends on candidates, data, marks and gate, not on the champion: for the same snapshot it is kept, also
    when all is forced, and the test rows are not asked again. The report is published below `unhashed`, because it
    shows costs.

    Args:
        run: The run.
        without: A version that serves but cannot be read: a verdict that was made with it does not count.

    Raises:
        MissingResultError: `prepare`, `audit` or the target-only lane did not succeed.
        CrossliftError: there is no test row, or target-only cannot score.
    """
    if run.scenario.target_labels:
        run.result("finetune_target", "target_only")
    lanes = _candidates(run)
    inputs = {
        **{f"{lane.step}.{name}": lane.manifest for name, lane in lanes.items()},
        **prepared_inputs(run),
        "audit.marks": str(run.result("audit").facts["marks"]),
    }
    kept = {"name", "title", "sources", "target", "target_labels", "task", "gate", "seed", "target_share"}
    config = run.scenario.model_dump(mode="json", include=kept | {"strategies", "baselines"})
    if without is not None:
        config[UNREADABLE] = without
    verdict = transact(replace(run, force=False), "verdict", partial(_judge, run, lanes), inputs=inputs, config=config)
    curve = _keep_point(run, verdict) if run.scenario.target_labels else None
    points = {name: digest(point) for name, point in _points(curve).items()}
    return transact(
        run,
        "report",
        partial(_report, run, verdict, curve),
        inputs={"verdict": verdict.manifest, **points},
        config={"shares": run.scenario.shares},
    )


def _candidates(run: Run) -> dict[str, StepResult]:
    """Results of the lanes that succeeded, in the scenario's order."""
    found = {name: result for step in LANE_STEPS for name, result in run.results(step).items()}
    return {name: found[name] for name in _lane_names(run.scenario) if name in found}


def _lane_names(scenario: Scenario) -> list[str]:
    return [lane.name for lane in (*scenario.strategies, *scenario.baselines)]


# --- the verdict ----------------------------------------------------------------------------------------------------


def _judge(run: Run, lanes: dict[str, StepResult], folder: Path, _work: Path) -> Facts:
    from pipeline.evaluation.comparison import UNMARKED, describe_lanes
    from pipeline.evaluation.curve import make_point
    from pipeline.evaluation.gate import CHANCE, Lane, decide

    scenario, test = run.scenario, _held_out(run)
    ranks, latencies = _rank_all(run, lanes, test)
    described = describe_lanes(scenario, test.terms, {name: _validated(lanes[name]) for name in ranks})
    comparison = test.compare(ranks, described)
    metric = comparison.metric
    candidates = [Lane(lane.name, lane.kind, lane.valid[metric]) for lane in described if not lane.oracle]
    if not candidates:
        raise CrossliftError(f"no lane is left that could be promoted; failed: {', '.join(comparison.failed)}.")
    compared = dict(ranks)
    if not scenario.target_labels:
        candidates.append(Lane(CHANCE, "chance", 0.0))
        compared[CHANCE] = test.chance()
    champion, unreadable = _champion(run, test, compared)
    verdict = decide(test.terms, candidates, test.scores(compared), champion)
    if unreadable is not None:
        told = f"The champion, version {unreadable.version}, cannot be read and was left out: {unreadable.damage}."
        verdict = verdict.model_copy(update={"reason": f"{told} {verdict.reason}"})
    _write(folder, comparison, verdict, test, ranks)
    if scenario.target_labels:
        write_json(folder / POINT, make_point(comparison).model_dump(mode="json"))
    write_json(folder / UNHASHED / "latency.json", latencies)
    log.info("verdict: %s. %s", verdict.verdict, verdict.reason)
    view = comparison.views.get(UNMARKED)
    return {
        "verdict": verdict.verdict,
        "lane": verdict.lane,
        "candidate": verdict.candidate,
        "reason": verdict.reason,
        "failed": list(comparison.failed),
        "test": {name: view.lanes[name][metric].value for name in view.lanes} if view else {},
        **({UNREADABLE: unreadable.version} if unreadable else {}),
    }


def _held_out(run: Run, lane: str = "") -> "HeldOut":
    """Read the test rows, with the histories that a lane may know."""
    import pandas as pd

    from pipeline.evaluation.held_out import HeldOut

    marks = pd.read_parquet(run.path(run.result("audit")) / "marks.parquet")
    return HeldOut.of(run.scenario, load_domains(run, lane), marks)


def _validated(lane: StepResult) -> "Validated":
    """What validation said of a lane when it was fitted, on rows without marks."""
    from pipeline.evaluation.comparison import Validated

    found = lane.facts["valid"]
    assert isinstance(found, dict)
    values = {metric: round(value, 10) for metric, value in found.items() if isinstance(value, float)}
    return Validated(values, str(lane.facts["valid_domain"]))


def _rank_all(
    run: Run, lanes: dict[str, StepResult], test: "HeldOut"
) -> tuple[dict[str, "FloatArray"], dict[str, float]]:
    """Ranks of the test rows by lane and seconds of one prediction; a lane that cannot score costs only itself."""
    from pipeline.models.load import load_ranker

    ranks: dict[str, FloatArray] = {}
    latencies: dict[str, float] = {}
    oracles = run.scenario.oracles
    informed = _held_out(run, next(iter(oracles))) if oracles else test
    for name, lane in lanes.items():
        rows = informed if name in oracles else test
        folder = run.path(lane)  # a damaged candidate stops the step: a verdict without it would be kept
        try:
            ranker = load_ranker(folder)
            ranks[name] = rows.rank(ranker.scores)
            latencies[name] = rows.time(ranker.scores)
        except CrossliftError as error:
            if name == "target_only" and run.scenario.target_labels:
                raise
            log.warning("lane %s cannot score the test rows and is left out: %s", name, error)
    return ranks, latencies


def _champion(
    run: Run, test: "HeldOut", ranks: dict[str, "FloatArray"]
) -> "tuple[ChampionScores | None, Champion | None]":
    """Score what serves now, on tonight's catalogue and on the unmarked rows that its training data did not hold.

    Returns:
        Its scores, if anything serves, and the champion itself where it cannot be read.
    """
    from pipeline.evaluation.gate import ChampionScores
    from pipeline.serving.package import ServedModel

    champion = serving(run)
    if champion is None or champion.damage:
        return None, champion
    served = ServedModel.read(champion.folder)
    scores = test.scores_beside(ranks, served.on_catalogue(test.domains), served.trained_pairs())
    return ChampionScores(champion.version, champion.age_days, scores), None


def _write(
    folder: Path, comparison: "Comparison", verdict: "Verdict", test: "HeldOut", ranks: dict[str, "FloatArray"]
) -> None:
    import pandas as pd

    tables = [test.rows.assign(lane=name, rank=values) for name, values in ranks.items()]
    ranked = pd.concat(tables, ignore_index=True)
    ranked["lane"] = pd.Categorical(ranked["lane"], categories=list(ranks))
    ranked.to_parquet(folder / "ranks.parquet", index=False, compression="zstd")
    write_json(folder / "comparison.json", comparison.model_dump(mode="json"))
    write_json(folder / "verdict.json", verdict.model_dump(mode="json"))


# --- the report -----------------------------------------------------------------------------------------------------


def _keep_point(run: Run, verdict: StepResult) -> Path:
    """Put this run's point beside those of other shares of the same scenario and data; gives their folder."""
    same = run.scenario.model_dump(mode="json", exclude={"target_share", "strategies", "shares", "title", "schedule"})
    data = {name: run.result("ingest", name).manifest for name in run.scenario.domains}
    folder = run.home.root / "curves" / digest([same, data])[:32]
    write_json(folder / f"{run.scenario.target_share:g}.json", read_json(run.path(verdict) / POINT))
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


def _report(run: Run, verdict: StepResult, curve: Path | None, folder: Path, _work: Path) -> Facts:
    from pipeline.evaluation.comparison import Comparison
    from pipeline.evaluation.curve import CurvePoint
    from pipeline.evaluation.gate import Verdict
    from pipeline.evaluation.report import Report, write_report
    from pipeline.labels.items import ITEMS

    judged = run.path(verdict)
    points = [CurvePoint.model_validate(point) for point in _points(curve).values()]
    report = Report(
        comparison=Comparison.model_validate(read_json(judged / "comparison.json")),
        verdict=Verdict.model_validate(read_json(judged / "verdict.json")),
        curve=tuple(sorted(points, key=lambda point: point.share)),
        shares=run.scenario.shares,
        costs=_costs(run),
        latencies=read_json(judged / UNHASHED / "latency.json"),
    )
    (folder / UNHASHED).mkdir()
    write_report(folder / UNHASHED, report, ITEMS)
    facts = {key: verdict.facts[key] for key in ("verdict", "lane", "candidate", "reason", "failed")}
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
