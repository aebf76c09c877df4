"""What every test gets: a home of its own, one thread, a fixed seed, and the way to start a fresh interpreter."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"  # read when the numeric libraries load

# A shell without job control starts what is in the background with Ctrl-C ignored, and every process of a test would
# inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples every time, however long a busy machine takes over them.
settings.register_profile("house", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing that a test does is seen by another one, or by the user's own runs."""
    home = tmp_path / "crosslift-home"
    monkeypatch.setenv("CROSSLIFT_HOME", str(home))
    for variable in ("CROSSLIFT_SCENARIOS", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(variable, raising=False)
    random.seed(0)
    return home


@pytest.fixture(scope="session")
def run_python() -> Callable[..., str]:
    """Give a function that runs code in a fresh interpreter with more environment, and returns its output."""

    def run(code: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    return run


@pytest.fixture
def until() -> Callable[[Callable[[], Any], str], Any]:
    """Give a function that looks again and again until there is something."""

    def wait(look: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + 120
        while not (found := look()):
            assert time.monotonic() < deadline, f"{what} did not happen"
            time.sleep(0.02)
        return found

    return wait


@pytest.fixture
def data_root() -> Path:
    """Name the folder with the real tables; without one the test is skipped."""
    value = os.environ.get("CROSSLIFT_DATA")
    if not value:
        pytest.skip("CROSSLIFT_DATA is not set: it names the folder with the real tables")
    return Path(value)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name cases with bytes by their argument: what is packed holds the time, and two processes must agree on names."""
    return argname if isinstance(val, bytes) else None
