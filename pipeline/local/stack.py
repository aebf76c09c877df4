"""What the stack of a home is: its services, their commands and environment, and whether they are well."""

import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.errors import CrossliftError
from pipeline.folders import Home
from pipeline.local import supervisor
from pipeline.local.api import answers, get_json
from pipeline.local.processes import Process
from pipeline.local.settings import HOST, Ports, environment, listener, local_secrets, mlflow_environment
from pipeline.local.supervisor import State

_BEATING = ("scheduler", "dag-processor", "triggerer")  # no task needs the last one: without it the home page is red
AIRFLOW = (*_BEATING, "api-server")
MLFLOW = "mlflow"


class StartError(CrossliftError):
    """A local service did not become healthy."""


@dataclass(frozen=True)
class Stack:
    """The services of one home, as they are written down for other commands."""

    home: Home
    services: tuple[str, ...]
    ports: Ports
    schedules: bool
    supervisor: Process
    folder: Path  # of the supervisor's settings and its socket
    owner: Process | None  # the demo that the services must not outlive

    @property
    def password(self) -> str:
        """Of the user `admin` of Airflow's UI."""
        return local_secrets(self.home)["password"]

    def log(self, name: str) -> Path:
        """Where the output of a service goes."""
        return log_file(self.home, name)

    def command(self, service: str) -> list[str]:
        """Write the command of a service."""
        if service == MLFLOW:
            return mlflow_command(self.home, self.ports)
        programs = {
            "scheduler": ["pipeline.local.preload", "scheduler", "--skip-serve-logs"],
            "api-server": ["airflow", "api-server", "--workers", "1"],
            "dag-processor": ["airflow", "dag-processor"],
            "triggerer": ["airflow", "triggerer", "--skip-serve-logs", "--capacity", "1"],
        }
        return [sys.executable, "-m", *programs[service]]

    def environment(self, service: str) -> dict[str, str]:
        """Put together the environment of a service; the MLflow server gets no secret of anything else."""
        found = environment(self.home, self.ports, schedules=self.schedules)
        if MLFLOW in self.services:  # so that tasks link to it, though they write to its file
            found.setdefault("CROSSLIFT_MLFLOW_URL", self.ports.mlflow_url)
        return mlflow_environment(found) if service == MLFLOW else found

    def is_lost(self) -> bool:
        """Whether nobody looks after the services: their supervisor does not answer, or their demo was killed."""
        return bool(self.owner and not self.owner.is_alive()) or not supervisor.answers(
            self.folder, self.supervisor, supervisor.ANSWER_SECONDS
        )

    def healthy(self) -> bool:
        """Whether every service answers.

        Raises:
            StartError: the supervisor has ended, or has given a service up.
        """
        if not self.supervisor.is_alive():
            raise StartError(f"the supervisor of the services has ended; its log is {self.log(supervisor.NAME)}.")
        try:
            states = {state.name: state for state in supervisor.states(self.folder)}
        except supervisor.SilentError:
            return False  # not yet
        for state in states.values():
            if not state.runs:
                raise StartError(
                    f"{state.name} died again and again and was given up; its log is {self.log(state.name)}."
                )
        return self._airflow_answers(states) and (
            MLFLOW not in self.services or self._answers(self.ports.mlflow, "health")
        )

    def _airflow_answers(self, states: Mapping[str, State]) -> bool:
        # The first answer of this part takes seconds: let no task wait for it.
        if not self._answers(self.ports.airflow, "execution/health"):
            return False
        parts = get_json(f"{self.ports.airflow_url}/api/v2/monitor/health") or {}
        return parts.get("metadatabase", {}).get("status") == "healthy" and all(
            _beats(parts, name.replace("-", "_"), states[name].since) for name in _BEATING
        )

    def _answers(self, port: int, path: str) -> bool:
        """Whether this very stack answers there, and not that of another home."""
        pid = listener(port)
        with contextlib.suppress(ProcessLookupError):
            return bool(pid and os.getsid(pid) == self.supervisor.pid and answers(f"http://{HOST}:{port}/{path}"))
        return False


def log_file(home: Home, name: str) -> Path:
    """Where the output of a service goes."""
    return home.root / "logs" / f"{name}.log"


def _beats(parts: Mapping[str, Any], part: str, since: float) -> bool:
    """Whether a component of Airflow is healthy, and not by the last sign of the one that it replaces."""
    found = parts.get(part, {})
    beat = found.get(f"latest_{part}_heartbeat")
    return found.get("status") == "healthy" and bool(beat) and datetime.fromisoformat(beat).timestamp() >= since


def mlflow_command(home: Home, ports: Ports) -> list[str]:
    """Write the command of the MLflow server, over the same store that steps write to when no server is named."""
    home.mlflow.mkdir(parents=True, exist_ok=True)
    return [
        *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
        *("--host", HOST, "--port", str(ports.mlflow)),
        *("--backend-store-uri", f"sqlite:///{home.mlflow / 'mlflow.db'}"),
        *("--artifacts-destination", str(home.mlflow / "artifacts")),
    ]
