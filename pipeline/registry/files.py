"""The files of a registered version on this machine, held against its manifests and its registered identity."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import StorageError
from pipeline.folders import Home, manifest_hash, storage_errors
from pipeline.integrity import stated_damage

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

PACKAGE = "crosslift.package"  # the identity of a version: hash of its package's manifest


def model_files(
    client: "MlflowClient", home: Home, version: "ModelVersion", *, fresh: bool = False
) -> tuple[Path, str]:
    """Find a version's MLflow model folder: the local store's own, or a copy of the server's below the home.

    Args:
        client: Of the store.
        home: Where copies lie.
        version: The version.
        fresh: Whether a whole copy that lies here already is fetched again, to see what the server has.

    Returns:
        The folder, and what of it is damaged, file by file; empty where it is what was registered.
    """
    from mlflow.artifacts import download_artifacts

    uri = client.get_model_version_download_uri(version.name, str(version.version))
    if client.tracking_uri.startswith("sqlite:"):
        folder = Path(download_artifacts(uri, tracking_uri=client.tracking_uri))
        return folder, _damage(folder, version)
    folder = home.root / "cache" / "models" / version.name / str(version.version)
    if not fresh and folder.exists() and not _damage(folder, version):
        return folder, ""
    with storage_errors(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-", suffix=".tmp"))
        try:
            fetched = Path(download_artifacts(uri, dst_path=str(temporary), tracking_uri=client.tracking_uri))
            shutil.rmtree(folder, ignore_errors=True)
            fetched.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder, _damage(folder, version)


def package_of(model: Path) -> Path:
    """Find the package in an MLflow model folder.

    Raises:
        StorageError: there is none, or more than one.
    """
    found = sorted(model.glob("artifacts/*/"))
    if len(found) != 1:
        raise StorageError(f"{model}: expected one package of a served model below artifacts/, found {len(found)}.")
    return found[0]


def _damage(model: Path, version: "ModelVersion") -> str:
    if why := stated_damage(model, beyond=False):  # MLflow and Python add files of their own
        return why
    try:
        package = package_of(model)
        if why := stated_damage(package):
            return f"{package.relative_to(model)}: {why}"
        registered = version.tags.get(PACKAGE)
        return "" if manifest_hash(package) == registered else f"{package.relative_to(model)}: not what was registered"
    except StorageError as error:
        return str(error)
