"""What is known at the end of a run and told in its report: what became of it, where to look, and earlier nights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.results import Outcome
from pipeline.runs.run import Run

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from pipeline.registry.nights import Night
    from pipeline.registry.replay import Logged


@dataclass(frozen=True)
class Aftermath:
    """`links`: addresses of pages of a tracking server by name; `nights`: those before the run, the oldest first."""

    outcome: Outcome
    links: Mapping[str, str] = field(default_factory=dict)
    nights: tuple["Night", ...] = ()


def aftermath(run: Run, client: "MlflowClient", logged: "Logged", outcome: Outcome) -> Aftermath:
    """Ask MLflow for the nights before the one that it logged as `logged`, which need not be this very run.

    Nights that came later are left out, so that a run that is repeated finds its report again.

    Raises:
        StorageError: the store cannot be reached.
    """
    from pipeline.registry.nights import nights
    from pipeline.registry.pages import MLFLOW_RUN, VERSION, pages
    from pipeline.registry.tracking import reached

    with reached(client.tracking_uri):
        ended = (client.get_run(logged.parent).info.end_time or 0) / 1000
    found = pages(logged.experiment, logged.parent, outcome.model, outcome.version)
    links = {key: found[title] for key, title in (("mlflow_run", MLFLOW_RUN), ("mlflow_version", VERSION)) if found}
    earlier = nights(run.home, run.scenario)
    before = [night for night in earlier if night.run_id != logged.run_id and night.ended <= ended]
    return Aftermath(outcome, links, tuple(before))
