"""Addresses, secrets and environment of the local services."""

import base64
import contextlib
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no types of its own

import pipeline
from pipeline.errors import ConfigError
from pipeline.folders import Home, read_json, write_json

HOST = "127.0.0.1"  # nothing here is meant for other machines; docker/ is
USER = "admin"
_PLAIN = {
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV"),
    *("CROSSLIFT_HOME", "MLFLOW_DISABLE_TELEMETRY", "PYTHONPATH", "PYTHONUNBUFFERED"),
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
}
_PLAIN_PREFIXES = ("LC_", "MLFLOW_SERVER_")


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


USUAL = Ports(8080, 5000)


def choose_ports(wanted: Ports = USUAL) -> Ports:
    """The wanted ports, or a free one where one of these is taken; what the user named is taken as it is.

    Raises:
        ConfigError: a port named by CROSSLIFT_AIRFLOW_PORT or CROSSLIFT_MLFLOW_PORT is taken or is no port.
    """
    named = named_ports()
    airflow = _port("CROSSLIFT_AIRFLOW_PORT", named, wanted.airflow, set())
    return Ports(airflow, _port("CROSSLIFT_MLFLOW_PORT", named, wanted.mlflow, {airflow}))


def named_ports() -> dict[str, int]:
    """Read the ports that the user named: variable -> port.

    Raises:
        ConfigError: what was named is no port.
    """
    found = {}
    for variable in ("CROSSLIFT_AIRFLOW_PORT", "CROSSLIFT_MLFLOW_PORT"):
        if value := os.environ.get(variable, ""):
            if not value.isascii() or not value.isdecimal() or not 0 < int(value) < 65536:
                raise ConfigError(f"{variable}: expected a port from 1 to 65535, got {value!r}.")
            found[variable] = int(value)
    return found


def _port(variable: str, named: dict[str, int], default: int, used: set[int]) -> int:
    port = named.get(variable, default)
    if port not in used and is_free(port):
        return port
    if variable in named:
        holder = "Airflow's server" if port in used else holder_of(port)
        raise ConfigError(f"{variable}: port {port} is taken by {holder}; name another one or unset the variable.")
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether nothing listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection that lingers does not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def listener(port: int) -> int | None:
    """Find the process that listens on a port, as far as this user may see it."""
    for found in psutil.net_connections("tcp"):
        if found.status == psutil.CONN_LISTEN and found.laddr.port == port and found.pid is not None:
            return int(found.pid)
    return None


def holder_of(port: int) -> str:
    """Say what listens on a port, and for which home if it is one of our services."""
    with contextlib.suppress(psutil.Error, ProcessLookupError):
        if pid := listener(port):
            leader = psutil.Process(os.getsid(pid))  # of our services it is the supervisor
            home = leader.environ().get("CROSSLIFT_HOME")
            return f"process {pid}" + (f" of the home {home}" if home else f" ({psutil.Process(pid).name()})")
    return "another program"


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
    if not _is_written(path):
        made = {
            "fernet": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "jwt": secrets.token_urlsafe(48),
            "api": secrets.token_urlsafe(48),
            "password": secrets.token_urlsafe(12),
        }
        write_json(path, made)
    kept: dict[str, str] = read_json(path)
    passwords = path.with_name("passwords.json")
    if not _is_written(passwords):  # Airflow would make up a password of its own
        write_json(passwords, {USER: kept["password"]})
    return {**kept, "password": read_json(passwords)[USER]}


def _is_written(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0  # 0.1 left an empty file where it was killed while writing


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
    (airflow / "airflow.cfg").touch()  # else Airflow writes its settings out, keys included, and not in one move
    wanted = {
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": str(min(os.cpu_count() or 1, 4)),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",  # tasks here last seconds; less keeps a core busy
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",  # what a killed scheduler left goes on in a minute
        "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "40",  # some minutes: tasks wait for a server that is started again
        "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "15",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",  # Airflow asks no umask
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
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


def mlflow_environment(found: Mapping[str, str]) -> dict[str, str]:
    """Pick what the MLflow server needs of an environment: no key, password or secret of anything else reaches it."""
    return {name: value for name, value in found.items() if name in _PLAIN or name.startswith(_PLAIN_PREFIXES)}
