"""The verdict: judge the test rows with every candidate, and ask the gate; again where another champion serves."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import JudgeSettings, PreparedSettings, RejudgeSettings, names_of
from pipeline.errors import CrossliftError
from pipeline.folders import UNHASHED, read_json, write_json
from pipeline.results import AUDIT, REJUDGED, TUNE, VERDICT, LaneFacts, StepResult, VerdictFacts
from pipeline.runs.champion import serving
from pipeline.runs.inputs import CASES, MARKS, POINT, lanes_of, load_prepared
from pipeline.runs.predictions import as_column, read_predictions, write_predictions
from pipeline.runs.recipes import recipe_of
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import facts_of, transact
from pipeline.steps.showing import show_cases

if TYPE_CHECKING:
    from pipeline.evaluation.comparison import Comparison, LaneInfo, Validated
    from pipeline.evaluation.gate import Verdict
    from pipeline.evaluation.hearing import ChampionScores, Lane
    from pipeline.evaluation.held_out import HeldOut
    from pipeline.registry.lookup import Champion
    from pipeline.rows.kind import Prepared
    from pipeline.views import FloatArray

    Night = Callable[[Champion], Prepared | None]  # finds what was prepared when a champion was made

log = logging.getLogger(__name__)
Inputs = Mapping[str, Folder]


def judge(run: Run) -> StepResult[VerdictFacts]:
    """Publish the verdict: `predictions.parquet`, `comparison.json`, `verdict.json`.

    It is looked up by candidates, data, marks and gate, not by the champion: for the same snapshot it is kept, also
    when all is forced, and the test rows are not asked again. It says which champion it was made against.

    Raises:
        MissingResultError: `prepare`, `audit` or the target-only lane did not succeed.
        CrossliftError: there is no test row, or target-only cannot score.
    """
    if run.scenario.target_labels:
        run.result(TUNE, "target_only")
    settings = JudgeSettings.of(run.scenario, oracles=tuple(sorted(run.scenario.oracles)))
    build = partial(_judge, find_champion=lambda: serving(run), night=partial(_night, run))
    return transact(replace(run, force=False), VERDICT, build, settings, _inputs(run))


def judge_again(run: Run, judged: StepResult[VerdictFacts]) -> StepResult[VerdictFacts]:
    """Publish the verdict against what serves by now, from what a kept one holds: nobody predicts the test rows again.

    It is kept for that verdict and that champion. Nothing but the comparison with the champion can come out otherwise.

    Raises:
        CrossliftError: the champion cannot be found or scored.
    """
    from pipeline.registry.lookup import find_champion, model_name

    champion = find_champion(run.home, model_name(run.scenario))
    settings = RejudgeSettings.of(
        run.scenario,
        oracles=tuple(sorted(run.scenario.oracles)),
        champion=champion.package if champion else None,
        unreadable=champion.version if champion and champion.damage else None,
    )
    inputs = {"verdict": run.folder_of(judged), **_inputs(run)}
    build = partial(_judge_again, champion=champion, night=partial(_night, run))
    return transact(replace(run, force=False), REJUDGED, build, settings, inputs)


def _candidates(run: Run) -> dict[str, StepResult[LaneFacts]]:
    """Results of the lanes that succeeded, in the scenario's order."""
    found = lanes_of(run)
    return {name: found[name] for name in names_of(run.scenario) if name in found}


def _inputs(run: Run) -> dict[str, Folder]:
    """The candidates, and the test rows with their marks."""
    lanes = {f"lane.{name}": run.folder_of(lane) for name, lane in _candidates(run).items()}
    return {**lanes, **run.prepared(encoders=run.scenario.encoders), "marks": run.input(AUDIT, artifact=MARKS)}


def _lanes(inputs: Inputs) -> dict[str, Folder]:
    return {key.removeprefix("lane."): one for key, one in inputs.items() if key.startswith("lane.")}


def _judge(
    settings: JudgeSettings,
    inputs: Inputs,
    folder: Path,
    _work: Path,
    *,
    find_champion: "Callable[[], Champion | None]",
    night: "Night",
) -> VerdictFacts:
    """Write predictions, comparison and verdict; what serves is asked for here and decides no look-up."""
    from pipeline.evaluation.comparison import describe_lanes
    from pipeline.evaluation.curve import make_point

    test, champion = held_out(settings, inputs), find_champion()
    lanes = _lanes(inputs)
    predicted, latencies = _predict_all(settings, inputs, lanes, test)
    validated = {name: _validated(lanes[name]) for name in predicted}
    comparison = test.compare(predicted, describe_lanes(settings, test.terms, validated))
    verdict = _ask(settings, test, comparison, predicted, champion, night)
    comparison = comparison.model_copy(update={"effects": _effects(test, lanes, verdict, predicted)})
    _write(folder, comparison, verdict, test, predicted)
    cases = show_cases(test, lanes, comparison, verdict.lane or verdict.candidate, champion)
    write_json(folder / CASES, cases.model_dump(mode="json"))
    if settings.target_labels:
        write_json(folder / POINT, make_point(comparison).model_dump(mode="json"))
    write_json(folder / UNHASHED / "latency.json", latencies)
    return _told(settings, verdict, comparison, champion)


def _judge_again(
    settings: RejudgeSettings, inputs: Inputs, folder: Path, _work: Path, *, champion: "Champion | None", night: "Night"
) -> VerdictFacts:

    from pipeline.evaluation.comparison import Comparison

    kept = inputs["verdict"].path
    comparison = Comparison.model_validate(read_json(kept / "comparison.json"))
    predicted = read_predictions(kept, [one.name for one in comparison.lanes])
    test = held_out(settings, inputs)
    verdict = _ask(settings, test, comparison, predicted, champion, night)
    cases = show_cases(test, _lanes(inputs), comparison, verdict.lane or verdict.candidate, champion)
    write_json(folder / CASES, cases.model_dump(mode="json"))
    write_json(folder / "verdict.json", verdict.model_dump(mode="json"))
    return _told(settings, verdict, comparison, champion)


def _ask(
    settings: JudgeSettings,
    test: "HeldOut",
    comparison: "Comparison",
    predicted: dict[str, "FloatArray"],
    champion: "Champion | None",
    night: "Night",
) -> "Verdict":
    """Ask the gate about the candidate that validation picks, with the champion scored on tonight's rows."""
    from pipeline.evaluation.gate import decide
    from pipeline.evaluation.hearing import Lane
    from pipeline.evaluation.reasons import no_skill, stood_in
    from pipeline.evaluation.terms import CHANCE

    candidates = candidate_lanes(settings, comparison)
    if not candidates:
        raise CrossliftError(f"no lane is left that could be promoted; failed: {', '.join(comparison.failed)}.")
    compared = {**predicted, CHANCE: test.chance()}
    if not settings.target_labels:
        candidates.append(Lane(CHANCE, "chance", 0.0))
    served = _scored(champion, night, test, compared) if champion and not champion.damage else None
    verdict = decide(test.terms, candidates, test.scores(compared), served)
    asked = {name: compared[name] for name in (verdict.candidate, verdict.lane or verdict.candidate, CHANCE)}
    told = stood_in(settings.baselines, comparison.failed, verdict.lane)
    every, unmarked = test.scores(asked, marked=True), test.scores(asked)
    told += no_skill(test.terms, verdict.candidate, verdict.lane, every, unmarked)
    verdict = verdict.model_copy(update={"reason": f"{verdict.reason}{told}"})
    if champion is not None and champion.damage:
        told = f"The champion, version {champion.version}, cannot be read and was left out: {champion.damage}."
        verdict = verdict.model_copy(update={"reason": f"{told} {verdict.reason}"})
    return verdict


def candidate_lanes(settings: JudgeSettings, comparison: "Comparison") -> list["Lane"]:
    """List the lanes that may serve, with what the gate has to know of each."""
    from pipeline.evaluation.hearing import Lane

    return [
        Lane(
            lane.name,
            lane.kind,
            lane.valid[comparison.metric],
            transfer=lane.domains != (settings.target,),
            recipe=recipe_of(settings, lane.name),
            counterpart=lane.counterpart,
        )
        for lane in comparison.lanes
        if not lane.oracle and not _unproved(settings, lane)
    ]


def _unproved(settings: JudgeSettings, lane: "LaneInfo") -> bool:
    """Whether it is a blend with a source whose counterpart failed: its gain could be that of blending alone."""
    return lane.kind == "blend" and lane.domains != (settings.target,) and lane.counterpart is None


def _told(
    settings: JudgeSettings, verdict: "Verdict", comparison: "Comparison", champion: "Champion | None"
) -> VerdictFacts:
    from pipeline.evaluation.reasons import shown
    from pipeline.tasks.words import words_of

    return VerdictFacts(
        verdict=verdict.verdict,
        lane=verdict.lane,
        candidate=verdict.candidate,
        reason=verdict.reason,
        failed=comparison.failed,
        unreadable=champion.version if champion and champion.damage else None,
        shows=shown(words_of(settings.task), verdict.comparisons),
    )


def held_out(settings: JudgeSettings, inputs: Inputs, *, oracle: bool = False) -> "HeldOut":
    """Read the test rows, with what an oracle may know of them, or any other lane."""
    import pandas as pd

    from pipeline.evaluation.held_out import HeldOut

    marks = pd.read_parquet(inputs["marks"].path)
    return HeldOut.of(settings, load_prepared(settings, inputs, oracle=oracle), marks)


def _validated(lane: Folder) -> "Validated":
    """What validation said of a lane when it was fitted, on rows without marks."""
    from pipeline.evaluation.comparison import Validated

    told = facts_of(TUNE, lane.path)  # those of a baseline or a blend are of the same shape
    values = {metric: round(value, 10) for metric, value in told.valid.items()}
    return Validated(values, told.valid_domain, told.mixture)


def _predict_all(
    settings: JudgeSettings, inputs: Inputs, lanes: Inputs, test: "HeldOut"
) -> tuple[dict[str, "FloatArray"], dict[str, float]]:
    """Predict the test rows by lane, and time one prediction; a lane that cannot score costs only itself."""
    from pipeline.models.load import load_ranker

    predicted: dict[str, FloatArray] = {}
    latencies: dict[str, float] = {}
    informed = held_out(settings, inputs, oracle=True) if settings.oracles else test
    for name, lane in lanes.items():
        rows = informed if name in settings.oracles else test
        folder = lane.path  # a damaged candidate stops the step: a verdict without it would be kept
        try:
            predictor = load_ranker(folder)
            predicted[name] = rows.predict(predictor)
            if (seconds := rows.time(predictor)) is not None:
                latencies[name] = seconds
        except CrossliftError as error:
            if name == "target_only" and settings.target_labels:
                raise
            log.warning("lane %s cannot score the test rows and is left out: %s", name, error)
    return predicted, latencies


def _effects(
    test: "HeldOut", lanes: Inputs, verdict: "Verdict", predicted: Mapping[str, "FloatArray"]
) -> dict[str, dict[str, float]]:
    """What moves the answers of the candidate, of what the gate chose and of target-only; of rankings nothing."""
    from pipeline.models.load import load_ranker

    shown = (verdict.candidate, verdict.lane or verdict.candidate, "target_only")
    names = [name for name in dict.fromkeys(shown) if name in predicted]
    found = {name: test.label.effects(load_ranker(lanes[name].path), test.rows) for name in names}
    return {name: effects for name, effects in found.items() if effects}


def _scored(
    champion: "Champion", night: "Night", test: "HeldOut", predicted: dict[str, "FloatArray"]
) -> "ChampionScores":
    """Score what serves on tonight's unmarked rows that its training data did not hold."""
    from pipeline.evaluation.hearing import ChampionScores
    from pipeline.serving.package import ServedModel

    before = night(champion)
    return ChampionScores(
        champion.version, champion.package, champion.age_days,
        test.scores_beside(predicted, ServedModel.read(champion.folder).served),
        champion.recipe, champion.creep, test.count_new(before) if before else None,
    )  # fmt: skip


def _night(run: Run, champion: "Champion") -> "Prepared | None":
    """Find the prepared rows of the champion's night; None where its run is not at hand any more."""
    try:
        night = Run.load(run.home, champion.run_id)
        fitted = _candidates(night).get(champion.lane)
        if fitted is None or fitted.manifest != champion.candidate:
            return None
        return load_prepared(PreparedSettings.of(night.scenario), night.prepared())
    except CrossliftError:
        return None


def _write(
    folder: Path, comparison: "Comparison", verdict: "Verdict", test: "HeldOut", predicted: dict[str, "FloatArray"]
) -> None:
    rows = test.rows.rows.assign(**{label.name: as_column(label.value) for label in test.rows.labels})
    write_predictions(folder, rows, predicted)
    write_json(folder / "comparison.json", comparison.model_dump(mode="json"))
    write_json(folder / "verdict.json", verdict.model_dump(mode="json"))
