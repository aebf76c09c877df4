"""The MLflow store: connecting to it, and replaying what a run wrote to local files, once."""

import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import StorageError
from pipeline.folders import Home, exclusive, storage_errors
from pipeline.registry import store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

FINGERPRINT = "crosslift.fingerprint"
_LOGGED = "crosslift.logged"  # set last: a run without it is completed by the next try
_LANE = "crosslift.lane"
_BATCH = 900  # MLflow takes up to 1000 metrics at a time


def store_uri(home: Home) -> str:
    """Name the store: the MLflow server of `MLFLOW_TRACKING_URI`, else the local SQLite store below the home."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home.mlflow / 'mlflow.db'}"


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
        return str(found.experiment_id)
    local = client.tracking_uri.startswith("sqlite:")
    try:
        return str(client.create_experiment(name, (home.mlflow / "artifacts").as_uri() if local else None))
    except MlflowException:
        if found := client.get_experiment_by_name(name):  # another process was first
            return str(found.experiment_id)
        raise


@dataclass(frozen=True)
class LaneLog:
    """What is logged of one strategy or baseline. `curves` is a CSV of epoch, step, key, value."""

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    finished: float  # seconds since 1970
    seconds: float
    curves: Path | None = None


@dataclass(frozen=True)
class RunLog:
    """What is logged of one pipeline run; equal fingerprints are logged once."""

    experiment: str
    run_id: str
    fingerprint: str
    params: Mapping[str, Any]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    artifacts: tuple[Path, ...]
    lanes: tuple[LaneLog, ...] = field(default=())


def log_run(client: "MlflowClient", home: Home, log: RunLog) -> str:
    """Replay a run into MLflow: a parent run with the pages, and a nested run for each lane.

    A second call with the same fingerprint logs nothing; one after a crash completes what was begun. Runs are ended
    before anything is logged to them, so that a crash leaves none RUNNING.

    Returns:
        The id of the parent run.

    Raises:
        StorageError: the store cannot be reached.
    """
    with reached(client.tracking_uri):
        experiment = experiment_id(client, home, log.experiment)
        ended = max((lane.finished for lane in log.lanes), default=0.0)
        began = min((lane.finished - lane.seconds for lane in log.lanes), default=ended)
        parent = _find(client, experiment, f"tags.`{FINGERPRINT}` = '{log.fingerprint}'")
        if parent is not None and parent.data.tags.get(_LOGGED):
            return str(parent.info.run_id)
        tags = {FINGERPRINT: log.fingerprint, "crosslift.run_id": log.run_id, **log.tags}
        if parent is None:
            parent = _create(client, experiment, log.run_id, tags, (began, ended))
        _end(client, parent, ended)
        _log(client, parent, log.params, log.metrics, ended)
        for lane in log.lanes:
            _log_lane(client, experiment, parent, lane)
        for path in log.artifacts:
            client.log_artifact(parent.info.run_id, str(path))
        client.set_tag(parent.info.run_id, _LOGGED, "true")
    return str(parent.info.run_id)


def _log_lane(client: "MlflowClient", experiment: str, parent: "Run", lane: LaneLog) -> None:
    nested = {"mlflow.parentRunId": parent.info.run_id, _LANE: lane.name}
    child = _find(client, experiment, " AND ".join(f"tags.`{key}` = '{value}'" for key, value in nested.items()))
    if child is not None and child.data.tags.get(_LOGGED):
        return
    if child is None:
        child = _create(client, experiment, lane.name, nested, (lane.finished - lane.seconds, lane.finished))
    _end(client, child, lane.finished)
    _log(client, child, lane.params, lane.metrics, lane.finished)
    curve = _curve(lane)
    for first in range(0, len(curve), _BATCH):
        client.log_batch(child.info.run_id, metrics=curve[first : first + _BATCH])
    client.set_tag(child.info.run_id, _LOGGED, "true")


def _create(
    client: "MlflowClient", experiment: str, name: str, tags: Mapping[str, str], span: tuple[float, float]
) -> "Run":
    return client.create_run(experiment, start_time=int(span[0] * 1000), tags=dict(tags), run_name=name)


def _end(client: "MlflowClient", run: "Run", ended: float) -> None:
    client.set_terminated(run.info.run_id, "FINISHED", end_time=int(ended * 1000))


def _log(
    client: "MlflowClient", run: "Run", params: Mapping[str, Any], metrics: Mapping[str, float], when: float
) -> None:
    """Log in one batch; the time is the step's, so that a repeat writes the same rows."""
    from mlflow.entities import Metric, Param

    client.log_batch(
        run.info.run_id,
        metrics=[Metric(metric_key(key), float(value), int(when * 1000), 0) for key, value in metrics.items()],
        params=[Param(metric_key(key), str(value)[:6000]) for key, value in params.items()],
    )


def _curve(lane: LaneLog) -> "list[Metric]":
    import pandas as pd
    from mlflow.entities import Metric

    if lane.curves is None:
        return []
    frame = pd.read_csv(lane.curves).dropna(subset=["value"])
    when = int(lane.finished * 1000)
    keys = frame["key"].astype(str).map(metric_key)
    return [
        Metric(key, value, when, step)
        for key, value, step in zip(keys, frame["value"].astype(float), frame["step"].astype(int), strict=True)
    ]


def _find(client: "MlflowClient", experiment: str, where: str) -> "Run | None":
    found = client.search_runs([experiment], where, max_results=1)
    return found[0] if found else None


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
