"""Where a browser finds what a run left in MLflow."""

import os
from urllib.parse import quote, urlsplit

TITLES = MLFLOW_RUN, REPORT, DATA_DOCS, VERSION = ("MLflow run", "Report", "Data Docs", "Registered version")
KIND = "workflowType=machine_learning"  # a page of MLflow is one of prompts unless its address says this


def mlflow_address() -> str:
    """Address of MLflow's pages: CROSSLIFT_MLFLOW_URL, else the tracking server, without a password; empty: none.

    They differ where a browser reaches the server by another name than the tasks do.
    """
    for variable in ("CROSSLIFT_MLFLOW_URL", "MLFLOW_TRACKING_URI"):
        parts = urlsplit(os.environ.get(variable, ""))
        if parts.scheme in ("http", "https"):
            return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    return ""


def run_page(experiment: str, run_id: str) -> str:
    """Address of a run in MLflow; empty where MLflow has no address, or no such run."""
    if not (server := mlflow_address()) or not experiment or not run_id:
        return ""
    return f"{server}/#/experiments/{experiment}/runs/{run_id}?{KIND}"


def pages(experiment: str, run_id: str, model: str, version: int) -> dict[str, str]:
    """Addresses by title of a run in MLflow, of its pages, and of a version; none where MLflow has no address."""
    if not (server := mlflow_address()) or not experiment:
        return {}
    run = f"{server}/#/experiments/{experiment}/runs/{run_id}"
    return {
        MLFLOW_RUN: run_page(experiment, run_id),
        REPORT: f"{run}/artifacts/report.html?{KIND}",
        DATA_DOCS: f"{run}/artifacts/data_docs/index.html?{KIND}",
        VERSION: f"{server}/#/models/{quote(model, safe='')}/versions/{version}?{KIND}",
    }
