"""Saying in MLflow what became of a version and of a run; the gate's verdict stands beside it, and is another thing."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

OUTCOME, OUTCOME_REASON = "outcome", "outcome_reason"
GONE = ("replaced", "rolled back", "retired")  # outcomes of versions that served; how they ended is told once
LONGEST = 5000  # characters that MLflow keeps of a description


def tell_version(client: "MlflowClient", name: str, version: int, outcome: str, reason: str) -> None:
    """Put the outcome into a version's tags, and verdict and outcome into its description; its card stays below them.

    Of all versions only the champion is called `promoted`: whoever takes it out of service says so here.
    """
    found = client.get_model_version(name, str(version))
    for key, value in {OUTCOME: outcome, OUTCOME_REASON: reason}.items():
        if found.tags.get(key) != value:
            client.set_model_version_tag(name, str(version), key, value)
    verdict = f"{found.tags.get('verdict', 'none')}. {found.tags.get('reason', '')}"
    _, heading, card = (found.description or "").partition("\n\n#")
    text = f"{told(verdict, f'{outcome}. {reason}')}{heading}{card}"[:LONGEST]
    if found.description != text:
        client.update_model_version(name, str(version), text)


def tell_run(client: "MlflowClient", run_id: str, tags: Mapping[str, str], pages: Iterable[Path]) -> None:
    """Put tags and pages on a logged run; the tags come last, so that a repeat after a crash puts the pages there."""
    known = client.get_run(run_id).data.tags
    changed = {key: value for key, value in tags.items() if known.get(key) != value}
    if not changed:
        return
    for page in pages:
        client.log_artifact(run_id, str(page))
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in changed.items()])


def told(verdict: str, outcome: str) -> str:
    """Lay out both words with their reasons, for a page of MLflow."""
    return f"Verdict: {verdict}\n\nOutcome: {outcome}"
