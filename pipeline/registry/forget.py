"""Versions of models that hold a person: found, and deleted with their files."""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StorageError
from pipeline.folders import Home, vanish
from pipeline.registry.files import model_files
from pipeline.registry.lookup import list_models, made_of, shortened, show_model
from pipeline.registry.promote import CHAMPION
from pipeline.registry.store import first_words
from pipeline.registry.tracking import connect, reached, store_exists


@dataclass(frozen=True)
class HeldVersion:
    """A version that holds a person; `serves`: the champion's alias names it."""

    name: str
    version: int
    serves: bool


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
            yield HeldVersion(model.name, version.version, CHAMPION in version.aliases)


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
        if version.model_id:
            with suppress(MlflowException):  # a repeat finds it deleted
                client.delete_logged_model(version.model_id)
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
