"""Versions of models that hold a person: found, and deleted with their files."""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import StorageError
from pipeline.folders import Home, vanish
from pipeline.registry.carried import told_version
from pipeline.registry.files import PACKAGE, model_files
from pipeline.registry.lookup import SOURCE_MODEL, VersionDetails, list_models, made_of, shortened, show_model
from pipeline.registry.promote import CHAMPION
from pipeline.registry.store import first_words
from pipeline.registry.tracking import connect, reached, store_exists

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class HeldVersion:
    """A version that holds a person; `serves`: the champion's alias names it, `package`: the hash of its manifest."""

    name: str
    version: int
    serves: bool
    package: str = ""

    @property
    def told(self) -> str:
        """What it is called by what begins with it."""
        return told_version(self.name, self.version)

    @property
    def run_again(self) -> str:
        """The scenario that makes such a model, with the share of the target's rows where the model is of a part."""
        scenario, _, percent = self.name.removeprefix("crosslift.").partition(".share_")
        return f"{scenario} with {percent.replace('_', '.')} % of the target's rows" if percent else scenario


@dataclass(frozen=True)
class BegunVersion:
    """A version of a lane that began with a source model; what that is called, and the run that registered it."""

    itself: HeldVersion
    source: str
    run_id: str


def held_versions(
    home: Home, manifests: Collection[str], runs: Collection[str], holds: Callable[[Path], bool], scenario: str | None
) -> Iterator[HeldVersion]:
    """Find the versions that were made of a person's rows, or whose files hold an id.

    Args:
        home: Whose store.
        manifests: Hashes of the folders that hold the person; a version says which data made it.
        runs: Ids of the runs that read them.
        holds: Whether files below a folder hold an id.
        scenario: The only one that is looked at; None: all.

    Raises:
        StorageError: the store cannot be reached.
    """
    if not store_exists(home):
        return
    client = connect(home)
    for model in list_models(home):
        if scenario and model.name.removeprefix("crosslift.").partition(".share_")[0] != scenario:
            continue
        for version in show_model(home, model.name).versions:
            made = made_of(version.tags) & {shortened(manifest) for manifest in manifests}
            if not made and version.tags.get("run_id") not in runs:
                with reached(client.tracking_uri):
                    found = client.get_model_version(model.name, str(version.version))
                    folder, _ = model_files(client, home, found)
                if not holds(folder):
                    continue
            yield _held(model.name, version)


def begun_versions(home: Home) -> list[BegunVersion]:
    """Find the versions of lanes that began with a source model, of all scenarios; the others learnt from rows alone.

    Raises:
        StorageError: the store cannot be reached.
    """
    if not store_exists(home):
        return []
    client, found = connect(home), []
    for model in list_models(home):
        for version in show_model(home, model.name).versions:
            with reached(client.tracking_uri):
                logged = _logged(client.get_model_version(model.name, str(version.version)))
                params = client.get_logged_model(logged).params if logged else {}
            if source := (params or {}).get(SOURCE_MODEL, ""):
                found.append(BegunVersion(_held(model.name, version), source, version.tags.get("run_id", "")))
    return found


def _logged(version: "ModelVersion") -> str:
    """Find the MLflow model of a version: a server says it, the local store has it in the source alone."""
    source = str(version.source)
    return str(version.model_id or "") or (source.removeprefix("models:/") if source.startswith("models:/") else "")


def _held(name: str, version: VersionDetails) -> HeldVersion:
    return HeldVersion(name, version.version, CHAMPION in version.aliases, version.tags.get(PACKAGE, ""))


def delete_version(home: Home, held: HeldVersion) -> None:
    """Delete a version with its files, here and in the store; what a crash left half done can be repeated.

    Raises:
        StorageError: the store cannot be reached, or keeps files of it.
    """
    from mlflow.exceptions import MlflowException

    client = connect(home)
    with reached(client.tracking_uri):
        version = client.get_model_version(held.name, str(held.version))
        place = client.get_model_version_download_uri(held.name, str(held.version))
        _delete_files(client.tracking_uri, place, held)
        client.delete_model_version(held.name, str(held.version))
        if logged := _logged(version):
            with suppress(MlflowException):  # a repeat finds it deleted
                client.delete_logged_model(logged)
    copy = home.root / "cache" / "models" / held.name / str(held.version)
    if copy.exists():
        vanish(copy)


def _delete_files(uri: str, place: str, held: HeldVersion) -> None:
    """Delete a version's files in the store, and look whether they are gone."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    problem = "the store has them still"
    try:
        files = get_artifact_repository(place, tracking_uri=uri)
        files.delete_artifacts()  # type: ignore[no-untyped-call]
        left = bool(files.list_artifacts())
    except Exception as error:  # each kind of store has errors of its own
        left, problem = True, first_words(error) or type(error).__name__
    if left:
        raise StorageError(
            f"{held.name} version {held.version}: its files at {place} could not be deleted ({problem}), and the "
            "version stays with them. Delete them there, or let this machine do it (the server's artifacts, or the "
            "keys of the store that it keeps them in), and repeat."
        )
