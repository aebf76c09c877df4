"""A log of views and purchases up to the verdict: what rows count and which are answers reaches every step."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.config import Options, Scenario
from pipeline.folders import Home
from pipeline.results import BASELINE
from pipeline.runs.account import accounts
from pipeline.runs.run import Run
from pipeline.serving.package import ServedModel
from pipeline.steps.audit import audit
from pipeline.steps.baseline import fit_baseline
from pipeline.steps.evaluate import evaluate
from pipeline.steps.finetune import finetune_target
from pipeline.steps.ingest import ingest
from pipeline.steps.packaging import packaged
from pipeline.steps.prepare import prepare
from pipeline.steps.validate import validate
from tests.publishing import domains_of

pytestmark = pytest.mark.slow

GROUPS, ITEMS, USERS, VIEWS, PURCHASES = 5, 60, 250, 12, 6  # of items; rows of each user in each shop
JUDGED: dict[str, Any] = {"relevant": {"event": ["purchase"]}}
WEIGHED = {**JUDGED, "weight": {"event": {"view": 0.01, "purchase": 5}}}


def scenario(task: dict[str, Any]) -> Scenario:
    return Scenario.model_validate({
        "name": "shop", "title": "What visitors will buy", "sources": ["old"], "target": "new", "bridges": ["users"],
        "tables": {"interactions": [{"path": "log.csv", "columns": {"event": "action"}}]}, "pseudonymous": True,
        "duplicates": "sum", "split": {"kind": "time", "valid": 0.2, "test": 0.2}, "cold_start": True, "task": task,
        "model": {"dim": 8}, "training": {"epochs": 2, "batch_size": 1024, "negatives": 32},
        "strategies": [{"tune": {"kind": "scratch"}}], "gate": {"resamples": 1000},
        "baselines": [{"kind": "popularity"}, {"kind": "user_knn", "neighbours": [30]}],
    })  # fmt: skip


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


def up_to_the_baselines(home: Home, name: str, task: dict[str, Any]) -> Run:
    run = Run.start(home, name, scenario(task), Options())
    for step in (ingest, validate, prepare, audit):
        step(run)
    for baseline in ("popularity", "user_knn"):
        fit_baseline(run, baseline)
    return run


def test_purchases_weigh_more_and_are_what_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows are accounted for, weights find purchases that views hid, and the candidate's package serves by them."""
    monkeypatch.setenv("CROSSLIFT_DATA", str(tmp_path))
    write_log(tmp_path / "log.csv")
    home = Home(tmp_path / "home")
    judged = up_to_the_baselines(home, "judged", JUDGED)
    run = up_to_the_baselines(home, "weighed", WEIGHED)
    assert all(result.reused for result in ingest(run).values())  # other numbers, the same tables
    valid = {one.run_id: one.result(BASELINE, "user_knn").facts.valid["ndcg@10"] for one in (judged, run)}
    assert valid["weighed"] > 1.2 * valid["judged"]

    account = next(one for one in accounts(run) if one.domain == "new")
    data = domains_of(run).target
    assert account.kept["test"] == len(domains_of(run).held_out("test")) == (data.rows["part"] == 2).sum()
    assert account.kept["valid"] == len(domains_of(run).held_out("valid"))
    assert account.kept["valid_not_relevant"] + account.kept["valid"] == (data.rows["part"] == 1).sum()
    assert account.dropped["not_relevant"] > account.kept["test"] / 2

    finetune_target(run, "target_only")
    facts = evaluate(run).facts
    assert (facts.failed, facts.candidate) == ((), "user_knn")
    served = ServedModel.read(run.path(packaged(run, "user_knn")))
    rows = served.answer(pd.DataFrame({"user_id": ["7"]}), {"k": 5})
    assert set(rows["served_from"]) == {"model"}
    assert (rows["item_id"].astype(int) % GROUPS == 7 % GROUPS).sum() >= 4
