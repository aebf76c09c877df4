"""How the last run of each scenario ended, as its records tell."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pipeline.errors import CrossliftError
from pipeline.folders import Home
from pipeline.results import PROMOTE, VERDICT
from pipeline.runs.run import Run, planned


@dataclass(frozen=True)
class LastRun:
    """A run: when it began (ISO 8601, UTC; empty where nobody noted it), and its outcome with the reason.

    The outcome is `not finished` where no version was registered: it goes on, or something stopped it.
    """

    scenario: str
    run_id: str
    began: str
    outcome: str
    reason: str


def last_runs(home: Home) -> list[LastRun]:
    """The last run of each scenario of which one is kept, by the scenario's name."""
    newest = {name: plan for name, _, plan in _plans(home)}
    return [_ended(home, name, str(plan.get("began", "")), plan) for name, plan in sorted(newest.items())]


def last_shown(home: Home, scenario: str) -> tuple[str, str]:
    """The last run of a scenario that judged test rows, and what they can show; empty where there is none."""
    for name, _, plan in reversed(_plans(home)):
        if name == scenario:
            with suppress(CrossliftError):
                run = Run.load(home, str(plan.get("run_id")))
                judged = run.results(VERDICT).get("")
                if judged is not None and judged.facts.shows:
                    return run.run_id, judged.facts.shows
    return "", ""


def _plans(home: Home) -> list[tuple[str, str, dict[str, Any]]]:
    """Scenario, beginning and plan of each run, the oldest first."""
    found = []
    for path in sorted(home.root.glob("runs/*/plan.json")):
        plan = planned(path.parent)
        scenario = plan.get("scenario") if isinstance(plan, dict) else None
        if isinstance(scenario, dict):
            found.append((str(scenario.get("name")), str(plan.get("began", "")), plan))
    return sorted(found, key=lambda one: one[1])


def _ended(home: Home, scenario: str, began: str, plan: dict[str, Any]) -> LastRun:
    run_id = str(plan.get("run_id"))
    try:
        run = Run.load(home, run_id)
        if (promoted := run.results(PROMOTE).get("")) is not None:
            return LastRun(scenario, run_id, began, promoted.facts.outcome, promoted.facts.reason)
        if (judged := run.results(VERDICT).get("")) is not None:
            return LastRun(scenario, run_id, began, "not finished", f"verdict {judged.facts.verdict}, not registered")
    except CrossliftError as error:
        return LastRun(scenario, run_id, began, "not finished", str(error))
    return LastRun(scenario, run_id, began, "not finished", "no verdict")
