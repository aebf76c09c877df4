"""The verdict: rank the test rows with every candidate, and ask the gate; again where another champion serves."""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import Scenario
from pipeline.errors import CrossliftError
from pipeline.folders import UNHASHED, read_json, write_json
from pipeline.results import StepResult
from pipeline.steps.champion import UNREADABLE, serving
from pipeline.steps.inputs import LANE_STEPS, POINT, load_domains, prepared_inputs
from pipeline.steps.recipes import recipe_of
from pipeline.steps.run import Run
from pipeline.steps.transaction import Facts, transact

if TYPE_CHECKING:
    from pipeline.evaluation.comparison import Comparison, Validated
    from pipeline.evaluation.gate import Verdict
    from pipeline.evaluation.hearing import ChampionScores, Lane
    from pipeline.evaluation.held_out import HeldOut
    from pipeline.evaluation.ranking import FloatArray
    from pipeline.registry.lookup import Champion

log = logging.getLogger(__name__)


def judge(run: Run) -> StepResult:
    """Publish the verdict: `ranks.parquet`, `comparison.json`, `verdict.json`.

    It is looked up by candidates, data, marks and gate, not by the champion: for the same snapshot it is kept, also
    when all is forced, and the test rows are not asked again. It says which champion it was made against.

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
    return transact(replace(run, force=False), "verdict", partial(_judge, run, lanes), inputs=inputs, config=config)


def judge_again(run: Run, judged: StepResult) -> StepResult:
    """Publish the verdict against what serves by now, from the ranks of a kept one: no candidate ranks anything again.

    It is kept for that verdict and that champion. Nothing but the comparison with the champion can come out otherwise.

    Raises:
        CrossliftError: the champion cannot be found or scored.
    """
    from pipeline.registry.lookup import find_champion, model_name

    champion = find_champion(run.home, model_name(run.scenario))
    return transact(
        replace(run, force=False),
        "rejudged",
        partial(_judge_again, run, judged, champion),
        inputs={"verdict": judged.manifest},
        config={
            "champion": champion.package if champion else None,
            UNREADABLE: champion.version if champion and champion.damage else None,
        },
    )


def _candidates(run: Run) -> dict[str, StepResult]:
    """Results of the lanes that succeeded, in the scenario's order."""
    found = {name: result for step in LANE_STEPS for name, result in run.results(step).items()}
    return {name: found[name] for name in _lane_names(run.scenario) if name in found}


def _lane_names(scenario: Scenario) -> list[str]:
    return [lane.name for lane in (*scenario.strategies, *scenario.baselines)]


def _judge(run: Run, lanes: dict[str, StepResult], folder: Path, _work: Path) -> Facts:
    from pipeline.evaluation.comparison import UNMARKED, describe_lanes
    from pipeline.evaluation.curve import make_point

    test, champion = _held_out(run), serving(run)
    ranks, latencies = _rank_all(run, lanes, test)
    validated = {name: _validated(lanes[name]) for name in ranks}
    comparison = test.compare(ranks, describe_lanes(run.scenario, test.terms, validated))
    verdict = _ask(run, test, comparison, ranks, champion)
    _write(folder, comparison, verdict, test, ranks)
    if run.scenario.target_labels:
        write_json(folder / POINT, make_point(comparison).model_dump(mode="json"))
    write_json(folder / UNHASHED / "latency.json", latencies)
    view = comparison.views.get(UNMARKED)
    return {
        **_told(verdict, champion),
        "failed": list(comparison.failed),
        "test": {name: view.lanes[name][comparison.metric].value for name in view.lanes} if view else {},
    }


def _judge_again(run: Run, judged: StepResult, champion: "Champion | None", folder: Path, _work: Path) -> Facts:
    import pandas as pd

    from pipeline.evaluation.comparison import Comparison

    kept = run.path(judged)
    comparison = Comparison.model_validate(read_json(kept / "comparison.json"))
    ranked = pd.read_parquet(kept / "ranks.parquet")
    ranks = {one.name: ranked.loc[ranked["lane"] == one.name, "rank"].to_numpy() for one in comparison.lanes}
    verdict = _ask(run, _held_out(run), comparison, ranks, champion)
    write_json(folder / "verdict.json", verdict.model_dump(mode="json"))
    return {**_told(verdict, champion), "failed": list(comparison.failed)}


def _ask(
    run: Run,
    test: "HeldOut",
    comparison: "Comparison",
    ranks: dict[str, "FloatArray"],
    champion: "Champion | None",
) -> "Verdict":
    """Ask the gate about the candidate that validation picks, with the champion scored on tonight's rows."""
    from pipeline.evaluation.gate import decide
    from pipeline.evaluation.hearing import Lane
    from pipeline.evaluation.terms import CHANCE

    candidates = _candidate_lanes(run.scenario, comparison)
    if not candidates:
        raise CrossliftError(f"no lane is left that could be promoted; failed: {', '.join(comparison.failed)}.")
    compared = {**ranks, CHANCE: test.chance()}
    if not run.scenario.target_labels:
        candidates.append(Lane(CHANCE, "chance", 0.0))
    served = _scored(run, champion, test, compared) if champion and not champion.damage else None
    verdict = decide(test.terms, candidates, test.scores(compared), served)
    if champion is not None and champion.damage:
        told = f"The champion, version {champion.version}, cannot be read and was left out: {champion.damage}."
        verdict = verdict.model_copy(update={"reason": f"{told} {verdict.reason}"})
    log.info("verdict: %s. %s", verdict.verdict, verdict.reason)
    return verdict


def _candidate_lanes(scenario: Scenario, comparison: "Comparison") -> list["Lane"]:
    """List the lanes that may serve, with what the gate has to know of each."""
    from pipeline.evaluation.hearing import Lane

    return [
        Lane(
            lane.name,
            lane.kind,
            lane.valid[comparison.metric],
            transfer=lane.domains != (scenario.target,),
            recipe=recipe_of(scenario, lane.name),
        )
        for lane in comparison.lanes
        if not lane.oracle
    ]


def _told(verdict: "Verdict", champion: "Champion | None") -> Facts:
    return {
        "verdict": verdict.verdict,
        "lane": verdict.lane,
        "candidate": verdict.candidate,
        "reason": verdict.reason,
        **({UNREADABLE: champion.version} if champion and champion.damage else {}),
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


def _scored(run: Run, champion: "Champion", test: "HeldOut", ranks: dict[str, "FloatArray"]) -> "ChampionScores":
    """Score what serves on tonight's catalogue and on the unmarked rows that its training data did not hold."""
    from pipeline.evaluation.hearing import ChampionScores
    from pipeline.serving.package import ServedModel

    served = ServedModel.read(champion.folder)
    scores = test.scores_beside(ranks, served.on_catalogue(test.domains), served.trained_pairs())
    return ChampionScores(
        champion.version, champion.package, champion.age_days, scores, champion.recipe, champion.creep,
        _new_rows(run, champion, test),
    )  # fmt: skip


def _new_rows(run: Run, champion: "Champion", test: "HeldOut") -> int | None:
    """Count the test rows that were none on the champion's night; None where its run is not at hand any more."""
    try:
        night = Run.load(run.home, champion.run_id)
        fitted = _candidates(night).get(champion.lane)
        if fitted is None or fitted.manifest != champion.candidate:
            return None
        return test.count_new(load_domains(night))
    except CrossliftError:
        return None


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
