"""Lock files that name who holds them. The kernel holds the lock itself, so that of a dead process is free at once."""

import contextlib
import fcntl
import logging
import os
import shlex
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import UserError

log = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds of waiting after which a process says for whom it waits


class HeldError(UserError):
    """Another process holds the lock; `owner` names it."""

    def __init__(self, path: Path, owner: str) -> None:
        super().__init__(f"{path}: held by {owner}.")
        self.owner = owner


def take(path: Path, *, wait: bool) -> int:
    """Lock a file, which is made if need be, and write into it who has it; `release` gives it back.

    Returns:
        The open file.

    Raises:
        HeldError: another process has it, and `wait` is false.
        OSError: the file can be neither made nor opened.
    """
    while True:
        file = _open(path)
        try:
            _lock(file, path, wait)
            if _lies_at(file, path):
                break
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # it was removed while we waited: what counts is the file that others find
    _sign(file, f"process {os.getpid()} on {socket.gethostname()}, since {_now()}: {_command()}")
    return file


def release(file: int) -> None:
    """Give a lock back."""
    _sign(file, "")
    os.close(file)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        return os.open(path, os.O_RDONLY)  # another user's file can be locked all the same, though not signed


def _lock(file: int, path: Path, wait: bool) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not wait:
            raise HeldError(path, _owner(file)) from None
        with _saying(file, path):
            fcntl.flock(file, fcntl.LOCK_EX)


@contextmanager
def _saying(file: int, path: Path) -> Iterator[None]:
    """Say for whom this process waits, if it waits for long."""
    timer = threading.Timer(PATIENCE, lambda: log.warning("waiting for %s, which is held by %s", path, _owner(file)))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # it reads the file, which is about to be closed


def _lies_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _owner(file: int) -> str:
    return os.pread(file, 1000, 0).decode(errors="replace") or "another process"


def _sign(file: int, text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk, or another user's file: the lock holds without a name
        os.ftruncate(file, 0)
        os.pwrite(file, text.encode(), 0)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _command() -> str:
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])[:300]
