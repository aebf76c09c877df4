"""Addresses, secrets and environment of the local services."""

import base64
import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pipeline
from pipeline.errors import ConfigError
from pipeline.folders import Home, read_json, write_json

HOST = "127.0.0.1"  # nothing here is meant for other machines; docker/ is
USER = "admin"


@dataclass(frozen=True)
class Ports:
    """Where the two servers listen."""

    airflow: int
    mlflow: int

    @property
    def airflow_url(self) -> str:
        """Address of Airflow's UI and API."""
        return f"http://{HOST}:{self.airflow}"

    @property
    def mlflow_url(self) -> str:
        """Address of the MLflow server."""
        return f"http://{HOST}:{self.mlflow}"


def choose_ports() -> Ports:
    """8080 and 5000, or a free port where one of these is taken.

    Raises:
        ConfigError: a port named by CROSSLIFT_AIRFLOW_PORT or CROSSLIFT_MLFLOW_PORT is taken or is no port.
    """
    airflow = _port("CROSSLIFT_AIRFLOW_PORT", 8080, set())
    return Ports(airflow, _port("CROSSLIFT_MLFLOW_PORT", 5000, {airflow}))


def _port(variable: str, default: int, used: set[int]) -> int:
    value = os.environ.get(variable, "")
    if value:
        if not value.isascii() or not value.isdecimal() or not 0 < int(value) < 65536:
            raise ConfigError(f"{variable}: expected a port from 1 to 65535, got {value!r}.")
        if int(value) in used or not _is_free(int(value)):
            raise ConfigError(f"{variable}: port {value} is taken; name another one or unset the variable.")
        return int(value)
    if default not in used and _is_free(default):
        return default
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection that lingers does not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def dags_folder() -> Path:
    """Find the folder with `retrain.py`: AIRFLOW__CORE__DAGS_FOLDER, else `dags/` beside the package.

    Raises:
        ConfigError: it is not there, as when the package was installed without the repository.
    """
    named = os.environ.get("AIRFLOW__CORE__DAGS_FOLDER")
    folder = Path(named) if named else Path(pipeline.__file__).parents[1] / "dags"
    if not (folder / "retrain.py").is_file():
        raise ConfigError(f"{folder}: expected the folder with retrain.py; name it by AIRFLOW__CORE__DAGS_FOLDER.")
    return folder.resolve()


def local_secrets(home: Home) -> dict[str, str]:
    """Make once, readable by the owner only, the keys that Airflow's processes share and the password of its user."""
    path = home.root / "airflow" / "secrets.json"
    if not path.exists():
        made = {
            "fernet": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "jwt": secrets.token_urlsafe(48),
            "api": secrets.token_urlsafe(48),
            "password": secrets.token_urlsafe(12),
        }
        _write_private(path, made)
        _write_private(path.with_name("passwords.json"), {USER: made["password"]})
    kept: dict[str, str] = read_json(path)
    return kept


def _write_private(path: Path, value: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(dict(value), file)


def schedules_since(home: Home) -> str:
    """A day before the first start of this home, which is kept: a night that began earlier is nobody's to make up for.

    Without it, whoever unpauses a DAG to try one run by hand gets last night's run first.
    """
    path = home.root / "airflow" / "since.json"
    if not path.exists():
        write_json(path, (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="seconds"))
    kept: str = read_json(path)
    return kept


def environment(home: Home, ports: Ports, *, schedules: bool) -> dict[str, str]:
    """Put together the environment of the services; what the user set wins, except for where things lie.

    Args:
        home: Below it lies all that the services write.
        ports: Where the servers listen.
        schedules: False: DAGs run only when triggered, as in the demo.
    """
    keys = local_secrets(home)
    airflow = home.root / "airflow"
    wanted = {
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": str(min(os.cpu_count() or 1, 4)),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",  # tasks here last seconds; less keeps a core busy
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",  # after 5 s a busy machine loses tasks that just start
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "GX_ANALYTICS_ENABLED": "False",
        "PYTHONUNBUFFERED": "1",
        "CROSSLIFT_SINCE": schedules_since(home),
    }
    fixed = {
        "CROSSLIFT_HOME": str(home.root),
        "AIRFLOW_HOME": str(airflow),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder()),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__FERNET_KEY": keys["fernet"],
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{ports.airflow_url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(airflow / "passwords.json"),
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(ports.airflow),
        "AIRFLOW__API__BASE_URL": ports.airflow_url,
        "AIRFLOW__API__SECRET_KEY": keys["api"],
        "AIRFLOW__API_AUTH__JWT_SECRET": keys["jwt"],
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{airflow / 'airflow.db'}",
        **({} if schedules else {"CROSSLIFT_SCHEDULES": "off"}),
    }
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**wanted, **os.environ, **fixed, **threads}
