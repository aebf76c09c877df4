"""Earlier runs of a scenario, as MLflow tells them: what was gated then, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.config import Scenario
from pipeline.folders import Home
from pipeline.registry.lookup import experiment_name, model_name
from pipeline.registry.outcome import OUTCOME
from pipeline.registry.promote import NO_TRIAL, TRIAL
from pipeline.registry.tracking import connect, metric_key, reached, store_exists
from pipeline.results import Estimate

if TYPE_CHECKING:
    from mlflow.entities import Run

MODEL, METRIC, VERSION = "model", "metric", "version"  # tags of a parent run: the registered name, the gated metric
ROLES = ("candidate", "champion", "target_only", "best_baseline")
_MOST = 60  # are read: as many as one can tell apart in a figure


@dataclass(frozen=True)
class Night:
    """One earlier run of a scenario, as its parent run in MLflow tells it; figures that it does not have are None."""

    run_id: str
    ended: float  # seconds since 1970
    metric: str  # as the comparison spells it, such as ndcg@10
    verdict: str
    outcome: str  # empty where it is not known
    lane: str  # the candidate
    version: int | None  # that the outcome is about
    candidate: Estimate | None
    champion: Estimate | None
    target_only: Estimate | None
    best_baseline: Estimate | None


def nights(home: Home, scenario: Scenario) -> list[Night]:
    """Find the newest runs of a scenario with its share of target rows, sixty at most, the oldest of them first.

    Trials are left out, and so is what an older Crosslift logged without these figures. A night on which nothing had
    changed is no run of its own.

    Raises:
        StorageError: the store cannot be reached.
    """
    if not store_exists(home):
        return []
    client = connect(home)
    with reached(client.tracking_uri):
        experiment = client.get_experiment_by_name(experiment_name(scenario))
        if experiment is None:
            return []
        where = f"tags.{MODEL} = '{model_name(scenario)}' AND tags.{TRIAL} = '{NO_TRIAL}'"
        order = ["attributes.end_time DESC"]
        found = client.search_runs([experiment.experiment_id], where, max_results=_MOST, order_by=order)
        return [_night(run) for run in reversed(found)]


def figure(metric: str, role: str) -> str:
    """Name a figure of a parent run: `ndcg_at_10/champion`; MLflow draws those of one metric beside each other."""
    return f"{metric_key(metric)}/{role}"


def spread(name: str, estimate: Estimate | None) -> dict[str, float]:
    """Name a value and the ends of its interval; nothing where there is none."""
    if estimate is None:
        return {}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _night(run: "Run") -> Night:
    tags, metric = run.data.tags, run.data.tags[METRIC]
    version = tags.get(VERSION, "")
    return Night(
        run_id=tags["crosslift.run_id"],
        ended=(run.info.end_time or 0) / 1000,
        metric=metric,
        verdict=tags.get("verdict", ""),
        outcome=tags.get(OUTCOME, ""),
        lane=tags.get("candidate", ""),
        version=int(version) if version else None,
        **{role: _estimate(run.data.metrics, figure(metric, role)) for role in ROLES},
    )


def _estimate(metrics: Mapping[str, float], name: str) -> Estimate | None:
    if not spread(name, Estimate(value=0, low=0, high=0)).keys() <= metrics.keys():
        return None
    return Estimate(value=metrics[name], low=metrics[f"{name}_low"], high=metrics[f"{name}_high"])
