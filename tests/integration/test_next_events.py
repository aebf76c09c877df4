"""Next events from two logs to a served model: a Markov chain in the one shop, the same and more rows in the other."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.commands import Crosslift, commands

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]

KINDS = ["view", "cart", "purchase"]
FOLLOWS = np.array([[0.8, 0.18, 0.02], [0.2, 0.1, 0.7], [0.9, 0.05, 0.05]])
SCENARIO = {
    "name": "basket", "title": "What customers do next", "sources": ["big"], "target": "small",
    "bridges": ["features"], "tables": {"interactions": [{"path": "log.csv"}]}, "pseudonymous": True,
    "split": {"kind": "hash", "valid": 0.2, "test": 0.4}, "task": {"kind": "next_event", "events": KINDS},
    "model": {"kind": "events", "dim": 8, "heads": 2},
    "training": {"epochs": 4, "batch_size": 256, "learning_rate": 0.01},
    "strategies": [{"tune": {"kind": "scratch"}}, {"tune": {"kind": "fine_tune"}}],
    "baselines": [{"kind": "frequency"}, {"kind": "frequency", "domains": "all", "source_weights": [0.5]},
                  {"kind": "constant"}], "gate": {"resamples": 1000},
}  # fmt: skip


def walked(domain: str, users: int, seed: int) -> pd.DataFrame:
    """Customers who do what the chain says, ten times each; once in a while something that has no name here."""
    random = np.random.default_rng(seed)
    state, rows = np.zeros(users, dtype=int), []
    for step in range(10):
        cut = FOLLOWS[state].cumsum(axis=1)
        state = (random.random(users)[:, None] > cut).sum(axis=1).clip(max=2)
        event = np.where(random.random(users) < 0.05, "share", np.array(KINDS)[state])
        times = pd.Timestamp("2026-01-01") + pd.to_timedelta(step * 60 + random.integers(0, 50, users), unit="s")
        rows.append(pd.DataFrame({"user_id": [f"{domain}{one}" for one in range(users)], "event": event,
                                  "item_id": random.integers(0, 30, users), "timestamp": times}))  # fmt: skip
    return pd.concat(rows).assign(domain=domain)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The logs and the scenario."""
    made = tmp_path_factory.mktemp("basket")
    pd.concat([walked("big", 400, 0), walked("small", 250, 1)]).to_csv(made / "log.csv", index=False)
    (made / "basket.yaml").write_text(yaml.safe_dump(SCENARIO))
    return made


@pytest.fixture(scope="module")
def crosslift(folder: Path) -> Crosslift:
    """Give a function that runs a command in one home that all tests of this file share."""
    return commands(folder / "home", folder, CROSSLIFT_SCENARIOS=str(folder), CROSSLIFT_DATA=str(folder))


@pytest.fixture(scope="module")
def told(crosslift: Crosslift) -> dict[str, Any]:
    """Run the scenario once."""
    done = crosslift("run", "basket", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_chain_is_learnt_and_something_serves(told: dict[str, Any]) -> None:
    """All lanes but the constant come near what the chain allows; what is the target's or proved serves."""
    lanes = {lane["name"]: lane["test"]["value"] for lane in told["lanes"]}
    assert set(lanes) == {"target_only", "fine_tune", "frequency", "frequency+source", "constant"}
    assert (told["metric"], told["failed"], told["serves"]) == ("macro_auprc", [], True)
    assert lanes["constant"] == pytest.approx(1 / 3, abs=0.01)
    assert all(value > 0.5 for name, value in lanes.items() if name != "constant")
    assert max(lanes.values()) - lanes["frequency"] < 0.05  # there is nothing more to know than the last event


def test_a_log_and_a_known_customer_are_answered(crosslift: Crosslift, told: dict[str, Any], folder: Path) -> None:
    """After a cart mostly a purchase; the report has slices by the last event and by the length of the log."""
    requests = [{"events": ["view", "cart"]}, {"events": ["view", "view"]}, {"user_id": "small3"}]
    (folder / "asked.jsonl").write_text("\n".join(json.dumps(one) for one in requests))
    done = crosslift("predict", "basket", "asked.jsonl", "--out", "answered.csv", "--explain", "2")
    assert done.returncode == 0, done.stderr
    answered = pd.read_csv(folder / "answered.csv")
    assert answered["event"].tolist()[:2] == ["purchase", "view"]
    assert answered["probability_purchase"].iloc[0] > 0.45
    assert answered["served_from"].tolist() == ["log", "log", "known"]
    assert answered["explanation"].str.contains("last_1").any()
    (folder / "gap.jsonl").write_text(json.dumps({"events": ["view", "cart", None]}))
    done = crosslift("predict", "basket", "gap.jsonl")
    assert done.returncode != 0
    assert "events, row 1: expected a text or a number at each place of a list, got nothing" in done.stderr
    report = next((folder / "home").glob("steps/report/*/unhashed/report.html")).read_text()
    assert "last_1" in report
    assert "macro AUPRC" in report
    assert "small3" not in report


def test_a_customer_is_forgotten(crosslift: Crosslift, told: dict[str, Any], folder: Path) -> None:
    """Known by the id in log and package, so that the model which serves is named first."""
    done = crosslift("forget", "small3", "--scenario", "basket", "--yes")
    assert "serves and was made of these rows" in done.stderr
    assert "Traceback" not in done.stderr
