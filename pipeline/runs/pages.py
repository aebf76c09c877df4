"""Where a browser finds what a run left in MLflow."""

import os
from urllib.parse import quote

from pipeline.results import PROMOTE
from pipeline.runs.run import Run

TITLES = MLFLOW_RUN, REPORT, DATA_DOCS, VERSION = ("MLflow run", "Report", "Data Docs", "Registered version")


def mlflow_address() -> str:
    """Address of MLflow's pages: CROSSLIFT_MLFLOW_URL, else the tracking server; empty where there is none.

    They differ where a browser reaches the server by another name than the tasks do.
    """
    for variable in ("CROSSLIFT_MLFLOW_URL", "MLFLOW_TRACKING_URI"):
        if (value := os.environ.get(variable, "")).startswith(("http://", "https://")):
            return value.rstrip("/")
    return ""


def pages(run: Run) -> dict[str, str]:
    """Addresses by title, of a run that was promoted or not; none where MLflow has no address.

    Raises:
        StorageError: the record of `promote` is damaged.
    """
    promoted = run.results(PROMOTE).get("")
    if not (base := mlflow_address()) or promoted is None or not promoted.facts.mlflow_run:
        return {}
    facts = promoted.facts
    page = f"{base}/#/runs/{facts.mlflow_run}"
    return {
        MLFLOW_RUN: page,
        REPORT: f"{page}/artifacts/report.html",
        DATA_DOCS: f"{page}/artifacts/data_docs/index.html",
        VERSION: f"{base}/#/models/{quote(facts.model, safe='')}/versions/{facts.version}",
    }
