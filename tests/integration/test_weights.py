"""A log of views and purchases as a whole run: what rows count and which are answers reaches verdict and server."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow

GROUPS, ITEMS, USERS, VIEWS, PURCHASES = 5, 60, 120, 12, 6  # of items; rows of each user in each shop

SCENARIO = """\
name: shop
title: What visitors of the new shop will buy
sources: [old]
target: new
bridges: [users]
pseudonymous: true
tables: {{interactions: [{{path: log.csv, columns: {{event: action}}}}]}}
duplicates: sum
split: {{kind: time, valid: 0.2, test: 0.2}}
cold_start: true
task: {task}
model: {{dim: 8}}
training: {{epochs: 2, batch_size: 256, negatives: 32}}
strategies: [{{tune: {{kind: scratch}}}}]
baselines:
  - {{kind: popularity}}
  - {{kind: user_knn, neighbours: [30]}}
gate: {{resamples: 1000}}
"""
WEIGHED = "{weight: {event: {view: 0.01, purchase: 5}, half_life_days: 60}, relevant: {event: [purchase]}}"
JUDGED = "{relevant: {event: [purchase]}}"


def write_log(path: Path) -> None:
    """Who views looks at anything; who buys keeps to the items of one group."""
    random = np.random.default_rng(3)
    parts = []
    for domain, start in (("old", "2025-01-01"), ("new", "2025-06-01")):
        users = np.repeat(np.arange(USERS), VIEWS + PURCHASES)
        bought = np.tile(np.arange(VIEWS + PURCHASES) < PURCHASES, USERS)
        own = users % GROUPS + GROUPS * random.integers(ITEMS // GROUPS, size=len(users))
        items = np.where(bought, own, random.integers(ITEMS, size=len(users)))
        times = pd.Timestamp(start, tz="UTC") + pd.to_timedelta(random.integers(100_000, size=len(users)), unit="min")
        parts.append(pd.DataFrame({"user_id": users, "item_id": items, "domain": domain, "timestamp": times,
                                   "action": np.where(bought, "purchase", "view")}))  # fmt: skip
    pd.concat(parts).to_csv(path, index=False)


def crosslift(folder: Path, *arguments: str) -> Any:
    """What a command says in JSON."""
    environment = {
        **os.environ,
        "CROSSLIFT_HOME": str(folder / "home"),
        "CROSSLIFT_DATA": str(folder),
        "CROSSLIFT_SCENARIOS": str(folder / "scenarios"),
    }
    command = [sys.executable, "-c", "import sys; from pipeline.cli import main; sys.exit(main())", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_purchases_weigh_more_and_are_what_is_asked_for(tmp_path: Path) -> None:
    """All rows are accounted for, who finds purchases wins by weights, and the package serves by them."""
    write_log(tmp_path / "log.csv")
    (tmp_path / "scenarios").mkdir()
    lanes = {}
    for task in (JUDGED, WEIGHED):
        (tmp_path / "scenarios" / "shop.yaml").write_text(SCENARIO.format(task=task), encoding="utf-8")
        summary = crosslift(tmp_path, "run", "shop", "--json")
        assert summary["failed"] == []
        [told] = [line for line in summary["rows"] if line.startswith("new:")]
        assert "valid_not_relevant" in told
        assert "not_relevant" in told.partition("dropped")[2]
        lanes[task] = {lane["name"]: lane["test"]["value"] for lane in summary["lanes"]}
    assert lanes[WEIGHED]["user_knn"] > 1.2 * lanes[JUDGED]["user_knn"]
    assert summary["lane"]
    rows = crosslift(tmp_path, "recommend", "shop", "--user", "7", "-k", "5", "--json")
    assert {row["served_from"] for row in rows} == {"model"}
    assert sum(int(row["item_id"]) % GROUPS == 7 % GROUPS for row in rows) >= 4
