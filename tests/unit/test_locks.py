"""Locks between processes: whom they name, and that neither a killed owner nor a removed file breaks them."""

import errno
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline import locks
from pipeline.folders import exclusive
from pipeline.locks import HeldError

# Holds a lock until its standard input ends; then leaves a mark, still inside, and lets go.
HOLDER = """
import sys
from pathlib import Path
from pipeline.folders import exclusive

with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
    Path(sys.argv[2]).touch()
"""


@contextmanager
def holder(lock: Path, mark: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that holds the lock when the block begins."""
    command = [sys.executable, "-c", HOLDER, str(lock), str(mark)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def let_go(process: subprocess.Popen[str]) -> None:
    """Tell a holder to end."""
    assert process.stdin is not None
    process.stdin.close()


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for a condition, a minute at most."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Name a lock file; its folder is not there yet."""
    return tmp_path / "locks" / "one"


def test_a_held_lock_names_its_owner(lock: Path) -> None:
    """Who does not wait is told process, host, time and command of the owner; the name goes with the lock."""
    with holder(lock, lock) as process:
        owner = rf"process {process.pid} on {socket.gethostname()}, since 20\S+\+00:00: -c {lock} {lock}"
        with pytest.raises(HeldError, match=rf"^{lock}: held by {owner}\.$"), exclusive(lock, wait=False):
            pass
        let_go(process)
        process.wait(60)
    assert lock.read_text() == ""


def test_the_lock_of_a_killed_process_is_free(lock: Path) -> None:
    """SIGKILL leaves the name in the file; the next process takes the lock at once and puts its own there."""
    with holder(lock, lock) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    assert f"process {process.pid} " in lock.read_text()
    with exclusive(lock, wait=False):
        assert lock.read_text().startswith(f"process {os.getpid()} ")


def test_a_long_wait_says_for_whom(
    lock: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that waits for longer than a moment writes a line that names the owner."""
    monkeypatch.setattr(locks, "PATIENCE", 0.01)
    with holder(lock, lock.with_name("mark")) as process:
        waiter = threading.Thread(target=lambda: locks.release(locks.take(lock, wait=True)))
        waiter.start()
        wait_until(lambda: bool(caplog.messages))
        let_go(process)
        waiter.join(60)
    [message] = caplog.messages
    assert message.startswith(f"waiting for {lock}, which is held by process {process.pid} on ")
    assert caplog.records[0].levelno == logging.WARNING


def test_a_removed_file_lets_nobody_in(
    lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A waits on a file that is removed meanwhile, and B locks the new one: A then waits for B, it does not join it."""
    monkeypatch.setattr(locks, "PATIENCE", 0.01)
    entered: list[bool] = []

    def wait() -> None:
        with exclusive(lock):
            entered.append((tmp_path / "second").exists())

    waiter = threading.Thread(target=wait)
    with holder(lock, tmp_path / "first") as first:
        waiter.start()
        wait_until(lambda: len(caplog.messages) == 1)
        lock.unlink()
        with holder(lock, tmp_path / "second") as second:
            let_go(first)
            wait_until(lambda: bool(entered) or len(caplog.messages) == 2)
            let_go(second)
            waiter.join(60)
    assert entered == [True]


def test_another_users_file(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock file that may be read but not written is locked all the same."""
    with exclusive(lock):
        pass
    plain = os.open

    def refuse(path: Path, flags: int, mode: int = 0o777) -> int:
        if Path(path) == lock and flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied")
        return plain(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    with exclusive(lock), pytest.raises(HeldError, match="held by another process"), exclusive(lock, wait=False):
        pass
