"""The MLflow store: connecting to it, and the experiment of a scenario."""

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import StorageError
from pipeline.folders import Home, exclusive, storage_errors
from pipeline.registry import store

if TYPE_CHECKING:
    from mlflow import MlflowClient

# MLflow's pages take the experiment to be one of models, where the browser's own switch does not say otherwise.
_KIND = {"mlflow.experimentKind": "custom_model_development"}


def store_uri(home: Home) -> str:
    """Name the store: the MLflow server of `MLFLOW_TRACKING_URI`, else the local SQLite store below the home."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home.mlflow / 'mlflow.db'}"


def store_name() -> str:
    """Tell stores apart by what may be written down: `local`, or the address of `MLFLOW_TRACKING_URI`."""
    return _without_password(os.environ.get("MLFLOW_TRACKING_URI", "")) or "local"


def store_exists(home: Home) -> bool:
    """Whether anything can have been registered yet; cheap, unlike making the store."""
    return bool(os.environ.get("MLFLOW_TRACKING_URI")) or (home.mlflow / "mlflow.db").exists()


def connect(home: Home) -> "MlflowClient":
    """Give a client of the store, which is made if it is the local one; sets nothing for the rest of the process.

    Raises:
        StorageError: the store cannot be reached, or its file cannot be used.
    """
    _quiet()
    from mlflow import MlflowClient

    uri = store_uri(home)
    registry = os.environ.get("MLFLOW_REGISTRY_URI") or uri
    with reached(uri), storage_errors(home.mlflow), exclusive(home.lock("mlflow-connect")):
        home.mlflow.mkdir(parents=True, exist_ok=True)
        for file in {file for one in (uri, registry) if (file := store.file_of(one))}:
            store.make_whole(file)
        client = MlflowClient(uri, registry)
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)
    return client


def make_store(home: Home) -> None:
    """Make the local store whole before a server opens it, which would make it step by step.

    Raises:
        StorageError: its file cannot be used.
    """
    _quiet()
    with storage_errors(home.mlflow), exclusive(home.lock("mlflow-connect")):
        home.mlflow.mkdir(parents=True, exist_ok=True)
        store.make_whole(home.mlflow / "mlflow.db")


@contextmanager
def reached(uri: str) -> Iterator[None]:
    """Turn what goes wrong between us and MLflow into an error that says what to do."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        if isinstance(error, OSError) and error.filename:
            raise  # a disk's trouble, told by whoever writes there
        if file := store.file_of(uri):
            raise store.trouble(file, store.first_words(error)) from error
        told = _without_password(f"MLflow at {uri} did not do what was asked ({store.first_words(error)}).")
        raise StorageError(
            f"{told} No alias was moved: the champion serves on. Start the server (`make up`) or unset "
            "MLFLOW_TRACKING_URI for the local store, and repeat."
        ) from error


def experiment_id(client: "MlflowClient", home: Home, name: str) -> str:
    """Find the experiment of that name; it is made, with its artifacts below the home where the store is local."""
    from mlflow.exceptions import MlflowException

    if found := client.get_experiment_by_name(name):
        for key, value in _KIND.items() - found.tags.items():
            client.set_experiment_tag(found.experiment_id, key, value)
        return str(found.experiment_id)
    local = client.tracking_uri.startswith("sqlite:")
    try:
        return str(client.create_experiment(name, (home.mlflow / "artifacts").as_uri() if local else None, _KIND))
    except MlflowException:
        if found := client.get_experiment_by_name(name):  # another process was first
            return str(found.experiment_id)
        raise


def metric_key(name: str) -> str:
    """Spell a name as MLflow allows it: `ndcg@10` becomes `ndcg_at_10`, and `+` becomes `_and_`."""
    return re.sub(r"[^\w\-. :/]", "_", name.replace("@", "_at_").replace("+", "_and_"))


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//***@", text)


def _quiet() -> None:
    """No telemetry, no progress bars, no migration log, and a dead server is given up after seconds, not minutes."""
    for key, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # our standard output may be read by a program
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    }.items():
        os.environ.setdefault(key, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own type hints while it is imported
        import mlflow.pyfunc  # noqa: F401  what it configures must come before our levels
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # `reached` tells its errors, without a trace
