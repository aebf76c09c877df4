"""Two sources and one target: whole runs on tables made by hand, in which a user keeps to the items of one group."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.commands import commands

pytestmark = pytest.mark.slow

GROUPS, ITEMS, USERS = 6, 60, 300
ROWS = {"films": 10, "music": 10, "books": 2}  # of each user
MEMBERS = {"films": range(200), "music": range(100, 300), "books": range(300)}

SCENARIO = """\
name: books
title: Films and music say which books
sources: [films, music]
target: books
bridges: [users]
pseudonymous: true
tables:
  interactions:
    - {path: films.csv, constants: {domain: films}}
    - {path: music.csv, constants: {domain: music}}
    - {path: books.csv, constants: {domain: books}}
split: {kind: time, valid: 0.2, test: 0.2}
cold_start: true
model: {dim: 16, dropout: 0.2}
training: {epochs: 8, batch_size: 256, negatives: 64}
strategies:
  - tune: {kind: scratch}
  - tune: {kind: frozen}
  - tune: {kind: joint}
  - {adapt: {kind: coral}, tune: {kind: fine_tune}}
baselines:
  - {kind: popularity}
  - {kind: ease}
  - {kind: ease, domains: all}
gate: {delta: 0.1}
"""


def write_tables(folder: Path) -> None:
    """Nine of ten rows are of the user's group; item i is of group i modulo 6; the target's rows are the latest."""
    random = np.random.default_rng(3)
    for domain, count in ROWS.items():
        users = np.repeat(list(MEMBERS[domain]), count)
        groups = np.where(random.random(len(users)) < 0.9, users % GROUPS, random.integers(GROUPS, size=len(users)))
        items = groups + GROUPS * random.integers(ITEMS // GROUPS, size=len(users))
        start = pd.Timestamp("2025-06-01" if domain == "books" else "2025-01-01", tz="UTC")
        times = start + pd.to_timedelta(random.integers(100_000, size=len(users)), unit="min")
        table = pd.DataFrame({"user_id": users, "item_id": items, "timestamp": times.strftime("%Y-%m-%dT%H:%M:%SZ")})
        table.to_csv(folder / f"{domain}.csv", index=False)


def crosslift(folder: Path, *arguments: str) -> Any:
    """What a command says in JSON."""
    scenarios = str(folder / "scenarios")
    done = commands(folder / "home", folder, CROSSLIFT_DATA=str(folder), CROSSLIFT_SCENARIOS=scenarios)(*arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_source_brings_something(tmp_path: Path) -> None:
    """Every lane ends well, both sources help the target, and a stranger is served from either of them."""
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "books.yaml").write_text(SCENARIO, encoding="utf-8")
    write_tables(tmp_path)
    summary = crosslift(tmp_path, "run", "books", "--json")
    assert summary["failed"] == []
    lanes = {lane["name"]: lane for lane in summary["lanes"]}
    for name in ("frozen", "joint", "coral+fine_tune", "ease+source"):
        assert lanes[name]["gain"]["low"] > 0
    assert summary["outcome"] == "promoted"
    assert summary["lane"] in ("frozen", "joint", "coral+fine_tune", "ease+source")
    told = crosslift(tmp_path, "recommend", "books", "--source-history", "2,8,14", "-k", "5", "--json")
    assert {row["served_from"] for row in told} == {"history"}
    assert sum(int(row["item_id"]) % GROUPS == 2 for row in told) >= 4
