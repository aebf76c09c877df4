"""promote: the run's lanes into MLflow, the candidate into the registry, and the alias where the gate says so."""

import subprocess
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import MissingResultError
from pipeline.folders import META, digest, exclusive, read_json, write_json
from pipeline.results import StepResult
from pipeline.steps.inputs import load_domains, prepared_inputs
from pipeline.steps.run import Run
from pipeline.steps.transaction import Facts, cost_of, transact

if TYPE_CHECKING:
    from pipeline.registry.promote import Candidate
    from pipeline.registry.tracking import LaneLog

LANE_STEPS = ("finetune_target", "fit_baseline")
_UNMARKED, _ALL = "without marked rows", "all rows"  # the views of comparison.json


def promote(run: Run) -> StepResult:
    """Log the run, register what validation picked as challenger, and make champion what the gate chose.

    The candidate is registered whatever the verdict says, so that a rejected one can be looked up with its reason. All
    registry work is looked up before it is done: a repeat, also after a crash, ends in the same state. The manifest of
    the result is the package's.

    Returns:
        Facts: model_name, version (the champion's where one was promoted, else the challenger's), alias (the strongest
        that names it), lane, verdict, promoted (whether what the gate chose serves now).

    Raises:
        MissingResultError: the verdict or the lane that it names did not succeed in this run.
        StorageError: MLflow cannot be reached; the champion is untouched.
        CrossliftError: the registered model does not serve in a fresh process; the champion is untouched.
    """
    run.forget("promote")
    judged = run.result("verdict")
    verdict = read_json(run.path(judged) / "verdict.json")
    picked, chosen = verdict["candidate"], verdict["lane"]
    packages = {lane: _packaged(run, lane) for lane in dict.fromkeys((picked, chosen)) if lane}

    from pipeline.registry.lookup import model_name
    from pipeline.registry.promote import CHALLENGER, CHAMPION, aliases, point, promote_version, register
    from pipeline.registry.tracking import connect, log_run, reached

    name = model_name(run.scenario)
    client = connect(run.home)  # also quiets what MLflow says while it is imported
    from pipeline.serving.save import save_predictor

    with exclusive(run.home.lock("promote")):
        logged = log_run(client, run.home, _run_log(run, judged, verdict))
        versions, changed = {}, False
        for lane, package in packages.items():
            candidate = _candidate(run, lane, package, verdict, logged)
            versions[lane], new = register(client, run.home, candidate, save_predictor)
            changed |= new
        with reached(client.tracking_uri):
            changed |= point(client, name, CHALLENGER, versions[picked])
        if chosen:
            changed |= promote_version(client, run.home, name, versions[chosen])
        with reached(client.tracking_uri):
            serving = aliases(client, name).get(CHAMPION)
    lane = chosen or picked
    promoted = bool(chosen) and serving == versions[lane]
    if promoted:
        keep_reference(run)
    alias = CHAMPION if serving == versions[lane] else CHALLENGER if versions[lane] == versions[picked] else ""
    result = StepResult(
        step="promote",
        fingerprint=digest([name, judged.manifest, {at: package.manifest for at, package in packages.items()}])[:32],
        folder=packages[lane].folder,
        manifest=packages[lane].manifest,
        reused=not changed,
        facts={"model_name": name, "version": versions[lane], "alias": alias, "lane": lane,
               "verdict": verdict["verdict"], "promoted": promoted},
    )  # fmt: skip
    run.record(result)
    return result


def _lanes(run: Run) -> dict[str, StepResult]:
    """Find the candidates of a run by lane."""
    return {name: result for step in LANE_STEPS for name, result in run.results(step).items()}


def _lane(run: Run, lane: str) -> StepResult:
    if lane not in (found := _lanes(run)):
        raise MissingResultError(
            f"run {run.run_id}: the verdict names the lane {lane!r}, which did not succeed in this run; there are: "
            f"{', '.join(found) or 'none'}."
        )
    return found[lane]


def _packaged(run: Run, lane: str) -> StepResult:
    """Publish the package of a lane in its own folder; it is reused while candidate, data and code are the same."""
    scenario, candidate = run.scenario, _lane(run, lane)
    validated = {f"validate.{name}": run.result("validate", name).manifest for name in scenario.domains}
    info = {
        "scenario": scenario.name,
        "lane": lane,
        "target": scenario.target,
        "sources": scenario.sources,
        "pseudonymous": scenario.pseudonymous or scenario.embedded is not None,  # as ingest decides
        "key": run.result("ingest", scenario.target).facts.get("key"),
        "candidate": candidate.manifest,
        "data": prepared_inputs(run),
        "code": version("crosslift"),
    }
    inputs = {"candidate": candidate.manifest, **prepared_inputs(run), **validated}
    return transact(run, "package", partial(_package, run, candidate, info), inputs=inputs, config=info, name=lane)


def _package(run: Run, candidate: StepResult, info: dict[str, Any], folder: Path, _work: Path) -> Facts:
    import pandas as pd
    import pyarrow.parquet as pq

    from pipeline import columns as c
    from pipeline.serving.package import PackageInfo, write_package

    titles = {}
    for name in run.scenario.domains:
        table = run.path(run.result("validate", name)) / "items.parquet"
        if table.exists() and c.TITLE in pq.read_schema(table).names:
            items = pd.read_parquet(table, columns=[c.ITEM, c.TITLE]).drop_duplicates(c.ITEM)
            titles[name] = items.set_index(c.ITEM)[c.TITLE]
    domains = load_domains(run)
    if not run.scenario.target_labels and "items" in run.scenario.bridges:
        domains = domains.with_source_counts()  # what a stranger gets
    write_package(folder, domains, run.path(candidate), PackageInfo.model_validate(info), titles)
    return {"lane": str(info["lane"])}


def _candidate(run: Run, lane: str, package: StepResult, verdict: dict[str, Any], logged: str) -> "Candidate":
    from pipeline.registry.lookup import model_name
    from pipeline.registry.promote import Candidate

    scenario, candidate = run.scenario, _lane(run, lane)
    source = run.results("pretrain_source").get("")
    data = {**{f"ingest.{at}": result.manifest for at, result in run.results("ingest").items()}, **prepared_inputs(run)}
    metrics = _metrics(run, lane, candidate)
    tags = {
        "scenario": scenario.name,
        "lane": lane,
        "verdict": verdict["verdict"] if lane == verdict["candidate"] else "fallback",
        "reason": verdict["reason"],
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
    return Candidate(model_name(scenario), run.path(package), package.manifest, tags, _experiment(run), logged)


def _experiment(run: Run) -> str:
    return f"crosslift/{run.scenario.name}"


def _run_log(run: Run, judged: StepResult, verdict: dict[str, Any]) -> Any:
    from pipeline.registry.tracking import RunLog

    scenario, lanes = run.scenario, _lanes(run)
    report = run.results("report").get("")
    pages = [run.path(judged) / "comparison.json", run.path(judged) / "verdict.json"]
    if report is not None:
        pages += [run.path(report) / str(report.facts[kind]) for kind in ("html", "markdown")]
    manifests = {lane: result.manifest for lane, result in lanes.items()}
    return RunLog(
        experiment=_experiment(run),
        run_id=run.run_id,
        fingerprint=digest([run.run_id, judged.manifest, report.manifest if report else "", manifests])[:32],
        params={"scenario": scenario.name, "sources": ",".join(scenario.sources), "target": scenario.target,
                "seed": scenario.seed, "target_share": scenario.target_share, "code": version("crosslift")},
        tags={"scenario": scenario.name, "verdict": verdict["verdict"], "candidate": verdict["candidate"],
              "mlflow.note.content": verdict["reason"]},
        metrics={},
        artifacts=tuple(path for path in pages if path.exists()),
        lanes=tuple(_lane_log(run, lane, result) for lane, result in lanes.items()),
    )  # fmt: skip


def _lane_log(run: Run, lane: str, result: StepResult) -> "LaneLog":
    from pipeline.registry.tracking import LaneLog

    folder = run.path(result)
    cost = cost_of(folder)
    settings = result.facts.get("settings")
    return LaneLog(
        name=lane,
        params={"step": result.step, **(settings if isinstance(settings, dict) else {})},
        metrics={**_metrics(run, lane, result), **cost.model_dump()},
        finished=float(read_json(folder / META)["finished"]),
        seconds=cost.wall_seconds,
        curves=folder / "metrics.csv" if (folder / "metrics.csv").exists() else None,
    )


def _metrics(run: Run, lane: str, result: StepResult) -> dict[str, float]:
    """Collect a lane's validation metrics, and its test metrics with interval on rows without marks (else on all)."""
    from pipeline.registry.tracking import metric_key

    valid = result.facts.get("valid")
    found = {f"valid_{metric_key(key)}": value for key, value in valid.items()} if isinstance(valid, dict) else {}
    views = read_json(run.path(run.result("verdict")) / "comparison.json").get("views", {})
    view = views.get(_UNMARKED) or views.get(_ALL) or {"lanes": {}}
    for key, estimate in view["lanes"].get(lane, {}).items():
        name = f"test_{metric_key(key)}"
        found |= {name: estimate["value"], f"{name}_low": estimate["low"], f"{name}_high": estimate["high"]}
    return {key: float(value) for key, value in found.items() if isinstance(value, int | float)}


def keep_reference(run: Run) -> None:
    """Keep the passport of what serves: the next night's volumes are held against it; not for thinned experiments."""
    audited = run.results("audit").get("")
    if audited is None or run.scenario.target_share != 1:
        return
    kept = run.home.root / "reference" / run.scenario.name / "passport.json"
    passport = read_json(run.path(audited) / "passport.json")
    if not kept.exists() or read_json(kept) != passport:
        write_json(kept, passport)


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
