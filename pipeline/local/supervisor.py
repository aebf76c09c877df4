"""supervisord in a session of its own: it starts programs, and those again that die, and is asked over a socket."""

import configparser
import http.client
import os
import re
import shlex
import socket
import sys
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import CrossliftError
from pipeline.local.processes import Process, held

GROUP = "services"
NAME = "supervisor"
ANSWER_SECONDS = 10.0
PROGRAM = {
    "autorestart": "true",
    "startsecs": "60",  # a program that dies sooner has not started ...
    "startretries": "3",  # ... and after so many more tries, each a second later than the one before, it is given up
    "stopwaitsecs": "5",
    "killasgroup": "true",
    "redirect_stderr": "true",
    "stdout_logfile": "%(ENV_SERVICE_LOGS)s/%(program_name)s.log",
    "stdout_logfile_maxbytes": "10MB",
    "stdout_logfile_backups": "1",
}


class SilentError(CrossliftError):
    """The supervisor does not answer."""


@dataclass(frozen=True)
class State:
    """How one program fares."""

    name: str
    state: str  # of supervisord: STARTING, RUNNING, BACKOFF (about to be started again), FATAL (given up), ...
    since: float  # seconds since the epoch; the last start

    @property
    def runs(self) -> bool:
        """Whether there is a process now, or will be in a moment."""
        return self.state in ("STARTING", "RUNNING", "BACKOFF", "EXITED")


def prepare(
    folder: Path, programs: Mapping[str, Sequence[str]], environment: Mapping[str, str], logs: Path
) -> AbstractContextManager[Process]:
    """Get a supervisor ready that starts the programs when the block has ended well; see `held`.

    Args:
        folder: A private folder with a short path, for its settings and its socket.
        programs: Name -> command.
        environment: Of the supervisor and the programs.
        logs: Where `<name>.log` is written.
    """
    config = configparser.RawConfigParser()
    config["supervisord"] = {
        "nodaemon": "true",
        "silent": "true",  # all is in the log file already
        "logfile_maxbytes": "1MB",
        "logfile_backups": "1",
    }
    config["unix_http_server"] = {"file": str(folder / "socket")}
    config["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    # What may hold any character goes through the environment, since % ; and # mean something in the file.
    through = {"SERVICE_LOGS": str(logs).replace("%", "%%")}  # supervisord expands the name of a log twice
    for number, (name, command) in enumerate(programs.items()):
        through[f"SERVICE_{number}"] = shlex.join(command)
        config[f"program:{name}"] = {"command": f"%(ENV_SERVICE_{number})s", **PROGRAM}
    config[f"group:{GROUP}"] = {"programs": ",".join(programs)}  # a group is stopped at once, not one by one
    settings, log = folder / "supervisord.conf", logs / f"{NAME}.log"
    with settings.open("w", encoding="utf-8") as file:
        config.write(file)
    files = ("-c", str(settings), "-l", str(log), "-j", str(folder / "pid"))
    return held([sys.executable, "-m", "supervisor.supervisord", *files], {**environment, **through}, log)


def states(folder: Path) -> list[State]:
    """Ask how all programs fare.

    Raises:
        SilentError: the supervisor does not answer.
    """
    found: Any = _ask(folder, "getAllProcessInfo")
    return [State(one["name"], one["statename"], float(one["start"])) for one in found]


def answers(folder: Path, process: Process, seconds: float) -> bool:
    """Whether the supervisor answers within some seconds; a dead one is not waited for."""
    deadline = time.monotonic() + seconds
    while process.is_alive():
        try:
            states(folder)
        except SilentError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        else:
            return True
    return False


def start_again(folder: Path, name: str) -> None:
    """Start a program that was given up.

    Raises:
        SilentError: the supervisor does not answer.
    """
    _ask(folder, "startProcess", f"{GROUP}:{name}", False)


def deaths(logs: Path, name: str) -> list[str]:
    """Tell how a program died since the supervisor was started, each time; from the supervisor's log."""
    log = logs / f"{NAME}.log"
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return re.findall(rf" exited: {re.escape(name)} \((.*); ", text.rpartition(" supervisord started with pid ")[2])


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.fspath(self._path))


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _Connection(self._path)
        self._connection = host, connection  # so that it is closed
        return connection


def _ask(folder: Path, method: str, *arguments: Any) -> Any:
    try:
        with xmlrpc.client.ServerProxy("http://localhost", _Transport(folder / "socket")) as server:
            return getattr(server.supervisor, method)(*arguments)
    except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
        raise SilentError(f"{folder / 'socket'}: the supervisor of the services does not answer ({error}).") from error
