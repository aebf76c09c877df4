"""Does the gate let a related source in and keep an unrelated one out? Whole runs on generated shops."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.commands import commands

pytestmark = pytest.mark.slow

SCENARIO = """\
name: {name}
title: Two generated shops
sources: [grocer]
target: florist
bridges: [users, item_features]
embedded: {{variant: shops, related: {related}}}
cold_start: true
split: {{kind: time}}
model: {{dim: 64, text_buckets: 2048, temperature: 0.33}}
training: {{epochs: 3, patience: 1}}
strategies:
  - tune: {{kind: scratch}}
  - tune: {{kind: frozen}}
baselines:
  - {{kind: popularity}}
  - {{kind: user_knn}}
gate: {{delta: 0.1}}
"""


def run(tmp_path: Path, name: str, *, related: bool) -> dict[str, Any]:
    """The summary of a whole run of a scenario whose source is related to the target, or not."""
    scenarios = tmp_path / "scenarios"
    scenarios.mkdir()
    (scenarios / f"{name}.yaml").write_text(SCENARIO.format(name=name, related=str(related).lower()), encoding="utf-8")
    done = commands(tmp_path / "home", tmp_path, CROSSLIFT_SCENARIOS=str(scenarios))("run", name, "--json")
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def test_a_related_source_helps_and_is_let_in(tmp_path: Path) -> None:
    """With shared tastes the frozen transfer gains over target-only beyond doubt, and it is what serves."""
    summary = run(tmp_path, "related", related=True)
    lanes = {lane["name"]: lane for lane in summary["lanes"]}
    assert lanes["frozen"]["gain"]["low"] > 0
    assert summary["lane"] == "frozen"
    assert summary["verdict"] == "passed"
    assert summary["outcome"] == "promoted"


def test_an_unrelated_source_hurts_and_is_kept_out(tmp_path: Path) -> None:
    """With tastes drawn anew the same transfer loses beyond doubt, the report says so, and target-only serves."""
    summary = run(tmp_path, "unrelated", related=False)
    lanes = {lane["name"]: lane for lane in summary["lanes"]}
    assert lanes["frozen"]["gain"]["high"] < 0
    assert lanes["frozen"]["word"] == "hurts"
    assert summary["lane"] == "target_only"
    assert summary["outcome"] == "promoted"


DEVICES = """\
name: devices
title: One generated shop on two devices
sources: [pc]
target: mobile
bridges: [users, items, item_features]
embedded: {variant: devices, users: 1000, items: 400}
cold_start: true
split: {kind: time}
model: {dim: 32, text_buckets: 2048, temperature: 0.33}
training: {epochs: 2, patience: 1}
strategies:
  - tune: {kind: scratch}
  - tune: {kind: direct}
baselines:
  - {kind: popularity}
gate: {delta: 0.1}
"""


def test_on_two_devices_the_first_serves_the_second(tmp_path: Path) -> None:
    """Users and items are the same: the source's model, unchanged, ranks better than one of the target alone.

    What it says has its reasons on the first device, which stand beside it by their domain.
    """
    scenarios = tmp_path / "scenarios"
    scenarios.mkdir()
    (scenarios / "devices.yaml").write_text(DEVICES, encoding="utf-8")
    command = commands(tmp_path / "home", tmp_path, CROSSLIFT_SCENARIOS=str(scenarios))
    summary = json.loads(command("run", "devices", "--json").stdout)
    lanes = {lane["name"]: lane for lane in summary["lanes"]}
    assert lanes["direct"]["gain"]["low"] > 0
    assert (summary["lane"], summary["outcome"]) == ("direct", "promoted")
    items = pd.read_parquet(next((tmp_path / "home").glob("steps/package/*/items.pc.parquet")))
    taken = ",".join(items.nlargest(5, "train_count")["item_id"])
    told = json.loads(command("recommend", "devices", "--source-history", taken, "--explain", "2", "--json").stdout)
    assert len(told) == 10
    assert all(row["explanation"].startswith("pc: ") for row in told)
