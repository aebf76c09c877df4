"""What MLflow is told of a run: its figures, options and data, and each model that was fitted."""

import csv
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import Strategy
from pipeline.folders import META, digest, read_json
from pipeline.results import (
    ADAPT,
    AUDIT,
    INGEST,
    PREPARE,
    PRETRAIN,
    VALIDATE,
    VERDICT,
    LaneFacts,
    Outcome,
    ReportFacts,
    StepResult,
    TrainFacts,
    VerdictFacts,
)
from pipeline.runs.figures import comparison_of, night_figures
from pipeline.runs.inputs import chain_of, lanes_of
from pipeline.runs.run import Run
from pipeline.runs.transaction import cost_of

if TYPE_CHECKING:
    from pipeline.registry.replay import DataLog, RunLog, StepLog


def run_log(run: Run, final: StepResult[VerdictFacts], night: str) -> "RunLog":
    """Describe the run with the verdict that counts; what became of it is told when it is known.

    `night` is what `night_key` names.
    """
    from pipeline.registry.lookup import experiment_name, model_name
    from pipeline.registry.nights import METRIC, MODEL
    from pipeline.registry.replay import RunLog

    scenario, model, docs = run.scenario, model_name(run.scenario), run.result(VALIDATE)
    return RunLog(
        experiment=experiment_name(scenario),
        name=f"{model.removeprefix('crosslift.')} {night_of(run)}",
        run_id=run.run_id,
        began=_began(run).timestamp(),
        fingerprint=digest([run.run_id, night])[:32],
        night=night,
        params={
            **flat(scenario.model_dump(mode="json")),
            "strategies": ", ".join(one.name for one in scenario.strategies),
            "baselines": ", ".join(one.name for one in scenario.baselines),
            "blends": ", ".join(one.name for one in scenario.blends),
            "force": run.force, "promote": run.promote, "crosslift": version("crosslift"),
        },
        tags={"scenario": scenario.name, MODEL: model, METRIC: comparison_of(run).metric},
        metrics=night_figures(run, final),
        scenario=scenario.model_dump(mode="json", exclude_defaults=True),
        data=tuple(data_of(run, name) for name in scenario.domains),
        artifacts=(
            run.path(run.result(VERDICT)) / "comparison.json",
            run.path(run.result(AUDIT)) / "passport.json",
            (run.path(docs) / docs.facts.data_docs).parent,
        ),
        steps=tuple(_steps(run)),
    )  # fmt: skip


def night_key(run: Run, final: StepResult[VerdictFacts], unjudged: str) -> str:
    """Name what a run says, whenever it ran: two nights of one scenario with equal results are one.

    The run's own verdict is meant; whether it was made again hangs on what serves, which is looked at beside this. What
    kept it from being made, or from being made with the champion, counts.
    """
    lanes = {lane: result.manifest for lane, result in lanes_of(run).items()}
    own, hindered = run.result(VERDICT).manifest, [final.facts.unreadable, unjudged]
    return digest([run.scenario.model_dump(mode="json"), run.may_promote, own, hindered, lanes])[:32]


def night_of(run: Run) -> str:
    """When a run began, for its name: `11-27 02:00`, in UTC; MLflow shows sixteen characters or so."""
    return f"{_began(run):%m-%d %H:%M}"


def run_tags(final: StepResult[VerdictFacts], outcome: Outcome, report: StepResult[ReportFacts]) -> dict[str, str]:
    """Tell how the run ended: the gate's word about the candidate, and what came of it."""
    from pipeline.registry.nights import VERSION
    from pipeline.registry.outcome import OUTCOME, OUTCOME_REASON, told
    from pipeline.registry.promote import NO_TRIAL, TRIAL
    from pipeline.registry.replay import SERVING, told_serving

    verdict, reason = final.facts.verdict, final.facts.reason
    return {
        "candidate": final.facts.candidate,
        "verdict": verdict,
        "reason": reason,
        OUTCOME: outcome.outcome,
        OUTCOME_REASON: outcome.reason,
        TRIAL: outcome.trial or NO_TRIAL,
        VERSION: str(outcome.version),
        "report": report.fingerprint,
        "mlflow.note.content": told(f"{verdict}. {reason}", f"{outcome.outcome}. {outcome.reason}"),
        SERVING: told_serving(outcome.serving),
    }


def data_of(run: Run, name: str) -> "DataLog":
    """Describe a domain's rows as they were prepared."""
    from pipeline.registry.replay import DataLog

    prepared = run.result(PREPARE, name)
    return DataLog(name, prepared.manifest[:32], str(run.place(prepared)), prepared.facts.rows)


def manifests_of(run: Run) -> dict[str, str]:
    """Hashes of the manifests of all data that a run read, by step and domain."""
    data = {f"ingest.{at}": result.manifest for at, result in run.results(INGEST).items()}
    return data | {f"prepare.{at}": run.result(PREPARE, at).manifest for at in run.scenario.domains}


def lane_metrics(run: Run, lane: str, facts: LaneFacts) -> dict[str, float]:
    """Collect a lane's validation metrics, and its test metrics with interval on rows without marks (else on all)."""
    from pipeline.registry.nights import spread
    from pipeline.registry.tracking import metric_key
    from pipeline.runs.figures import judged_view

    found = {f"valid_{metric_key(key)}": float(value) for key, value in facts.valid.items()}
    for key, estimate in judged_view(run).get(lane, {}).items():
        found |= spread(f"test_{metric_key(key)}", estimate)
    found |= {f"logme/{metric_key(what)}": value for what, value in facts.evidence.items()}
    return found | {f"moved/{layer}": value for layer, value in facts.moved.items()}


def lane_settings(run: Run, lane: str) -> dict[str, Any]:
    """All settings of a lane in the scenario, those of network and training with them where it has one."""
    scenario = run.scenario
    if blend := next((one for one in scenario.blends if one.name == lane), None):
        return {
            f"{place}.{key}": value
            for place, member in zip(("first", "second"), blend.of, strict=True)
            for key, value in ({"lane": member} | lane_settings(run, member)).items()
        }
    config = next(one for one in (*scenario.strategies, *scenario.baselines) if one.name == lane)
    settings = flat(config.model_dump(mode="json"))
    return settings | _network(run) if isinstance(config, Strategy) else settings


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Name each setting by its way: `split.kind`."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{above}{key}.")
        else:
            found[f"{above}{key}"] = value
    return found


def _began(run: Run) -> datetime:
    """When the run began; an older plan does not say, and then it was when its first step was recorded."""
    if run.began:
        return datetime.fromisoformat(run.began)
    return datetime.fromtimestamp((run.folder / "plan.json").stat().st_mtime, UTC)


def _network(run: Run) -> dict[str, Any]:
    return flat(run.scenario.model_dump(mode="json", include={"model", "training", "seed"}))


def _steps(run: Run) -> "Iterator[StepLog]":
    """The source model, the adapted ones, and the lanes, each after what it begins with."""
    for pretrained in run.results(PRETRAIN).values():
        yield _step(run, pretrained, PRETRAIN.name, _network(run), "")
    adapts = {one.adapt.kind: one.adapt for one in run.scenario.strategies}
    for kind, adapted in run.results(ADAPT).items():
        settings = flat(adapts[kind].model_dump(mode="json"), "adapt.") if kind in adapts else {}
        yield _step(run, adapted, f"{ADAPT.name} {kind}", _network(run) | settings, PRETRAIN.name)
    for lane, result in lanes_of(run).items():
        yield _step(run, result, lane, lane_settings(run, lane), ["", *chain_of(run, lane)][-2])


def _step(
    run: Run,
    result: StepResult[LaneFacts] | StepResult[TrainFacts],
    name: str,
    settings: dict[str, Any],
    start: str,
) -> "StepLog":
    from pipeline.registry.replay import StepLog

    folder, facts = run.place(result), result.facts
    cost, lane = cost_of(folder), isinstance(facts, LaneFacts)
    chosen = facts.chosen if isinstance(facts, LaneFacts) else {"epochs": facts.epochs}
    metrics = lane_metrics(run, name, facts) if isinstance(facts, LaneFacts) else dict(facts.told)
    return StepLog(
        name=name,
        run_name=f"{name} {night_of(run)}",
        identity=result.manifest,
        params={"step": result.step, **settings, **chosen},
        metrics={**metrics, **cost.model_dump()},
        finished=float(read_json(folder / META)["finished"]),
        seconds=cost.wall_seconds,
        curves=tuple(_curves(run, folder / "metrics.csv")),
        start=start,
        lane=lane,
    )


def _curves(run: Run, path: Path) -> Iterator[tuple[str, int, float]]:
    """Read (name, epochs done, value) of a fit under plain names; what it watched is turned, more was better."""
    from pipeline.tasks.words import words_of

    if not path.exists():
        return
    metric = comparison_of(run).metric
    sign = words_of(run.scenario.task).sign(metric)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if not row["value"]:
                continue
            kind, _, what = row["key"].partition("/")
            value = float(row["value"])
            if kind == "train":
                yield f"train/{'penalty' if what == 'penalty' else f'loss_{what}'}", int(row["epoch"]) + 1, value
            else:
                yield f"valid/{metric}", int(row["epoch"]) + 1, sign * value
