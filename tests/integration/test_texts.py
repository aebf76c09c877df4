"""Reviews in two languages, from a file to answers: what is empty, Chinese or a hundred kilobytes is a text."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.commands import commands
from tests.encoders import save_encoder

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]

GOOD = ["lovely clean room", "friendly staff", "房间干净舒适", "服务很好"]
BAD = ["dirty noisy room", "rude staff", "房间又脏又吵", "服务很差"]
ASKED = ["Lovely, clean ROOM!", "房间又脏又吵", "", None, "dirty noisy room " * 6000]
SCENARIO: dict[str, Any] = {
    "name": "reviews", "title": "Which guests are content", "sources": ["old"], "target": "new",
    "bridges": ["features"], "pseudonymous": True, "split": {"kind": "hash", "test": 0.4},
    "tables": {"examples": [{"path": "reviews.jsonl", "columns": {"domain": "hotel"}}]},
    "task": {"kind": "binary", "label": "content", "features": {"text": "text"}}, "training": {"epochs": 2},
    "strategies": [{"tune": {"kind": "scratch"}}], "baselines": [{"kind": "linear", "domains": "all"}],
}  # fmt: skip


def reviews(count: int = 400) -> pd.DataFrame:
    """Guests say one or two of these things, and a number of their own; some say nothing."""
    random = np.random.default_rng(0)
    content = random.random(count) < 0.5
    said = [" ".join([*random.choice(GOOD if one else BAD, 2), f"guest {row}"]) for row, one in enumerate(content)]
    said[7], said[11] = "", said[11].upper() * 4000
    return pd.DataFrame({"hotel": random.choice(["old", "new"], count), "text": said, "content": content})


def crosslift(folder: Path, *arguments: str) -> str:
    ours = {"CROSSLIFT_SCENARIOS": str(folder), "CROSSLIFT_DATA": str(folder)}
    done = commands(folder / "home", folder, **ours)(*arguments)
    assert done.returncode == 0, done.stderr
    assert len(done.stderr) < 20_000  # no text of a hundred kilobytes in it
    return done.stdout


def test_reviews_are_read_by_their_words(tmp_path: Path) -> None:
    """What serves tells good from bad in both languages, and of no words at all it says one and the same."""
    reviews().to_json(tmp_path / "reviews.jsonl", orient="records", lines=True, force_ascii=False)
    (tmp_path / "reviews.yaml").write_text(yaml.safe_dump(SCENARIO))
    told = json.loads(crosslift(tmp_path, "run", "reviews", "--json"))
    lanes = {lane["name"]: lane for lane in told["lanes"]}
    assert told["failed"] == []
    assert told["serves"]
    assert lanes["linear+source"]["test"]["value"] > 0.95
    asked = [{"text": text, "row_id": f"r{row}"} for row, text in enumerate(ASKED)]
    (tmp_path / "asked.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in asked))
    crosslift(tmp_path, "predict", "reviews", "asked.jsonl", "--out", "answered.csv")
    answered = pd.read_csv(tmp_path / "answered.csv")
    assert list(answered) == ["request", "row_id", "content", "probability", "threshold", "unknown"]
    good, bad, empty, missing, long = answered["probability"]
    assert good > 0.7
    assert max(bad, long) < 0.3
    assert bad < empty == missing < good
    shown = [path for path in (tmp_path / "home").rglob("*.html") if "guest 11" in path.read_text(errors="ignore")]
    assert shown == []


def test_reviews_are_read_by_a_pretrained_encoder(tmp_path: Path) -> None:
    """A lane that tunes it stands beside one that looks up, and what serves reads new texts with it, and no other."""
    pytest.importorskip("transformers", reason="the extra 'text' is not installed")
    reviews().to_json(tmp_path / "reviews.jsonl", orient="records", lines=True, force_ascii=False)
    encoder = str(save_encoder(tmp_path / "encoder"))
    reading = {"kind": "linear", "domains": "all", "encoder": encoder}
    scenario = {**SCENARIO, "model": {"kind": "tabular", "encoder": encoder, "tuned": 1}, "baselines": [reading]}
    (tmp_path / "reviews.yaml").write_text(yaml.safe_dump(scenario))
    told = json.loads(crosslift(tmp_path, "run", "reviews", "--json"))
    assert told["failed"] == []
    assert told["serves"]
    assert {lane["name"] for lane in told["lanes"]} == {"target_only", "linear_encoder+source"}
    asked = [{"text": text} for text in ASKED]
    (tmp_path / "asked.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in asked))
    crosslift(tmp_path, "predict", "reviews", "asked.jsonl", "--out", "answered.csv")
    good, bad, empty, missing, long = pd.read_csv(tmp_path / "answered.csv")["probability"]
    assert max(bad, long) < 0.4
    assert good > 0.6
    assert empty == pytest.approx(missing)  # where a row stands among others decides its last digits
    save_encoder(tmp_path / "encoder", seed=1)
    with pytest.raises(AssertionError, match="the model was made with"):
        crosslift(tmp_path, "predict", "reviews", "asked.jsonl", "--out", "again.csv")
