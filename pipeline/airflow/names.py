"""How Airflow calls what Crosslift has names for: DAGs, tasks and runs."""

import re

from pipeline.folders import Home
from pipeline.runs.run import Run

PREFIX = "retrain__"
_KINDS = re.compile(r"(scheduled|manual|asset_triggered|backfill|operator_triggered)__")  # how Airflow's run ids begin


def dag_name(scenario: str) -> str:
    """The DAG of a scenario."""
    return f"{PREFIX}{scenario}"


def broken_name(file: str) -> str:
    """The DAG of a scenario file that cannot be read, whatever it is called."""
    return f"broken__{re.sub(r'[^A-Za-z0-9_.-]', '_', file)[:200]}"


def scenario_name(dag_id: str) -> str:
    """The scenario of a DAG."""
    return dag_id.removeprefix(PREFIX)


def lane_name(lane: str) -> str:
    """A lane as the id of its task in the group of its step; Airflow allows no plus in it."""
    return lane.replace("+", "_and_")


def run_of(dag_id: str, run_id: str) -> Run:
    """The run below CROSSLIFT_HOME: two scenarios with one schedule have runs of the same Airflow id.

    Raises:
        ConfigError: its `plan` has not run.
        StorageError: its plan is damaged.
    """
    return Run.load(Home.from_env(), run_name(dag_id, run_id))


def run_name(dag_id: str, run_id: str) -> str:
    """What a run of Airflow is called below CROSSLIFT_HOME."""
    return f"{scenario_name(dag_id)}__{run_id}"


def page_of(name: str, scenario: str) -> str:
    """The page of a run in Airflow, below its address; empty where another than Airflow started it."""
    run_id = name.removeprefix(f"{scenario}__")
    return f"/dags/{dag_name(scenario)}/runs/{run_id}" if run_id != name and _KINDS.match(run_id) else ""
