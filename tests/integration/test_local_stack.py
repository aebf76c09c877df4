"""The demo as a user starts it: real Airflow, real steps, on a scenario small enough for a test."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from pipeline.config import Options
from pipeline.folders import Home, read_json
from pipeline.local.api import AirflowApi
from pipeline.local.demo import DAG
from pipeline.local.services import recall
from pipeline.local.settings import USER
from pipeline.local.stack import Stack
from pipeline.local.supervisor import deaths
from pipeline.runs.graph import graph_of
from pipeline.runs.run import Run
from pipeline.scenarios import load_scenario
from pipeline.steps import call_task
from tests.browser import chromium
from tests.looking import look_at_airflow
from tests.tiny import TINY

Found = TypeVar("Found")
ROOT = Path(__file__).parents[2]
MLFLOW = "http://mlflow.example"  # whatever it is, buttons lead there
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, str]:
    """Make a folder of scenarios in which `demo` is tiny, beside a broken file that must not matter."""
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "demo.yaml").write_text(TINY, encoding="utf-8")
    (folder / "broken.yaml").write_text("name: broken\nsorces: [a]\n", encoding="utf-8")
    more = {"CROSSLIFT_SCENARIOS": str(folder), "CROSSLIFT_MLFLOW_URL": MLFLOW, "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **more}


@pytest.fixture
def demo(tiny: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """Start the demo; whatever happens, it does not outlive the test."""
    command = [sys.executable, "-m", "pipeline.local", "demo"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, cwd=ROOT, env=tiny, text=True, **pipes) as process:  # type: ignore[call-overload]
        yield process
        process.terminate()


def left_over(home: Path) -> list[str]:
    """Find the processes that work below this home."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it ended, or is somebody else's
            mine = process.environ().get("CROSSLIFT_HOME") == str(home) and process.pid != os.getpid()
            if mine and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
    return found


def wait_until_none_is_left(home: Path, seconds: float = 60.0) -> None:
    """Wait for what was killed to be gone, which takes its time on a busy machine; a service left alive stays."""
    deadline = time.monotonic() + seconds
    while found := left_over(home):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def until(look: Callable[[], Found | None], what: str, seconds: float = 300) -> Found:
    """Look again and again until there is something."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.02)
    return found


def in_transaction(stack: Stack, step: str) -> psutil.Process | None:
    """Find the process that computes a step: it holds the lock of the folder that is not published yet."""
    root = stack.home.root
    for unpublished in (root / "steps" / step).glob(".*.tmp"):
        for process in stack.supervisor.session():
            with suppress(psutil.Error):
                held = [Path(file.path) for file in process.open_files()]
                if any(path.parent == root / "locks" and path.name[:24] == unpublished.name[1:25] for path in held):
                    return process
    return None


def at_work(api: AirflowApi, run_id: str, task: str) -> psutil.Process | None:
    """Find the process of a task, as the API tells it."""
    for found in api.tasks(DAG, run_id):
        if found["task_id"] == task and found["state"] == "running" and found["pid"]:
            with suppress(psutil.NoSuchProcess):
                return psutil.Process(found["pid"])
    return None


def gone(process: psutil.Process) -> bool | None:
    """Tell when a process has ended."""
    try:
        return True if process.status() == psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return True


def service(stack: Stack, name: str) -> psutil.Process | None:
    """Find a service of a stack: the children of the supervisor are the services."""
    for process in psutil.Process(stack.supervisor.pid).children():
        if name in " ".join(process.cmdline()):
            return process
    return None


def manifests(run: Path) -> dict[str, str]:
    """Read what the steps of a run published, by step and lane."""
    return {path.name: read_json(path)["manifest"] for path in run.glob("results/*.json")}


def undisturbed(home: Home) -> dict[str, str]:
    """Run the same steps one after the other, without Airflow."""
    run = Run.start(home, "undisturbed", load_scenario("demo"), Options())
    for step, lane in TopologicalSorter(graph_of(run.scenario)).static_order():
        call_task(run, step, lane)
    return manifests(run.folder)


def look(api: AirflowApi, stack: Stack, run_id: str) -> None:
    """Look at the pages of the finished run: each lane by its name, what it did, its button, and the form."""
    until(lambda: True if api.state(DAG, run_id) == "success" else None, "the end of the run")
    with chromium() as browser:
        login, lane = (USER, stack.password), "finetune_target.coral_and_fine_tune"
        seen = look_at_airflow(browser, stack.ports.airflow_url, login, (DAG, run_id), lane)
    assert len(set(seen["health"].values())) == 1  # none is red, or no page would be there
    for told in (
        "target_only",
        "coral+fine_tune",
        "popularity",
        "epoch 1 of at most 1",
        "finetune_target coral+fine_tune: ",
    ):
        assert told in seen["grid"]
    [button] = seen["buttons"]
    assert button.startswith(f"{MLFLOW}/#/experiments/1/runs/")
    for title in ("Strategies", "Seed", "Epochs", "Share of the target's rows", "Compute again", "Let a trial serve"):
        assert title in seen["form"]
    assert "30 is greater than" in seen["answer"]


def test_the_demo_comes_home_whatever_is_killed(
    demo: "subprocess.Popen[str]",
    own_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiny: dict[str, str],
    subtests: pytest.Subtests,
) -> None:
    """Tasks, scheduler and server get SIGKILL on the way: all is published as undisturbed, and no process is left."""
    assert demo.stdout
    run_id = next(line for line in demo.stdout if "runs as" in line).split()[-1]
    stack = recall(Home(own_home))
    assert stack
    api = AirflowApi(stack.ports.airflow_url, USER, stack.password)
    until(partial(in_transaction, stack, "pretrain_source"), "pretraining").kill()
    until(partial(in_transaction, stack, "adapt_domain"), "an adaptation")
    until(partial(service, stack, "airflow api"), "an API server").kill()
    until(partial(in_transaction, stack, "finetune_target"), "a tuning").kill()
    evaluating = until(partial(at_work, api, run_id, "evaluate"), "evaluate at work")
    until(partial(service, stack, "scheduler"), "a scheduler").kill()
    until(partial(gone, evaluating), "the end of what the scheduler left")
    until(partial(at_work, api, run_id, "promote"), "promote at work").kill()
    with subtests.test("what Airflow shows"):
        demo.send_signal(signal.SIGSTOP)  # else it would end the services with the run
        try:
            look(api, stack, run_id)
        finally:
            demo.send_signal(signal.SIGCONT)

    output, _ = demo.communicate(timeout=600)
    assert demo.returncode == 0, output
    for lane in (
        "finetune_target target_only",
        "finetune_target coral+fine_tune",
        "fit_baseline popularity",
        "promote",
    ):
        assert lane in output
    assert "FAILED" not in output
    assert "Verdict:" in output
    for name in ("scheduler", "api-server"):
        assert deaths(own_home / "logs", name) == ["terminated by SIGKILL"]
    assert "Outcome: promoted" in output
    with closing(sqlite3.connect(own_home / "airflow" / "airflow.db")) as database:
        [(extra, task)] = database.execute("select extra, source_task_id from asset_event").fetchall()
    assert (json.loads(extra)["model"], task) == ("crosslift.demo", "champion_moved")
    pages = [
        line.split(":", 1)[1].strip() for line in output.splitlines() if line.startswith(("Report:", "Data Docs:"))
    ]
    assert len(pages) == 2
    assert all(Path(page).is_file() for page in pages)
    wait_until_none_is_left(own_home)
    assert not (own_home / "services.json").exists()
    assert not [str(path) for path in own_home.rglob("*") if path.stat().st_mode & 0o077]  # also Airflow's own files
    monkeypatch.setenv("CROSSLIFT_SCENARIOS", tiny["CROSSLIFT_SCENARIOS"])
    expected = undisturbed(Home(tmp_path / "undisturbed"))
    assert len(expected) > 10
    assert manifests(Run.load(Home(own_home), f"demo__{run_id}").folder) == expected


def test_an_interrupted_demo_leaves_no_process(demo: "subprocess.Popen[str]", own_home: Path) -> None:
    """Ctrl-C while tasks run ends Airflow too."""
    assert demo.stdout
    told = next(line for line in demo.stdout if "runs as" in line or "failed" in line)
    assert "retrain__demo runs as" in told
    assert left_over(own_home) != []
    demo.send_signal(signal.SIGINT)
    rest = demo.stdout.read()
    assert demo.wait(timeout=3600) == 130, rest
    wait_until_none_is_left(own_home)
