"""The compose stack as processes: its own commands, health checks and addresses, through one night on tiny shops."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VIEW = ["bwrap", "--dev-bind", "/", "/", "--unshare-user", "--unshare-net", "--unshare-pid", "true"]
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
  - tune: {kind: fine_tune}
baselines:
  - {kind: popularity}
"""


@pytest.mark.slow
def test_a_night_of_the_compose_stack(tmp_path: Path) -> None:
    """From PostgreSQL to a champion that answers through the MLflow server; every health check passes at the end."""
    if not (shutil.which("bwrap") and shutil.which("pg_isready")):
        pytest.skip("needs bubblewrap and postgresql: `apt-get install bubblewrap postgresql`")
    if subprocess.run(VIEW, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody make namespaces")
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "demo.yaml").write_text(TINY, encoding="utf-8")
    environment = {**os.environ, "CROSSLIFT_SCENARIOS_FOLDER": str(tmp_path / "scenarios")}
    command = [sys.executable, str(ROOT / "docker" / "rehearse.py"), str(tmp_path / "stack")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for task in ("finetune_target fine_tune: success", "promote : success", "every_lane : success"):
        assert task in done.stdout
    assert "served_from" in done.stdout
    assert "all are healthy" in done.stdout
