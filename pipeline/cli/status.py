"""`crosslift status`: what runs on this machine, what serves, and how the last runs ended."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipeline.cli.output import AsJson, print_json, print_table, quiet
from pipeline.folders import Home

if TYPE_CHECKING:
    from pipeline.registry.chain import Link


def status(as_json: AsJson = False) -> None:
    """Where Airflow and MLflow are with the login, what serves of each model, and how the last runs ended."""
    from pipeline.runs.history import last_runs

    home = Home.from_env()
    with quiet(as_json):
        services, serving = _services(home), _serving(home)
        runs = last_runs(home)
    if as_json:
        models = [{"model": name, "serving": asdict(link) if link else None} for name, link in serving]
        print_json({"home": str(home.root), **services, "models": models, "last_runs": [asdict(one) for one in runs]})
        return
    print(f"Home     {home.root}")
    if services["airflow"]:
        print(f"Airflow  {services['airflow']}  user {services['user']}, password {services['password']}")
    if services["mlflow"]:
        print(f"MLflow   {services['mlflow']}")
    if not services["runs"]:
        print("Airflow and MLflow do not run; `make up` starts them.")
    for name, state in services["down"].items():
        print(f"{name} does not run ({state}); `make up` starts it again.")
    print()
    if serving:
        rows = [(name, *_row(link)) for name, link in serving]
        print_table(("model", "serves", "lane", "since", "verdict"), rows)
    else:
        print("No model is registered yet; `crosslift run SCENARIO` registers one.")
    if runs:
        print()
        ended = [(one.scenario, one.began, one.outcome, one.run_id) for one in runs]
        print_table(("scenario", "last run", "outcome", "run"), ended)


def _services(home: Home) -> dict[str, Any]:
    """Addresses and login of what `make up` or `make demo` started and what still runs of it."""
    from pipeline.local import supervisor
    from pipeline.local.services import recall
    from pipeline.local.settings import USER
    from pipeline.local.stack import MLFLOW

    stack = recall(home)
    told: dict[str, Any] = {"runs": False, "airflow": None, "mlflow": None, "user": None, "password": None, "down": {}}
    if stack is None or stack.is_lost():
        return told
    return told | {
        "runs": True,
        "airflow": stack.ports.airflow_url,
        "mlflow": stack.ports.mlflow_url if MLFLOW in stack.services else None,
        "user": USER,
        "password": stack.password,
        "down": {one.name: one.state for one in supervisor.states(stack.folder) if not one.runs},
    }


def _serving(home: Home) -> "list[tuple[str, Link | None]]":
    """Each registered model with the version that serves, if one does."""
    from pipeline.registry.chain import Link
    from pipeline.registry.lookup import list_models, show_model

    found: list[tuple[str, Link | None]] = []
    for model in list_models(home):
        versions = show_model(home, model.name).versions if model.champion is not None else ()
        found.append((model.name, next((Link.of(one) for one in versions if one.version == model.champion), None)))
    return found


def _row(link: "Link | None") -> tuple[str, str, str, str]:
    if link is None:
        return "nothing", "", "", ""
    return f"version {link.version}", link.lane, link.since or link.registered, link.verdict
