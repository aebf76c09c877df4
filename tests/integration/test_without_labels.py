"""A target that is declared without labels: nothing of it is learnt from, and the gate or a person decides."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytest

from pipeline.config import Embedded
from pipeline.data.generator import generate
from tests.commands import commands

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


NAME = "opening_day"  # it ships
PARTS = ("ranker.json", "weights.safetensors", "items.florist.parquet", "histories.parquet")


class Shop:
    """A folder with tables and a scenario, and the commands that a person gives."""

    def __init__(self, folder: Path, variant: Literal["shops", "devices"] = "shops") -> None:
        self.folder = folder
        (folder / "scenarios").mkdir(parents=True)
        generate(Embedded(variant=variant, users=800, items=300), "grocer", "florist", folder)
        self.call = commands(
            folder / "home", folder, CROSSLIFT_DATA=str(folder), CROSSLIFT_SCENARIOS=str(folder / "scenarios")
        )

    def write(self, scenario: str = SCENARIO) -> None:
        (self.folder / "scenarios" / "opening.yaml").write_text(scenario, encoding="utf-8")

    def told(self, *arguments: str, code: int = 0) -> Any:
        done = self.call(*arguments, "--json")
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    def refusal(self, *arguments: str) -> str:
        """Why a command ended as a user's mistake."""
        done = self.call(*arguments)
        assert done.returncode == 2, done.stderr
        return done.stderr

    def aliases(self) -> dict[str, int | None]:
        [model] = self.told("models", "list")
        assert model.pop("name") == f"crosslift.{NAME}"
        return dict(model)

    def tag(self, version: str, key: str, value: str) -> None:
        update = "UPDATE model_version_tags SET value = ? WHERE version = ? AND key = ?"  # of the one model there is
        with closing(sqlite3.connect(self.folder / "home" / "mlflow" / "mlflow.db")) as store, store:
            assert store.execute(update, (value, int(version), key)).rowcount == 1


def test_without_a_test_row_a_person_decides(tmp_path: Path) -> None:
    """Nothing is promoted before the approval, which serves what was registered; a repeated night changes nothing."""
    shop = Shop(tmp_path / "shop")
    night = shop.told("run", NAME, code=4)
    assert (night["verdict"], night["lane"], night["outcome"]) == ("undecided", None, "waits for approval")
    assert (night["alias"], night["serves"], night["failed"]) == ("challenger", False, [])
    assert [(lane["name"], lane["test"]) for lane in night["lanes"]] == [("direct", None)]
    assert "`crosslift models approve crosslift.opening_day 1`; nothing served." in night["outcome_reason"]
    refused = shop.call("recommend", NAME, "--history", "florist-00001")
    assert refused.returncode == 2
    assert "no version has the alias 'champion'" in refused.stderr

    assert "challenger: 1, champion: none" in shop.refusal("models", "approve", "crosslift.opening_day", "2")
    shop.tag("1", "approval", "not needed")
    assert "the gate says undecided about it" in shop.refusal("models", "approve", "crosslift.opening_day", "1")
    shop.tag("1", "approval", "needed")
    approved = shop.told("models", "approve", "crosslift.opening_day", "1")
    assert (approved["champion"], approved["previous"]) == (1, None)
    [version] = shop.told("models", "show", "crosslift.opening_day")["versions"]
    assert version["aliases"] == ["challenger", "champion"]
    assert version["tags"]["crosslift.approved"].startswith(f"by {approved['by']} at 20")
    assert f"\n  approved by {approved['by']} at 20" in shop.call("models", "why", "crosslift.opening_day").stdout
    found = shop.told("recommend", NAME, "--source-history", "grocer-00001,grocer-00007", "-k", "3")
    assert [(row["served_from"], row["item_id"][:8]) for row in found] == [("history", "florist-")] * 3

    assert "does not wait for an approval" in shop.refusal("models", "approve", "crosslift.opening_day", "1")
    again = shop.told("run", NAME)
    assert (again["verdict"], again["outcome"]) == ("undecided", "serves already")
    assert f"approved by {approved['by']}" in again["outcome_reason"]
    assert shop.aliases() == {"champion": 1, "challenger": 1, "previous": None}

    another = shop.told("run", NAME, "--seed", "1", code=4)  # a trial, for which a person may ask
    assert (another["verdict"], another["lane"], another["outcome"]) == ("undecided", None, "waits for approval")
    assert another["outcome_reason"].endswith("; version 1 (direct) stayed in service.")
    assert "challenger: 2, champion: 1" in shop.refusal("models", "approve", "crosslift.opening_day", "1")
    assert shop.told("models", "approve", "crosslift.opening_day", "2")["previous"] == 1
    assert shop.aliases() == {"champion": 2, "challenger": 2, "previous": 1}


LEARNERS = """
  - {adapt: {kind: coral}, tune: {kind: direct}}
baselines:
  - {kind: popularity, domains: source}
  - {kind: user_knn, domains: source}
  - {kind: ials, domains: source}
"""


def test_labels_may_judge_and_are_never_learnt_from(tmp_path: Path) -> None:
    """On two devices of one shop, whatever users took on the second for training: every lane comes out the same."""
    weights, packages = [], []
    for name in ("as it was", "other labels"):
        shop = Shop(tmp_path / name, variant="devices")
        path = shop.folder / "interactions.parquet"
        rows = pd.read_parquet(path)
        late = rows["timestamp"] >= rows["timestamp"].quantile(0.9)
        rows["split"] = late.map({True: "test", False: "train"})
        learnt = (rows["domain"] == "florist") & ~late
        if name == "other labels":
            items = sorted(rows["item_id"].unique())
            others = dict(zip(items, items[7:] + items[:7], strict=True))
            rows.loc[learnt, "item_id"] = rows.loc[learnt, "item_id"].map(others)
        rows.drop(columns="timestamp").to_parquet(path)
        scenario = SCENARIO.replace("split: {kind: time}", "split: {kind: shipped}")
        scenario = scenario.replace("[item_features]", "[users, items, item_features]")
        shop.write(scenario.replace("baselines: []\n", LEARNERS.lstrip("\n")))
        summary = shop.told("run", "opening")
        assert (summary["verdict"], summary["outcome"], summary["failed"]) == ("passed", "promoted", [])
        assert "chance" in summary["reason"]
        runs = shop.folder.glob("home/runs/*/results/f*.json")
        records = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in runs}
        weights.append({name: record["manifest"] for name, record in records.items()})
        [package] = shop.folder.glob("home/steps/package/*/")
        packages.append({part: (package / part).read_bytes() for part in PARTS})
    assert len(weights[0]) == 5
    assert weights[0] == weights[1]
    assert packages[0] == packages[1]


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
