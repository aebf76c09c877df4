"""A target that is declared without labels: nothing of it is learnt from, and the gate or a person decides."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.config import Embedded
from pipeline.data.generator import generate

pytestmark = pytest.mark.slow

SCENARIO = """\
name: opening
title: A florist opens beside a grocer
sources: [grocer]
target: florist
target_labels: false
bridges: [item_features]
pseudonymous: true
tables:
  interactions: [{path: interactions.parquet}]
  items: [{path: items.parquet}]
split: {kind: time}
model: {dim: 32, text_buckets: 512}
training: {epochs: 3, batch_size: 512, negatives: 128}
strategies:
  - tune: {kind: direct}
baselines: []
"""
ORACLES = """
  - tune: {kind: scratch}
  - {adapt: {kind: coral}, tune: {kind: direct}}
baselines:
  - {kind: popularity}
  - {kind: ease}
"""


class Shop:
    """A folder with tables and a scenario, and the commands that a person gives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scenarios").mkdir(parents=True)
        generate(Embedded(users=800, items=300), "grocer", "florist", folder)

    def write(self, scenario: str = SCENARIO) -> None:
        (self.folder / "scenarios" / "opening.yaml").write_text(scenario, encoding="utf-8")

    def close(self) -> None:
        """Take all that happened at the florist's out of the tables, as on the day before it opens."""
        path = self.folder / "interactions.parquet"
        rows = pd.read_parquet(path)
        rows[rows["domain"] != "florist"].to_parquet(path, index=False)

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "CROSSLIFT_HOME": str(self.folder / "home"),
            "CROSSLIFT_DATA": str(self.folder),
            "CROSSLIFT_SCENARIOS": str(self.folder / "scenarios"),
        }
        command = [sys.executable, "-c", "import sys; from pipeline.cli import main; sys.exit(main())", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)

    def told(self, *arguments: str, code: int = 0) -> Any:
        done = self.call(*arguments, "--json")
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)


def test_without_a_test_row_a_person_decides(tmp_path: Path) -> None:
    """Nothing is promoted before the approval, which serves what was registered; a repeated night changes nothing."""
    shop = Shop(tmp_path / "shop")
    shop.close()
    shop.write()
    night = shop.told("run", "opening", code=4)
    assert (night["verdict"], night["lane"], night["approvable"]) == ("undecided", None, True)
    assert (night["alias"], night["promoted"], night["failed"]) == ("challenger", False, [])
    assert [(lane["name"], lane["test"]) for lane in night["lanes"]] == [("direct", None)]
    assert "crosslift models approve crosslift.opening" in shop.call("run", "opening").stdout
    refused = shop.call("recommend", "opening", "--history", "florist-00001")
    assert refused.returncode == 2
    assert "no version has the alias 'champion'" in refused.stderr

    approved = shop.told("models", "approve", "crosslift.opening")
    assert (approved["champion"], approved["previous"]) == (1, None)
    [version] = shop.told("models", "show", "crosslift.opening")["versions"]
    assert version["aliases"] == ["challenger", "champion"]
    assert version["tags"]["approval"].startswith(f"by {approved['by']} at 20")
    found = shop.told("recommend", "opening", "--source-history", "grocer-00001,grocer-00007", "-k", "3")
    assert [(row["served_from"], row["item_id"][:8]) for row in found] == [("history", "florist-")] * 3

    again = shop.call("models", "approve", "crosslift.opening")
    assert again.returncode == 2
    assert "no version waits" in again.stderr
    shop.told("run", "opening", code=4)
    assert shop.told("models", "list")[0] == {
        "name": "crosslift.opening", "champion": 1, "challenger": 1, "previous": None
    }  # fmt: skip


def test_labels_may_judge_and_are_never_learnt_from(tmp_path: Path) -> None:
    """The same weights come out with and without the target's training rows; test rows let the gate decide."""
    weights = []
    for name in ("whole", "tests alone"):
        shop = Shop(tmp_path / name)
        path = shop.folder / "interactions.parquet"
        rows = pd.read_parquet(path)
        late = rows["timestamp"] >= rows["timestamp"].quantile(0.9)
        rows["split"] = late.map({True: "test", False: "train"})
        rows.drop(columns="timestamp")[late | (rows["domain"] == "grocer") | (name == "whole")].to_parquet(path)
        shop.write(SCENARIO.replace("split: {kind: time}", "split: {kind: shipped}"))
        summary = shop.told("run", "opening")
        assert (summary["verdict"], summary["lane"], summary["approvable"]) == ("promoted", "direct", False)
        assert "chance" in summary["reason"]
        weights += [path.read_bytes() for path in shop.folder.glob("home/steps/package/*/weights.safetensors")]
    assert len(weights) == 2
    assert weights[0] == weights[1]
    decided = shop.call("models", "approve", "crosslift.opening")
    assert decided.returncode == 2
    assert "no version waits" in decided.stderr


def test_oracles_are_shown_and_nothing_else(tmp_path: Path) -> None:
    """Target-only and target baselines stand in the table with what labels bring, behind what may be promoted."""
    shop = Shop(tmp_path / "shop")
    shop.write(
        SCENARIO.replace("baselines: []\n", ORACLES.lstrip("\n")).replace("[item_features]", "[users, item_features]")
    )
    summary = shop.told("run", "opening")
    lanes = {lane["name"]: lane for lane in summary["lanes"]}
    assert [name for name, lane in lanes.items() if lane["word"] == "oracle"] == list(lanes)[-3:]
    assert set(list(lanes)[:-3]) == {"direct", "coral+direct"}
    assert summary["lane"] in ("direct", "coral+direct")
    assert lanes["target_only"]["test"]["low"] > lanes["direct"]["test"]["high"]
    page = Path(summary["report"]).read_text(encoding="utf-8")
    assert "none of the target's training rows" in page
    assert "An oracle was fitted on the labels that the target is declared not to have" in page
