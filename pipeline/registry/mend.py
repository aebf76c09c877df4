"""Putting a damaged version back from the package that it was registered from."""

import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import CrossliftError, StorageError
from pipeline.folders import MANIFEST, Home, hash_file, manifest_hash
from pipeline.integrity import DAMAGED, damage
from pipeline.registry.files import PACKAGE, model_files, package_of
from pipeline.registry.promote import prove
from pipeline.registry.register import Save, save_model
from pipeline.registry.tracking import reached

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

log = logging.getLogger(__name__)


def mend(client: "MlflowClient", home: Home, name: str, version: int, save: Save) -> str:
    """Hold the files of a version against its manifests, and put damaged ones back from its published package.

    What is put back was proved before, by a fresh process that it gave the logged answer to. The package keeps its
    bytes; the code around it is that of this program.

    Returns:
        What is damaged and could not be put back; empty where the version is whole.

    Raises:
        StorageError: the store cannot be reached.
    """
    with reached(client.tracking_uri):
        found = client.get_model_version(name, str(version))
        folder, why = model_files(client, home, found, fresh=True)
        if not why:
            return ""
        package = _published(home, found.tags.get(PACKAGE, ""))
        if package is None:
            log.warning("%s version %s is damaged and its package is no longer published: %s", name, version, why)
            return f"{why}. Its package is no longer published whole below {home.root}"
        try:
            _put_back(client, home, found, (folder, package), save)
        except CrossliftError as error:
            log.warning("%s version %s is damaged and could not be put back: %s", name, version, error)
            return f"{why}. It could not be put back: {error}"
        _, left = model_files(client, home, found, fresh=True)
    told = f"is damaged still ({left})" if left else "was put back from its package"
    log.warning("%s version %s was damaged (%s); it %s, %s.", name, version, why, told, package)
    return left


def _published(home: Home, identity: str) -> Path | None:
    """Find a whole package with this hash of its manifest."""
    for folder in sorted((home.root / "steps" / "package").glob("[!.]*")):
        try:
            if folder.suffix != DAMAGED and manifest_hash(folder) == identity and not damage(folder):
                return folder
        except StorageError:
            continue
    return None


def _put_back(
    client: "MlflowClient", home: Home, version: "ModelVersion", folders: tuple[Path, Path], save: Save
) -> None:
    """Write the model once more from its package, and replace the files that differ, each in one move."""
    there, package = folders
    model = client.get_logged_model(str(version.source).rpartition("/")[2])  # `models:/<id>`, as it was registered
    with tempfile.TemporaryDirectory(prefix=".model-", dir=home.mlflow) as temporary:
        named = Path(temporary) / _name(there, package)
        shutil.copytree(package, named)
        made = Path(temporary) / "model"
        save_model(model, named, made, save)
        prove(client, home, str(made), version.tags.get(PACKAGE, ""))
        files = [path.relative_to(made) for path in sorted(made.rglob("*")) if path.is_file()]
        for file in sorted(files, key=lambda path: path.as_posix() == MANIFEST):  # the manifest last
            if not (there / file).is_file() or hash_file(there / file) != hash_file(made / file):
                parent = file.parent.as_posix()
                client.log_model_artifact(model.model_id, str(made / file), None if parent == "." else parent)


def _name(model: Path, package: Path) -> str:
    """How the package's folder is called in the model: a second one beside it would make two."""
    try:
        return package_of(model).name
    except StorageError:
        return package.name
