"""What tests of processes share: a stranger, and ways to wait for what other processes do."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest


@pytest.fixture
def until() -> Callable[[Callable[[], Any], str], Any]:
    """Give a function that looks again and again until there is something."""

    def wait(look: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + 60
        while not (found := look()):
            assert time.monotonic() < deadline, f"{what} did not happen"
            time.sleep(0.02)
        return found

    return wait


@pytest.fixture
def died() -> Callable[[int], bool]:
    """Give a function that tells whether a process has ended."""

    def look(pid: int) -> bool:
        try:
            return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return True

    return look


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that is none of ours."""
    program = "import signal; print('ready', flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()
