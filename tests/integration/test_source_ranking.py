"""A registered ranking in the place of a source: another shop's items, and none of its users at hand."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline.errors import UserError
from pipeline.models.load import load_ranker
from tests.commands import commands

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]

GROUPS, ITEMS = 6, 60
THEIRS: dict[str, Any] = {
    "name": "theirs", "title": "What goes together", "sources": ["old"], "target": "big", "bridges": ["items"],
    "pseudonymous": True, "tables": {"interactions": [{"path": "theirs.csv"}]},
    "split": {"kind": "time", "valid": 0.1, "test": 0.2}, "cold_start": True, "model": {"dim": 16, "dropout": 0.2},
    "training": {"epochs": 6, "batch_size": 256, "negatives": 64},
    "strategies": [{"tune": {"kind": "scratch"}}], "baselines": [{"kind": "popularity"}],
}  # fmt: skip
OURS: dict[str, Any] = {
    **THEIRS, "name": "ours", "sources": [], "source_model": "models:/crosslift.theirs@champion", "target": "small",
    "tables": {"interactions": [{"path": "ours.csv"}]}, "split": {"kind": "time", "valid": 0.2, "test": 0.4},
    "strategies": [{"tune": {"kind": kind}} for kind in ("scratch", "direct", "frozen", "l2sp")],
}  # fmt: skip
BACK: dict[str, Any] = {**OURS, "name": "back", "target": "old", "tables": THEIRS["tables"]}
CHAIN: dict[str, Any] = {**BACK, "name": "chain", "source_model": "handed"}  # the package of `direct`


def taken(domain: str, users: int, count: int, start: str, seed: int) -> pd.DataFrame:
    """Nine of ten rows are of the user's group; item i is of group i modulo 6."""
    random = np.random.default_rng(seed)
    who = np.repeat(np.arange(users), count)
    groups = np.where(random.random(len(who)) < 0.9, who % GROUPS, random.integers(GROUPS, size=len(who)))
    items = groups + GROUPS * random.integers(ITEMS // GROUPS, size=len(who))
    times = pd.Timestamp(start, tz="UTC") + pd.to_timedelta(random.integers(100_000, size=len(who)), unit="min")
    names = [f"{domain}{one}" for one in who]
    return pd.DataFrame({
        "domain": domain, "user_id": names, "item_id": items, "timestamp": times.strftime("%Y-%m-%dT%H:%M:%SZ"),
    })  # fmt: skip


def test_vectors_of_shared_items_reach_a_shop_with_other_users(tmp_path: Path) -> None:
    """What its few rows cannot say the registered model does; it ranks as that does, is judged and serves."""
    pd.concat([taken("old", 60, 5, "2025-01-01", 0), taken("big", 400, 10, "2025-01-01", 1)]).to_csv(
        tmp_path / "theirs.csv", index=False
    )
    taken("small", 240, 4, "2025-06-01", 2).to_csv(tmp_path / "ours.csv", index=False)
    for one in (THEIRS, OURS, BACK, CHAIN):
        (tmp_path / f"{one['name']}.yaml").write_text(yaml.safe_dump(one))
    crosslift = commands(tmp_path / "home", tmp_path, CROSSLIFT_DATA=str(tmp_path), CROSSLIFT_SCENARIOS=str(tmp_path))
    done = crosslift("run", "theirs", "--json")
    assert done.returncode == 0, done.stderr
    done = crosslift("run", "ours", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["failed"], told["outcome"]) == (0, [], "promoted"), done.stderr
    lanes = {lane["name"]: lane for lane in told["lanes"]}
    assert lanes["direct"]["gain"]["value"] > 0
    answer = json.loads(crosslift("recommend", "ours", "--history", "2,8,14", "-k", "5", "--json").stdout)
    assert sum(int(one["item_id"]) % GROUPS == 2 for one in answer) >= 4
    run = max((tmp_path / "home" / "runs").glob("ours__*"))
    record = json.loads((run / "results" / "finetune_target.direct.json").read_text())
    direct = load_ranker(tmp_path / "home" / record["folder"])
    assert direct.network.items.own("Before").num_embeddings == ITEMS  # type: ignore[attr-defined]
    log = next((tmp_path / "home" / "logs").glob("ours__*/pretrain_source.log")).read_text()
    assert re.search(r"crosslift\.theirs version 1 is what the source taught; no row of one is at hand", log)
    log = next((tmp_path / "home" / "logs").glob("ours__*/finetune_target.l2sp.log")).read_text()
    assert re.search(r"the registered model has vectors of 60 of the 60 items of small; the others begin", log)
    with pytest.raises(UserError, match=r"it ranks items, and the task binary does not; name a model of that task"):
        _in_another_task(tmp_path)
    for where in ((), ("--scenario", "theirs")):
        done = crosslift("forget", "big7", "--dry-run", "--json", *where)  # who has never been in this shop
        found = {one["what"].partition(",")[0] for one in json.loads(done.stdout)["found"]}
        assert {"crosslift.theirs 1", "crosslift.ours 1", f"runs/{run.name}"} <= found
    run.rename(tmp_path / run.name)  # as `crosslift clean` takes it where no alias names the version any more
    done = crosslift("forget", "big7", "--dry-run", "--json")
    assert {"crosslift.theirs 1", "crosslift.ours 1"} <= {
        one["what"].partition(",")[0] for one in json.loads(done.stdout)["found"]
    }
    (tmp_path / run.name).rename(run)
    package = json.loads((run / "results" / "package.direct.json").read_text())["folder"]
    shutil.copytree(tmp_path / "home" / package, tmp_path / "handed")
    for name in ("back", "chain"):  # with a model that has learnt from old, and with one that began with that
        for step in ("plan", "ingest", "validate", "prepare", "audit", "pretrain_source"):
            done = crosslift("step", step, name, "--run", f"{name}__1")
        told = " ".join(done.stderr.split())
        found = re.search(
            r"has learnt from old too, and of the (\d+) rows that choose or judge here it knows (\d+)", told
        )
        assert found, told  # what was a source's validation there
        assert int(found[2]) > 0


def _in_another_task(folder: Path) -> None:
    from pipeline.config import BinaryTask
    from pipeline.folders import Home
    from pipeline.registry import lookup
    from pipeline.serving.package import ServedModel

    [package] = lookup.model_folder(Home(folder / "home"), "crosslift.theirs").glob("artifacts/*/")
    task = BinaryTask(kind="binary", label="late", features={"debt": "number"})
    ServedModel.read(package).served.carried(task)
