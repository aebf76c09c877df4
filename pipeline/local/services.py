"""The local stack: Airflow's components and the MLflow server, started, awaited and ended as one."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from pipeline.errors import CrossliftError, UserError
from pipeline.folders import Home
from pipeline.local import processes
from pipeline.local.api import answers, get_json
from pipeline.local.settings import HOST, Ports, environment, local_secrets, mlflow_environment

START_SECONDS = 180.0


class StartError(CrossliftError):
    """A local service did not become healthy."""


@dataclass(frozen=True)
class Stack:
    """The running services of one home."""

    home: Home
    ports: Ports
    services: tuple[processes.Service, ...]

    @property
    def password(self) -> str:
        """Of the user `admin` of Airflow's UI."""
        return local_secrets(self.home)["password"]

    def healthy(self) -> bool:
        """Whether every service that was started answers.

        Raises:
            StartError: one of them has ended.
        """
        for service in self.services:
            if not service.is_alive():
                raise StartError(
                    f"{service.name} ended while it started; its log is {log_file(self.home, service.name)}."
                )
        if not answers(
            f"{self.ports.airflow_url}/execution/health"
        ):  # its first answer takes seconds: let no task wait
            return False
        parts = get_json(f"{self.ports.airflow_url}/api/v2/monitor/health") or {}
        well = all(
            parts.get(part, {}).get("status") == "healthy" for part in ("metadatabase", "scheduler", "dag_processor")
        )
        names = {service.name for service in self.services}
        return well and ("mlflow" not in names or answers(f"{self.ports.mlflow_url}/health"))


def pid_file(home: Home) -> Path:
    """Where the running services are written down."""
    return home.root / "services.json"


def log_file(home: Home, name: str) -> Path:
    """Where the output of a service goes."""
    return home.root / "logs" / f"{name}.log"


def start_stack(home: Home, ports: Ports, *, mlflow: bool, schedules: bool) -> Stack:
    """Start the services of a home; they are written down before the next one starts, so that `stop_stack` finds them.

    Raises:
        UserError: services of this home run already.
        StartError: the database of Airflow could not be made.
    """
    refuse_if_running(home)
    env = environment(home, ports, schedules=schedules)
    _migrate(home, env)
    python = sys.executable
    commands = {
        "scheduler": ([python, "-m", "pipeline.local.preload", "scheduler", "--skip-serve-logs"], env),
        "api-server": ([python, "-m", "airflow", "api-server", "--workers", "1"], env),
        "dag-processor": ([python, "-m", "airflow", "dag-processor"], env),
    }
    if mlflow:
        commands["mlflow"] = (mlflow_command(home, ports), mlflow_environment(env))
    services: list[processes.Service] = []
    for name, (command, own) in commands.items():
        services.append(processes.start(name, command, own, log_file(home, name)))
        processes.remember(pid_file(home), services)
    return Stack(home, ports, tuple(services))


def mlflow_command(home: Home, ports: Ports) -> list[str]:
    """Write the command of the MLflow server, over the same store that steps write to when no server is named."""
    home.mlflow.mkdir(parents=True, exist_ok=True)
    return [
        *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
        *("--host", HOST, "--port", str(ports.mlflow)),
        *("--backend-store-uri", f"sqlite:///{home.mlflow / 'mlflow.db'}"),
        *("--artifacts-destination", str(home.mlflow / "artifacts")),
    ]


def wait_until_healthy(stack: Stack, seconds: float = START_SECONDS) -> None:
    """Return when every service answers.

    Raises:
        StartError: a service ended, or one does not answer in time.
    """
    deadline = time.monotonic() + seconds
    while not stack.healthy():
        if time.monotonic() > deadline:
            raise StartError(
                f"the services did not answer within {seconds:.0f} s; their logs are in {stack.home.root / 'logs'}."
            )
        time.sleep(0.25)


def stop_stack(home: Home) -> int:
    """End every process that was started for this home; returns how many services there were."""
    services = processes.recall(pid_file(home))
    processes.stop(services)
    pid_file(home).unlink(missing_ok=True)
    return len(services)


def refuse_if_running(home: Home) -> None:
    """Leave a running stack alone.

    Raises:
        UserError: services of this home run already.
    """
    running = [service.name for service in processes.recall(pid_file(home)) if service.members()]
    if running:
        raise UserError(f"{home.root}: {', '.join(running)} run already; end them with `make down`.")


def _migrate(home: Home, env: Mapping[str, str]) -> None:
    """Make or upgrade Airflow's database, once for each version of Airflow."""
    done = home.root / "airflow" / f"database-{version('apache-airflow-core')}"
    if done.exists():
        return
    log = log_file(home, "database")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        command = [sys.executable, "-m", "airflow", "db", "migrate"]
        result = subprocess.run(command, env=dict(env), stdout=output, stderr=subprocess.STDOUT, check=False)
    if result.returncode != 0:
        raise StartError(f"Airflow's database could not be made; the log is {log}.")
    done.touch()


@contextlib.contextmanager
def running_stack(home: Home, ports: Ports, *, mlflow: bool, schedules: bool) -> Iterator[Stack]:
    """Services that end with the block, also when it is left by an error or Ctrl-C."""
    refuse_if_running(home)
    try:
        stack = start_stack(home, ports, mlflow=mlflow, schedules=schedules)
        wait_until_healthy(stack)
        yield stack
    finally:
        stop_stack(home)
