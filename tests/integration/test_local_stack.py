"""The demo as a user starts it: real Airflow, real steps, on a scenario small enough for a test."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

TINY = """
name: demo
title: A tiny pair of shops
sources: [grocer]
target: florist
bridges: [users, item_features]
embedded: {variant: shops, users: 400, items: 120}
cold_start: true
split: {kind: time}
model: {dim: 8, text_buckets: 256}
training: {epochs: 1}
strategies:
  - tune: {kind: scratch}
  - {adapt: {kind: coral, epochs: 1}, tune: {kind: fine_tune}}
baselines:
  - {kind: popularity}
schedule: "0 2 * * *"
"""


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, str]:
    """Make a folder of scenarios in which `demo` is tiny, beside a broken file that must not matter."""
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "demo.yaml").write_text(TINY, encoding="utf-8")
    (folder / "broken.yaml").write_text("name: broken\nsorces: [a]\n", encoding="utf-8")
    return {**os.environ, "CROSSLIFT_SCENARIOS": str(folder), "PYTHONUNBUFFERED": "1"}


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


def test_the_demo_runs_from_tables_to_a_verdict(demo: "subprocess.Popen[str]", own_home: Path) -> None:
    """Every task ends well, table, verdict and pages are told, and no process is left."""
    output, _ = demo.communicate(timeout=3600)
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
    pages = [
        line.split(":", 1)[1].strip() for line in output.splitlines() if line.startswith(("Report:", "Data Docs:"))
    ]
    assert len(pages) == 2
    assert all(Path(page).is_file() for page in pages)
    wait_until_none_is_left(own_home)
    assert not (own_home / "services.json").exists()


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
