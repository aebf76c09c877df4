"""Addresses of MLflow's own pages, for people to follow."""

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from mlflow import MlflowClient


def pages(client: "MlflowClient", run_id: str, model: str, version: int) -> dict[str, str]:
    """The addresses of a run and of a version; none where the store is no server, whose address names no password."""
    parts = urlsplit(client.tracking_uri)
    if parts.scheme not in ("http", "https"):
        return {}
    host = parts.netloc.rpartition("@")[2]
    server = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
    experiment = client.get_run(run_id).info.experiment_id
    return {
        "mlflow_run": f"{server}/#/experiments/{experiment}/runs/{run_id}",
        "mlflow_version": f"{server}/#/models/{quote(model, safe='')}/versions/{version}",
    }
