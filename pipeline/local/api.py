"""Airflow's REST API, as far as the demo needs it."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from pipeline.errors import CrossliftError


class ApiError(CrossliftError):
    """Airflow's API refused a request."""


class AirflowApi:
    """A logged-in user of one Airflow."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url
        token = _send("POST", f"{url}/auth/token", {"username": user, "password": password}, {})["access_token"]
        self._headers = {"Authorization": f"Bearer {token}"}

    def has_dag(self, dag: str) -> bool:
        """Whether the DAG was parsed already."""
        return get_json(f"{self._url}/api/v2/dags/{dag}", self._headers) is not None

    def trigger(self, dag: str, values: dict[str, Any]) -> str:
        """Start a run with these values of the form; returns its id.

        Raises:
            ApiError: a value is not allowed; the message is the API's reason.
        """
        found = self._call("POST", f"dags/{dag}/dagRuns", {"logical_date": None, "conf": values})
        return str(found["dag_run_id"])

    def pause(self, dag: str, *, paused: bool) -> None:
        """Let the scheduler leave a DAG's runs alone, or work on them."""
        self._call("PATCH", f"dags/{dag}", {"is_paused": paused})

    def state(self, dag: str, run_id: str) -> str:
        """`queued`, `running`, `success` or `failed`."""
        return str(self._call("GET", f"dags/{dag}/dagRuns/{urllib.parse.quote(run_id)}")["state"])

    def tasks(self, dag: str, run_id: str) -> list[dict[str, Any]]:
        """List the task instances of a run, as the API tells them."""
        found = self._call("GET", f"dags/{dag}/dagRuns/{urllib.parse.quote(run_id)}/taskInstances?limit=500")
        return list(found["task_instances"])

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return _send(method, f"{self._url}/api/v2/{path}", body, self._headers)


def get_json(url: str, headers: dict[str, str] | None = None) -> Any:
    """Read the JSON at one of our own addresses, or None if it gives none (yet)."""
    try:
        return _send("GET", url, None, headers or {})
    except (OSError, ValueError, ApiError):
        return None


def answers(url: str) -> bool:
    """Whether something answers there without an error."""
    try:
        with urllib.request.urlopen(url, timeout=10):  # noqa: S310  our own http address
            return True
    except OSError:
        return False


def _send(method: str, url: str, body: dict[str, Any] | None, headers: dict[str, str]) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310  our own http address
        url, data, {"Content-Type": "application/json", **headers}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise ApiError(f"{method} {url}: {error.code} {error.read().decode(errors='replace')[:2000]}") from error
