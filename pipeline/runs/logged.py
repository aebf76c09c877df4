"""What MLflow is told of a run: its lanes, their metrics, and the tags of what is registered."""

import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.folders import META, digest, read_json
from pipeline.results import (
    INGEST,
    PREPARE,
    PRETRAIN,
    VERDICT,
    LaneFacts,
    Outcome,
    PackageFacts,
    ReportFacts,
    StepResult,
    VerdictFacts,
)
from pipeline.runs.inputs import lane_of, lanes_of
from pipeline.runs.recipes import recipe_of
from pipeline.runs.run import Run
from pipeline.runs.transaction import cost_of

if TYPE_CHECKING:
    from pipeline.registry.promote import Candidate
    from pipeline.registry.tracking import LaneLog, RunLog

_UNMARKED, _ALL = "without marked rows", "all rows"  # the views of comparison.json


def candidate_of(
    run: Run, lane: str, package: StepResult[PackageFacts], verdict: dict[str, Any], logged: str
) -> "Candidate":
    """Describe a lane's package to the registry; `logged` is the MLflow run that it came from."""
    from pipeline.registry.lookup import model_name
    from pipeline.registry.promote import CREEP, NO_TRIAL, RECIPE, TRIAL, Candidate

    scenario, candidate = run.scenario, lane_of(run, lane)
    source = run.results(PRETRAIN).get("")
    data = {f"ingest.{at}": result.manifest for at, result in run.results(INGEST).items()}
    data |= {f"prepare.{at}": run.result(PREPARE, at).manifest for at in scenario.domains}
    metrics, champion = _metrics(run, lane, candidate), verdict["champion"]
    tags = {
        "scenario": scenario.name,
        "lane": lane,
        RECIPE: recipe_of(scenario, lane),
        CREEP: f"{verdict['creep'] if lane == verdict['lane'] else 0.0:.10g}",
        "verdict": verdict["verdict"] if lane == verdict["candidate"] else "fallback",
        "reason": verdict["reason"],
        "judged_against": f"version {champion['version']}" if champion else "nothing that served",
        TRIAL: run.trial or NO_TRIAL,
        "approval": "needed" if verdict["approvable"] else "not needed",
        **{key: f"{value:.6g}" for key, value in metrics.items() if key.startswith(("valid", "test"))},
        "data": digest(data),
        **{f"data.{key}": value for key, value in data.items()},
        "source_model": source.manifest if source else "none",
        "code": _code_version(),
        "candidate": candidate.manifest,
        "run_id": run.run_id,
        "seed": str(scenario.seed),
        "target_share": f"{scenario.target_share:g}",
    }
    return Candidate(
        model_name(scenario), run.path(package), package.manifest, tags, _experiment(run), logged, scenario.task.name
    )


def _experiment(run: Run) -> str:
    return f"crosslift/{run.scenario.name}"


def run_log(run: Run) -> "RunLog":
    """Describe the run with its lanes; what became of it is told when it is known."""
    from pipeline.registry.tracking import RunLog

    scenario, lanes, judged = run.scenario, lanes_of(run), run.result(VERDICT)
    manifests = {lane: result.manifest for lane, result in lanes.items()}
    return RunLog(
        experiment=_experiment(run),
        run_id=run.run_id,
        fingerprint=digest([run.run_id, judged.manifest, manifests])[:32],
        params={"scenario": scenario.name, "sources": ",".join(scenario.sources), "target": scenario.target,
                "seed": scenario.seed, "target_share": scenario.target_share, "code": version("crosslift")},
        tags={"scenario": scenario.name},
        metrics={},
        artifacts=(run.path(judged) / "comparison.json",),
        lanes=tuple(_lane_log(run, lane, result) for lane, result in lanes.items()),
    )  # fmt: skip


def run_tags(final: StepResult[VerdictFacts], outcome: Outcome, report: StepResult[ReportFacts]) -> dict[str, str]:
    """Tell how the run ended: the gate's word about the candidate, and what came of it."""
    from pipeline.registry.outcome import OUTCOME, OUTCOME_REASON, told
    from pipeline.registry.promote import NO_TRIAL, TRIAL

    verdict, reason = final.facts.verdict, final.facts.reason
    return {
        "candidate": final.facts.candidate,
        "verdict": verdict,
        "reason": reason,
        OUTCOME: outcome.outcome,
        OUTCOME_REASON: outcome.reason,
        TRIAL: outcome.trial or NO_TRIAL,
        "report": report.fingerprint,
        "mlflow.note.content": told(f"{verdict}. {reason}", f"{outcome.outcome}. {outcome.reason}"),
    }


def _lane_log(run: Run, lane: str, result: StepResult[LaneFacts]) -> "LaneLog":
    from pipeline.registry.tracking import LaneLog

    folder = run.place(result)
    cost = cost_of(folder)
    return LaneLog(
        name=lane,
        params={"step": result.step, **result.facts.settings},
        metrics={**_metrics(run, lane, result), **cost.model_dump()},
        finished=float(read_json(folder / META)["finished"]),
        seconds=cost.wall_seconds,
        curves=folder / "metrics.csv" if (folder / "metrics.csv").exists() else None,
    )


def _metrics(run: Run, lane: str, result: StepResult[LaneFacts]) -> dict[str, float]:
    """Collect a lane's validation metrics, and its test metrics with interval on rows without marks (else on all)."""
    from pipeline.registry.tracking import metric_key

    found = {f"valid_{metric_key(key)}": value for key, value in result.facts.valid.items()}
    views = read_json(run.path(run.result(VERDICT)) / "comparison.json").get("views", {})
    view = views.get(_UNMARKED) or views.get(_ALL) or {"lanes": {}}
    for key, estimate in view["lanes"].get(lane, {}).items():
        name = f"test_{metric_key(key)}"
        found |= {name: estimate["value"], f"{name}_low": estimate["low"], f"{name}_high": estimate["high"]}
    return {key: float(value) for key, value in found.items() if isinstance(value, int | float)}


def _code_version() -> str:
    """Name the package's version, and the commit where its sources lie in a git repository of their own."""
    here = Path(__file__).parent
    try:
        own = ["git", "-C", str(here), "ls-files", "--error-unmatch", Path(__file__).name]
        subprocess.run(own, check=True, capture_output=True, timeout=10)
        head = ["git", "-C", str(here), "rev-parse", "HEAD"]
        commit = subprocess.run(head, check=True, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return version("crosslift")
    return f"{version('crosslift')}+{commit}"
