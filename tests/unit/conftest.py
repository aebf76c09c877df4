"""What tests of processes share: a stranger, and ways to wait for what other processes do."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest


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
