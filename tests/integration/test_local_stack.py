"""The demo as a user starts it: real Airflow, real steps, on a scenario small enough for a test."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
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
    for process in psutil.process_iter(["pid", "cmdline"]):
        try:
            mine = process.environ().get("CROSSLIFT_HOME") == str(home) and process.pid != os.getpid()
        except psutil.Error:
            continue
        if mine and process.status() != psutil.STATUS_ZOMBIE:
            found.append(" ".join(process.info["cmdline"] or []))
    return found


def test_the_demo_runs_from_tables_to_a_verdict(demo: "subprocess.Popen[str]", own_home: Path) -> None:
    """Every task ends well, table, verdict and pages are told, and no process is left."""
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
    pages = [
        line.split(":", 1)[1].strip() for line in output.splitlines() if line.startswith(("Report:", "Data Docs:"))
    ]
    assert len(pages) == 2
    assert all(Path(page).is_file() for page in pages)
    assert left_over(own_home) == []
    assert not (own_home / "services.json").exists()
    assert not [str(path) for path in own_home.rglob("*") if path.stat().st_mode & 0o077]  # also Airflow's own files


def test_an_interrupted_demo_leaves_no_process(demo: "subprocess.Popen[str]", own_home: Path) -> None:
    """Ctrl-C while tasks run ends Airflow too."""
    assert demo.stdout
    told = next(line for line in demo.stdout if "runs as" in line or "failed" in line)
    assert "retrain__demo runs as" in told
    assert left_over(own_home) != []
    demo.send_signal(signal.SIGINT)
    rest = demo.stdout.read()
    assert demo.wait(timeout=120) == 130, rest
    assert left_over(own_home) == []
