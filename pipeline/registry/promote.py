"""Registering a candidate and moving the aliases; every part can be repeated after a crash, and nothing is deleted."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import CrossliftError
from pipeline.folders import Home
from pipeline.registry import verify
from pipeline.registry.files import PACKAGE, model_files
from pipeline.registry.tracking import experiment_id, reached

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
PROMOTED = "crosslift.promoted"  # set once the alias has moved
ROLLED_BACK = "crosslift.rolled_back"  # a person took this version out of service
APPROVED = "crosslift.approved"  # a person let this version serve: who, and when
VERIFY_SECONDS = 600

Save = Callable[[Path, Path, Any], None]  # (package, folder to write, mlflow.models.Model)


@dataclass(frozen=True)
class Candidate:
    """A package that is to be registered."""

    name: str  # of the registered model
    package: Path
    identity: str
    tags: Mapping[str, str]
    experiment: str
    run_id: str  # the MLflow run that it came from


def find_version(client: "MlflowClient", name: str, identity: str) -> "ModelVersion | None":
    """Find the version that was registered from a package, or None."""
    found = client.search_model_versions(f"name = '{name}' AND tags.`{PACKAGE}` = '{identity}'", max_results=1)
    return client.get_model_version(name, found[0].version) if found else None


def register(client: "MlflowClient", home: Home, candidate: Candidate, save: Save) -> tuple[int, bool]:
    """Find the version of a candidate, or register it.

    Tags that say something else than before are replaced, unless the version serves: what was said when it was promoted
    stays.

    Returns:
        The version, and whether it is new.

    Raises:
        StorageError: the store cannot be reached.
    """
    with reached(client.tracking_uri):
        version = find_version(client, candidate.name, candidate.identity)
        if version is not None:
            if aliases(client, candidate.name).get(CHAMPION) != int(version.version):
                changed = {key: value for key, value in candidate.tags.items() if version.tags.get(key) != value}
                for key, value in changed.items():
                    client.set_model_version_tag(candidate.name, version.version, key, value)
            return int(version.version), False
        model_id = _logged_model(client, home, candidate, save)
        _ensure_model(client, candidate.name)
        with _default_store(client):
            made = client.create_model_version(
                candidate.name,
                source=f"models:/{model_id}",
                run_id=candidate.run_id,
                tags={PACKAGE: candidate.identity, **candidate.tags},
                description=candidate.tags.get("reason"),
                model_id=model_id,
            )
        return int(made.version), True


def aliases(client: "MlflowClient", name: str) -> dict[str, int]:
    """Alias -> version of a registered model."""
    return {alias: int(version) for alias, version in client.get_registered_model(name).aliases.items()}


def point(client: "MlflowClient", name: str, alias: str, version: int) -> bool:
    """Let an alias name a version; whether that changed anything."""
    if aliases(client, name).get(alias) == version:
        return False
    client.set_registered_model_alias(name, alias, str(version))
    return True


def promote_version(client: "MlflowClient", home: Home, name: str, version: int, *, approved: str = "") -> bool:
    """Make a version the champion, after a fresh process has proved that it serves.

    A version that has been the champion once is left alone, so that a repeated run does not undo what happened since;
    one that a person rolled back is not promoted again. Neither holds for what a person `approved`: who did it and when
    becomes a tag before the alias moves.

    Returns:
        Whether the champion is now another one.

    Raises:
        CrossliftError: the model does not load or does not give the logged answer; the champion is untouched.
        StorageError: the store cannot be reached.
    """
    with reached(client.tracking_uri):
        tags = client.get_model_version(name, str(version)).tags
        serving = aliases(client, name).get(CHAMPION)
        if serving == version:
            if PROMOTED not in tags:  # a crash came between the two
                client.set_model_version_tag(name, str(version), PROMOTED, "true")
            return False
        if not approved and (PROMOTED in tags or ROLLED_BACK in tags):
            return False
    check_serves(client, home, name, version)
    with reached(client.tracking_uri):
        if approved:
            client.set_model_version_tag(name, str(version), APPROVED, approved)
        if serving is not None:
            client.set_registered_model_alias(name, PREVIOUS, str(serving))
        client.set_registered_model_alias(name, CHAMPION, str(version))
        client.set_model_version_tag(name, str(version), PROMOTED, "true")
        if ROLLED_BACK in tags:
            client.delete_model_version_tag(name, str(version), ROLLED_BACK)
    return True


def check_serves(client: "MlflowClient", home: Home, name: str, version: int) -> None:
    """Load a version by its registry name in a fresh process, pickles forbidden, and compare answers.

    The process gets neither this program's modules nor PYTHONPATH (`python -I`): what serves is the model's own code.

    Raises:
        CrossliftError: it does not load, takes too long, or answers differently.
    """
    with reached(client.tracking_uri):
        found = client.get_model_version(name, str(version))
        _, damage = model_files(client, home, found)
    try:
        if damage:
            raise CrossliftError(f"it is damaged and is not served: {damage}.")
        prove(client, home, f"models:/{name}/{version}", found.tags.get(PACKAGE, ""))
    except CrossliftError as error:
        raise CrossliftError(f"{name} version {version}: {error} The champion is untouched.") from error


def prove(client: "MlflowClient", home: Home, uri: str, identity: str) -> None:
    """Load a model in a fresh process, pickles forbidden, and compare its answer with the logged one.

    Args:
        client: Of the store.
        home: Where the process runs.
        uri: The model, by its registry name or as a folder.
        identity: Hash of the manifest that its package must have.

    Raises:
        CrossliftError: it does not load, takes too long, is damaged or another one, or answers differently.
    """
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": client.tracking_uri,
        "MLFLOW_REGISTRY_URI": os.environ.get("MLFLOW_REGISTRY_URI") or client.tracking_uri,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }
    # -I: nothing but the model's own code. -B: no compiled files beside it, which no manifest names.
    command = [sys.executable, "-I", "-B", verify.__file__, uri, identity]
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=home.mlflow,
            capture_output=True,
            text=True,
            timeout=VERIFY_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CrossliftError(f"it gave no answer within {VERIFY_SECONDS} s in a fresh process.") from error
    if done.returncode != 0:
        last = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise CrossliftError(f"a fresh process could not serve it as it was logged: {last}")


def _logged_model(client: "MlflowClient", home: Home, candidate: Candidate, save: Save) -> str:
    """Find or make the MLflow model with the package; one that a crash left unregistered is taken up again."""
    from mlflow.entities import LoggedModelStatus

    experiment = experiment_id(client, home, candidate.experiment)
    found = client.search_logged_models([experiment], filter_string=f"tags.`{PACKAGE}` = '{candidate.identity}'")
    for model in found:
        if model.status == LoggedModelStatus.READY:
            return str(model.model_id)
    model = client.create_logged_model(
        experiment,
        name=candidate.tags.get("lane", "model").replace("+", "_and_"),
        source_run_id=candidate.run_id,
        tags={PACKAGE: candidate.identity},
        model_type="ranking",
    )
    with tempfile.TemporaryDirectory(prefix=".model-", dir=home.mlflow) as temporary:
        folder = Path(temporary) / "model"
        save_model(model, candidate.package, folder, save)
        client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    return str(model.model_id)


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


def _ensure_model(client: "MlflowClient", name: str) -> None:
    if not client.search_registered_models(f"name = '{name}'", max_results=1):
        from mlflow.exceptions import MlflowException

        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was first
                raise
