"""Nights that run up to the verdict on small tables, for what comes after it: registry, promotion, rollback."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline import columns as c
from pipeline.config import Options, Scenario
from pipeline.evaluation import gate
from pipeline.evaluation.gate import Verdict
from pipeline.folders import Home, write_json
from pipeline.local.api import answers
from pipeline.models.neighbours import ItemKnnRanker, PopularityRanker
from pipeline.models.stack import Stack
from pipeline.results import AUDIT, BASELINE, CLEAN, INGEST, PREPARE, TUNE, VALIDATE, LaneFacts, Step
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.runs.run import Run
from pipeline.steps.evaluate import evaluate
from tests.commands import store
from tests.publishing import publish


def scenario(name: str) -> Scenario:
    return Scenario.model_validate({
        "name": name, "title": "Toy", "sources": ["books"], "target": "films", "bridges": ["users"],
        "tables": {"interactions": [{"path": "x.csv"}]}, "pseudonymous": True, "split": {"kind": "shipped"},
        "strategies": [{"tune": {"kind": "scratch"}}], "baselines": [{"kind": "popularity"}, {"kind": "item_knn"}],
        "gate": {"resamples": 1000},
    })  # fmt: skip


def domain(name: str, seed: int, users: int, items: int) -> DomainData:
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame({"user": rng.integers(0, users, 5 * users), "item": rng.integers(0, items, 5 * users)})
    rows = rows.drop_duplicates().sort_values(["user", "item"], ignore_index=True).astype("int32")
    rows["part"] = rng.integers(0, 3, len(rows)).astype("int8")
    rows["kept"] = True
    counts = np.bincount(rows["item"][rows["part"] < 2], minlength=items)
    goods = pd.DataFrame({c.ITEM: [f"{name[0]}{i:03}" for i in range(items)], "train_count": counts})
    return DomainData(name, pd.DataFrame({c.USER: [f"u{i:03}" for i in range(users)]}), goods, rows)


@contextmanager
def deciding(verdict: str, lane: str | None, picked: str = "item_knn", **more: Any) -> Iterator[None]:
    """Let the gate compare for real and then say this."""
    real = gate.decide

    def decide(*asked: Any) -> Verdict:
        said = {"verdict": verdict, "candidate": picked, "lane": lane, "reason": f"{picked} is {verdict}."}
        return real(*asked).model_copy(update={**said, **more})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "decide", decide)
        yield


def data_docs(folder: Path) -> None:
    (folder / "unhashed" / "data_docs").mkdir(parents=True)
    (folder / "unhashed" / "data_docs" / "index.html").write_text("<p>Checked.</p>")


@dataclass
class Night:
    """One run up to the verdict, made of small tables."""

    home: Home
    run_id: str
    seed: int = 0
    approvable: bool = False
    creep: float = 0.0
    name: str = "toy"

    def run(
        self, verdict: str = "passed", lane: str | None = "item_knn", picked: str = "item_knn", **options: Any
    ) -> Run:
        """Evaluate for real, but for what the gate says; options that are not the scenario's make a trial."""
        run = Run.start(self.home, self.run_id, scenario(self.name), Options(**options))
        domains = Domains((domain("books", self.seed, 40, 20),), domain("films", self.seed + 1, 30, 25))
        for data in domains.all:
            self.step(
                run, INGEST, data.name, lambda folder, text=data.name: (folder / "x").write_text(text)
            )  # fmt: skip
            data.items[c.TITLE] = "Title of " + data.items[c.ITEM]
            titles = data.items[[c.ITEM, c.TITLE]]
            counts = {"rows_read": len(data.rows), "rows": len(data.rows), "rules": {}}
            self.step(
                run, CLEAN, data.name, lambda folder, table=titles: table.to_parquet(folder / "items.parquet"),
                {"tables": {"interactions": counts}},
            )  # fmt: skip
            self.step(run, PREPARE, data.name, data.write, {"rows": {"all": len(data.rows)}})
        self.step(run, VALIDATE, "", data_docs)
        histories = domains.histories((c.TRAIN, c.VALID))
        stack = Stack.of(histories, "films")
        knn = ItemKnnRanker.fit(histories, stack, neighbours=10, shrinkage=run.scenario.seed)
        self.lane(run, BASELINE, knn, "item_knn")
        self.lane(run, BASELINE, PopularityRanker.fit(histories, stack), "popularity")
        self.lane(run, TUNE, PopularityRanker.fit(histories, stack), "target_only")

        def audit(folder: Path) -> None:
            write_json(folder / "passport.json", {"seed": self.seed})
            marks = pd.DataFrame({"domain": [], "row": [], "kind": []}, dtype=object)
            marks.to_parquet(folder / "marks.parquet")

        self.step(run, AUDIT, "", audit)

        with deciding(verdict, lane, picked, approvable=self.approvable, creep=self.creep):
            evaluate(run)
        return run

    def lane(self, run: Run, step: Step[LaneFacts], ranker: ItemKnnRanker | PopularityRanker, lane: str) -> None:
        def build(folder: Path) -> None:
            ranker.save(folder)
            curve = pd.DataFrame({"epoch": [0, 1], "step": [1, 2], "key": "valid/ndcg@10", "value": [0.1, 0.2]})
            curve.to_csv(folder / "metrics.csv", index=False)

        valid = {"ndcg@10": 0.25}
        facts = {"lane": lane, "valid": valid, "valid_domain": "films", "settings": {"neighbours": 10}}
        self.step(run, step, lane, build, facts)

    def step(self, run: Run, step: Step[Any], name: str, write, facts=None) -> None:  # type: ignore[no-untyped-def]
        key = (self.seed, run.scenario.seed if name == "item_knn" else 0)
        publish(run, step, write, facts, key=key, name=name)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One store for all nights of a module."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "mlflow").mkdir()
    shutil.copy(store(), folder / "mlflow" / "mlflow.db")
    return Home(folder)


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the proof in a fresh process, seconds each time, where it is not what the test is about."""
    monkeypatch.setattr("pipeline.registry.promote.check_serves", lambda *_: None)
    monkeypatch.setattr("pipeline.registry.rollback.check_serves", lambda *_: None)


@pytest.fixture(scope="session", name="deciding")
def deciding_fixture() -> Callable[..., Any]:
    """Give `deciding` to the tests."""
    return deciding


@pytest.fixture(scope="session")
def night() -> type[Night]:
    """Give `Night` to the tests."""
    return Night


@pytest.fixture
def mlflow_server(tmp_path: Path, until: Callable[..., Any]) -> Iterator[str]:
    """Start an MLflow server with a store of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store = tmp_path / "mlflow"
    store.mkdir()
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port),
               "--backend-store-uri", f"sqlite:///{store / 'mlflow.db'}",
               "--artifacts-destination", str(store / "artifacts")]  # fmt: skip
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (tmp_path / "mlflow.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/health"), "the start of the MLflow server")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, 9)
        server.wait()
