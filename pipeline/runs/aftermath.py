"""What is known at the end of a run and told in its report: what became of it, where to look, and earlier nights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.results import Outcome
from pipeline.runs.run import Run

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from pipeline.registry.nights import Night


@dataclass(frozen=True)
class Aftermath:
    """`links`: addresses of pages of a tracking server by name; `nights`: those before the run, the oldest first."""

    outcome: Outcome
    links: Mapping[str, str] = field(default_factory=dict)
    nights: tuple["Night", ...] = ()


def aftermath(run: Run, client: "MlflowClient", logged: str, outcome: Outcome) -> Aftermath:
    """Ask MLflow for the nights before the one that it logged as `logged`, which need not be this very run.

    Nights that came later are left out, so that a run that is repeated finds its report again.

    Raises:
        StorageError: the store cannot be reached.
    """
    from pipeline.registry.nights import nights
    from pipeline.registry.pages import pages
    from pipeline.registry.tracking import reached

    with reached(client.tracking_uri):
        own = client.get_run(logged)
        links = pages(client, logged, outcome.model, outcome.version)
    name, ended = own.data.tags["crosslift.run_id"], (own.info.end_time or 0) / 1000
    before = [night for night in nights(run.home, run.scenario) if night.run_id != name and night.ended <= ended]
    return Aftermath(outcome, links, tuple(before))
