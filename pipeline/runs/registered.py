"""What the registry is told of a package: the tags that programs read of a version, and the card for people."""

import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.folders import read_json
from pipeline.results import PRETRAIN, PackageFacts, StepResult, VerdictFacts
from pipeline.runs.account import accounts
from pipeline.runs.inputs import chain_of, lane_of
from pipeline.runs.logged import data_of, lane_settings, manifests_of
from pipeline.runs.recipes import recipe_of
from pipeline.runs.run import Run
from pipeline.runs.summary import read_report

if TYPE_CHECKING:
    from pipeline.registry.register import Candidate
    from pipeline.registry.replay import Logged


def candidate_of(
    run: Run, package: StepResult[PackageFacts], final: StepResult[VerdictFacts], logged: "Logged"
) -> "Candidate":
    """Describe a lane's package to the registry.

    Args:
        run: The run.
        package: Of the lane.
        final: The verdict that counts.
        logged: Where MLflow tells of the run.
    """
    from pipeline.evaluation.card import render_about, render_card
    from pipeline.registry.lookup import model_name
    from pipeline.registry.register import Candidate
    from pipeline.tasks.words import words_of

    scenario, lane, name = run.scenario, package.facts.lane, model_name(run.scenario)
    verdict = read_json(run.path(final) / "verdict.json")
    report, words = read_report(run), words_of(scenario.task)
    card = render_card(report, words, lane, name, [str(account) for account in accounts(run)])
    links = " → ".join(logged.link(one) for one in chain_of(run, lane) if one in logged.steps)
    return Candidate(
        name=name,
        package=run.path(package),
        identity=package.manifest,
        tags=_tags(run, lane, verdict),
        lane=lane,
        task=scenario.task.name,
        params=_params(run, lane),
        about=render_about(report, words, name),
        card=f"{card}\n\n### Where it comes from\n\n{links}, of the run {logged.link()}.",
        tested=data_of(run, scenario.target),
        logged=logged,
    )


def _tags(run: Run, lane: str, verdict: dict[str, Any]) -> dict[str, str]:
    from pipeline.registry.lookup import DATA, shortened
    from pipeline.registry.promote import CREEP, NO_TRIAL, RECIPE, TRIAL

    champion = verdict["champion"]
    return {
        "scenario": run.scenario.name,
        "lane": lane,
        RECIPE: recipe_of(run.scenario, lane),
        CREEP: f"{verdict['creep'] if lane == verdict['lane'] else 0.0:.10g}",
        "verdict": verdict["verdict"] if lane == verdict["candidate"] else "fallback",
        "reason": verdict["reason"],
        "judged_against": f"version {champion['version']}" if champion else "nothing that served",
        TRIAL: run.trial or NO_TRIAL,
        "approval": "needed" if verdict["approvable"] else "not needed",
        DATA: " ".join(shortened(manifest) for manifest in manifests_of(run).values()),
        "candidate": lane_of(run, lane).manifest,
        "run_id": run.run_id,
    }


def _params(run: Run, lane: str) -> dict[str, str]:
    """What made the model: settings, code, and the source model that it began with."""
    from pipeline.registry.lookup import SOURCE_MODEL

    source = run.results(PRETRAIN).get("") if PRETRAIN.name in chain_of(run, lane) else None
    made = {"seed": run.scenario.seed, "target_share": f"{run.scenario.target_share:g}", "code": _code_version()}
    settings = {**lane_settings(run, lane), **lane_of(run, lane).facts.chosen, **made}
    if source:
        settings[SOURCE_MODEL] = source.facts.taught_by or source.manifest
    return {key: str(value) for key, value in settings.items()}


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
