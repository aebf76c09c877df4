"""Processes that outlive the command that started them: how to find exactly these again, and how to end them."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no types of its own

GRACE = 10.0  # seconds between asking processes to end and ending them
GATE = 'read -r go && exec "$@" </dev/null'


@dataclass(frozen=True)
class Process:
    """A process, told from another one that gets the same pid later, whatever happens to the clock of the machine."""

    pid: int
    started: int  # clock ticks from the start of the machine to that of the process
    boot: str  # names that start of the machine

    @classmethod
    def of(cls, pid: int) -> "Process":
        """The process that has this pid now.

        Raises:
            ProcessLookupError: there is none.
        """
        return cls(pid, _ticks(pid), _boot())

    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            return Process.of(self.pid) == self and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        return False

    def session(self) -> list[psutil.Process]:
        """Find the living processes of the session that this one leads or led, whatever groups they made."""
        if self.boot != _boot():
            return []
        with contextlib.suppress(ProcessLookupError):
            if _ticks(self.pid) != self.started:
                return []  # ours is gone and the pid belongs to a stranger
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                ours = os.getsid(process.pid) == self.pid and _ticks(process.pid) >= self.started
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def orphans(self) -> list[psutil.Process]:
        """Find the processes of the session whose line of parents does not lead to this one any more."""
        return [process for process in self.session() if process.pid != self.pid and not self._fathered(process)]

    def _fathered(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return any(parent.pid == self.pid for parent in process.parents())
        return True  # it ended meanwhile


def _ticks(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        raise ProcessLookupError(pid) from None
    return int(text.rpartition(")")[2].split()[19])  # field 22 of proc(5); the name before it may hold anything


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


@contextmanager
def held(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[Process]:
    """Start a program in a session of its own that begins only when the block has ended well.

    The block writes the process down. A command that is killed at any moment so leaves nothing that runs and is not
    written down.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", GATE, "sh", *command],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process.returncode = 0  # it is meant to outlive this object, which would otherwise complain that it still runs
    assert process.stdin
    with process.stdin as gate:
        yield Process.of(process.pid)
        gate.write(b"go\n")


def end(leader: Process, grace: float = GRACE) -> int:
    """End every process of a session; returns how many there were.

    A living leader is asked and ends the others in its own way; without one they all are asked. What is left is killed.
    """
    asked = leader.session()
    waited = [process for process in asked if process.pid == leader.pid] or asked
    for process in waited:
        _signal(process, signal.SIGTERM)
        _signal(process, signal.SIGCONT)  # one that was stopped would not hear it
    psutil.wait_procs(waited, timeout=grace)
    kill(leader.session)
    with contextlib.suppress(ChildProcessError):  # a child of this very process would stay as a zombie
        os.waitpid(leader.pid, os.WNOHANG)
    return len(asked)


def kill(find: Callable[[], list[psutil.Process]]) -> None:
    """Kill what is found, also what it starts meanwhile."""
    for _ in range(10):
        found = find()
        for process in found:
            _signal(process, signal.SIGKILL)
        if not found:
            return
        psutil.wait_procs(found, timeout=GRACE)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)  # psutil checks the start time again
