"""Processes that outlive the command that started them, and how to end exactly these."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no types of its own

from pipeline.folders import read_json, write_json

GRACE = 5.0  # seconds between asking a service to end and ending it


@dataclass(frozen=True)
class Service:
    """A process that leads a session of its own; its children stay in the session, whatever groups they make."""

    name: str
    pid: int
    started: float  # seconds since the epoch, as the kernel tells it: a pid alone may be somebody else's by now

    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        try:
            process = psutil.Process(self.pid)
            return bool(process.create_time() == self.started and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def members(self) -> list[psutil.Process]:
        """Find the living processes of the session, the leader included."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(self.pid).create_time() != self.started:
                return []  # ours is gone and the pid belongs to a stranger
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                ours = os.getsid(process.pid) == self.pid and process.create_time() >= self.started
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


def start(name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Service:
    """Start a service in a session of its own, with its output in a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    service = Service(name, process.pid, psutil.Process(process.pid).create_time())
    process.returncode = 0  # it is meant to outlive this object, which would otherwise complain that it still runs
    return service


def stop(services: Sequence[Service], grace: float = GRACE) -> int:
    """End every process of these services, asking first; returns how many had to be killed."""
    asked = [process for service in services for process in service.members()]
    for service in services:
        if service.is_alive():
            _signal(psutil.Process(service.pid), signal.SIGTERM)
    psutil.wait_procs(asked, timeout=grace)
    left = [process for service in services for process in service.members()]
    for process in left:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(left, timeout=grace)
    for service in services:  # children of this very process would stay as zombies
        with contextlib.suppress(ChildProcessError):
            os.waitpid(service.pid, os.WNOHANG)
    return len(left)


def remember(path: Path, services: Sequence[Service]) -> None:
    """Write down what runs, so that another command can end it."""
    write_json(path, [asdict(service) for service in services])


def recall(path: Path) -> list[Service]:
    """Read what was written down; nothing if there is no file."""
    return [Service(**entry) for entry in read_json(path)] if path.exists() else []


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)  # psutil checks the start time again
