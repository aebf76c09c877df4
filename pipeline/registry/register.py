"""Registering a candidate: its files as an MLflow model, and a version of the registered model with its card."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.folders import Home
from pipeline.registry.files import PACKAGE
from pipeline.registry.outcome import LONGEST, told
from pipeline.registry.promote import CHAMPION, NO_TRIAL, TRIAL, aliases, find_version
from pipeline.registry.replay import DataLog, Logged
from pipeline.registry.tracking import reached

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

Save = Callable[[Path, Path, Any], None]  # (package, folder to write, mlflow.models.Model)
_VERSIONS = "mlflow.modelVersions"  # by this tag MLflow's page of a model shows that it is registered


@dataclass(frozen=True)
class Candidate:
    """A package that is to be registered.

    Args:
        name: Of the registered model.
        package: The package's folder.
        identity: Hash of its manifest.
        tags: Of the version: what programs read of it.
        lane: What was packed.
        task: Its name.
        params: Of the model.
        about: What the registered model is, for people; Markdown.
        card: What this version is, for people; Markdown that begins with a heading.
        tested: The rows on which it was judged.
        logged: Where MLflow tells of the run that it comes from; the lane's run there has its figures.
    """

    name: str
    package: Path
    identity: str
    tags: Mapping[str, str]
    lane: str
    task: str
    params: Mapping[str, str]
    about: str
    card: str
    tested: DataLog
    logged: Logged


def register(
    client: "MlflowClient", home: Home, candidate: Candidate, save: Save, *, again: bool = False
) -> tuple[int, bool]:
    """Find the version of a candidate, or register it.

    Tags that say something else than before are replaced, unless the version serves: what was said when it was promoted
    stays. A trial says nothing new of a version that another run registered, and neither does a run that says what an
    earlier one said (`again`).

    Returns:
        The version, and whether it is new.

    Raises:
        StorageError: the store cannot be reached.
    """
    with reached(client.tracking_uri):
        version = find_version(client, candidate.name, candidate.identity)
        if version is not None:
            tried = candidate.tags.get(TRIAL) != NO_TRIAL and version.tags.get(TRIAL) == NO_TRIAL
            if not (tried or again) and aliases(client, candidate.name).get(CHAMPION) != int(version.version):
                changed = {key: value for key, value in candidate.tags.items() if version.tags.get(key) != value}
                for key, value in changed.items():
                    client.set_model_version_tag(candidate.name, version.version, key, value)
            return int(version.version), False
        model = _logged_model(client, home, candidate, save)
        _ensure_model(client, candidate)
        verdict = f"{candidate.tags.get('verdict', 'none')}. {candidate.tags.get('reason', '')}"
        with _default_store(client):
            made = client.create_model_version(
                candidate.name,
                source=f"models:/{model.model_id}",
                run_id=model.source_run_id,
                tags={PACKAGE: candidate.identity, **candidate.tags},
                description=f"{told(verdict, 'not known yet')}\n\n{candidate.card}"[:LONGEST],
                model_id=model.model_id,
            )
        _show_registered(client, model.model_id, candidate.name, int(made.version))
        return int(made.version), True


def save_model(model: "LoggedModel", package: Path, folder: Path, save: Save) -> None:
    """Write the MLflow model folder of a package under the identity that MLflow gave the model."""
    from mlflow.models import Model

    identity = Model(
        artifact_path=model.artifact_location,
        model_id=model.model_id,
        model_uuid=model.model_id,
        run_id=model.source_run_id,
    )
    save(package, folder, identity)


def _logged_model(client: "MlflowClient", home: Home, candidate: Candidate, save: Save) -> "LoggedModel":
    """Find or make the MLflow model with the package; one that a crash left unregistered is taken up again."""
    from mlflow.entities import LoggedModelStatus

    experiment = candidate.logged.experiment
    found = client.search_logged_models([experiment], filter_string=f"tags.`{PACKAGE}` = '{candidate.identity}'")
    model = next((one for one in found if one.status == LoggedModelStatus.READY), None)
    if model is None:
        run = candidate.logged.steps.get(candidate.lane, candidate.logged.parent)
        made = client.create_logged_model(
            experiment,
            name=candidate.lane.replace("+", "_and_"),
            source_run_id=run,
            tags={PACKAGE: candidate.identity},
            params=dict(candidate.params),
            model_type=candidate.task,
        )
        with tempfile.TemporaryDirectory(prefix=".model-", dir=home.mlflow) as temporary:
            folder = Path(temporary) / "model"
            save_model(made, candidate.package, folder, save)
            client.log_model_artifacts(made.model_id, str(folder))
        model = client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    if model.source_run_id:
        _link_figures(client, model, client.get_run(model.source_run_id), candidate.tested)
    return model


def _link_figures(client: "MlflowClient", model: "LoggedModel", run: "Run", tested: DataLog) -> None:
    """Let the model have the figures of the run that it came from, and that run the model."""
    from mlflow.entities import LoggedModelOutput, Metric

    when = run.info.end_time or run.info.start_time
    figures = [
        Metric(
            key, value, when, 0, model_id=model.model_id, dataset_name=tested.name, dataset_digest=tested.digest,
            run_id=run.info.run_id,
        )
        for key, value in run.data.metrics.items()
        if key.startswith(("valid_", "test_"))
    ]  # fmt: skip
    if figures:
        client.log_batch(run.info.run_id, metrics=figures)
    outputs = run.outputs.model_outputs if run.outputs else []
    if model.model_id not in {one.model_id for one in outputs}:
        client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, 0)])


def _show_registered(client: "MlflowClient", model_id: str, name: str, version: int) -> None:
    """Say on the model's page that it is registered: a server does so itself, the local store does not."""
    known = json.loads(client.get_logged_model(model_id).tags.get(_VERSIONS, "[]"))
    if not any(one["name"] == name and int(one["version"]) == version for one in known):
        listed = [*known, {"name": name, "version": str(version)}]
        client.set_logged_model_tags(model_id, {_VERSIONS: json.dumps(listed)})


@contextmanager
def _default_store(client: "MlflowClient") -> Iterator[None]:
    """Name the store in the environment: the local registry looks `models:/` up there, whatever its client was told."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    os.environ["MLFLOW_TRACKING_URI"] = client.tracking_uri
    try:
        yield
    finally:
        if before is None:
            del os.environ["MLFLOW_TRACKING_URI"]
        else:
            os.environ["MLFLOW_TRACKING_URI"] = before


def _ensure_model(client: "MlflowClient", candidate: Candidate) -> None:
    """Make the registered model, or describe one that nobody has described."""
    found = client.search_registered_models(f"name = '{candidate.name}'", max_results=1)
    if not found:
        from mlflow.exceptions import MlflowException

        try:
            client.create_registered_model(candidate.name, description=candidate.about[:LONGEST])
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was first
                raise
    elif not found[0].description:
        client.update_registered_model(candidate.name, candidate.about[:LONGEST])
