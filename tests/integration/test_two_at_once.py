"""Two commands at once in a fresh home, in real processes: they share what is made once, and never a run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config import Options, Scenario
from pipeline.folders import Home, run_folder
from pipeline.results import INGEST
from pipeline.runs.run import Run, alone
from pipeline.scenarios import load_scenario

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
RUN = "night"

# Ingests for one of two runs. Who generates the tables waits until the other one has begun too; each call of the
# generator leaves a file.
DRIVER = """
import sys, time
from pathlib import Path
from pipeline.data import generator
from pipeline.folders import Home
from pipeline.steps import ingest
from pipeline.runs.run import Run

me, signs, generate = sys.argv[1], Path(sys.argv[2]), generator.generate

def watched(*arguments):
    deadline = time.monotonic() + 120
    while len(list(signs.glob("begun-*"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (signs / f"generated-{me}").touch()
    generate(*arguments)

generator.generate = watched
(signs / f"begun-{me}").touch()
ingest.ingest(Run.load(Home.from_env(), me))
"""


def small() -> dict[str, Any]:
    value = load_scenario("demo").model_dump(mode="json")
    value["embedded"] |= {"users": 200, "items": 100}
    return {**value, "name": "small"}


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_first_ingests(own_home: Path, tmp_path: Path) -> None:
    """Two runs that find no table of the generator make it once, and both end with the same snapshot."""
    home, names = Home(own_home), ("one", "two")
    for name in names:
        Run.start(home, name, Scenario.model_validate(small()), Options())
    (signs := tmp_path / "signs").mkdir()
    processes = [
        subprocess.Popen([sys.executable, "-c", DRIVER, name, str(signs)], stderr=subprocess.PIPE, text=True)
        for name in names
    ]
    told = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    assert len(list(signs.glob("generated-*"))) == 1
    found = [{at: one.manifest for at, one in Run.load(home, name).results(INGEST).items()} for name in names]
    assert found[0] == found[1]
    assert set(found[0]) == {"grocer", "florist"}


@pytest.fixture
def start(own_home: Path, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Give a function that starts a command of `crosslift` with the small scenario."""
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(small()))
    environment = {**os.environ, "CROSSLIFT_HOME": str(own_home), "CROSSLIFT_SCENARIOS": str(tmp_path)}

    def begin(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "import sys; from pipeline.cli import main; sys.exit(main())", *arguments]
        return subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    return begin


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a command; gives its exit code and what it said on standard error."""
    told = process.communicate(timeout=300)[1]
    return process.returncode, told


def test_a_run_is_not_run_twice(start: Callable[..., subprocess.Popen[str]], own_home: Path) -> None:
    """While a run runs, a second command on it is refused and names the first; a killed one is in nobody's way."""
    home = Home(own_home)
    results = home.run(RUN) / "results"
    first = start("run", "small", "--run-id", RUN)
    try:
        wait_until(lambda: (results / "ingest.grocer.json").exists() or first.poll() is not None)
        seconds = [
            start("run", "small", "--run-id", RUN),
            start("step", "plan", "small", "--run", RUN),
            start("audit", "small", "--run", RUN),
        ]
        for code, told in map(end, seconds):
            assert code == 2
            assert f"run {RUN}: is running already, as process {first.pid} on " in told
            assert f": -c run small --run-id {RUN}. Nothing was changed; wait until that has ended, or take" in told
        assert (results / "ingest.grocer.json").exists()
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait(60)
        assert first.stderr is not None
        first.stderr.close()
    assert end(start("step", "plan", "small", "--run", RUN)) == (0, "")


def test_tasks_of_one_run_work_beside_each_other(start: Callable[..., subprocess.Popen[str]], own_home: Path) -> None:
    """Steps of a run are processes of their own, and the lock of the run is not theirs to wait for."""
    home = Home(own_home)
    Run.start(home, RUN, Scenario.model_validate(small()), Options())
    with alone(home, RUN):
        both = [start("step", "ingest", "small", "--run", RUN) for _ in range(2)]
        assert [end(one)[0] for one in both] == [0, 0]
    assert set(Run.load(home, RUN).results(INGEST)) == {"grocer", "florist"}
    assert (home.root / "locks" / f"run-{run_folder(RUN)}").read_bytes() == b""
