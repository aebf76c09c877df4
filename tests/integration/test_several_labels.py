"""Reviews with stars, a recommendation and tags, some of them missing: one model from a file to the registry."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.commands import commands

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]

WORDS = ["awful", "poor", "fair", "good", "great"]
SCENARIO: dict[str, Any] = {
    "name": "stars", "title": "How many stars", "sources": ["old"], "target": "new", "bridges": ["features"],
    "pseudonymous": True, "split": {"kind": "hash", "test": 0.4}, "tables": {"examples": [{"path": "stars.csv"}]},
    "task": {
        "kind": "regression", "label": "rating", "features": {"text": "text"},
        "also": {"recommended": {"kind": "binary"}, "about": {"kind": "multilabel", "separator": "|"}},
    },
    "model": {"kind": "tabular", "dim": 16, "words": 512}, "training": {"epochs": 4, "learning_rate": 0.02},
    "strategies": [{"tune": {"kind": "scratch"}}, {"tune": {"kind": "distil"}}],
    "baselines": [{"kind": "linear", "domains": "all", "source_weights": [1.0], "regularization": [1.0]}],
}  # fmt: skip


def reviews(count: int = 800) -> pd.DataFrame:
    """The word says the stars, from which the recommendation follows; a tenth of either further label is missing."""
    random = np.random.default_rng(0)
    stars, fit = random.integers(0, 5, count), random.random(count) < 0.5
    said = [f"{WORDS[one]} {'size' if two else 'cloth'}" for one, two in zip(stars, fit, strict=True)]
    frame = pd.DataFrame({
        "domain": random.choice(["old", "new"], count), "text": [f"{one} n{row}" for row, one in enumerate(said)],
        "rating": stars + 1.0, "recommended": np.where(stars > 2, "yes", "no"),
        "about": np.where(fit, "fit", "cloth|look"),
    })  # fmt: skip
    frame.loc[::10, "recommended"], frame.loc[3::10, "about"] = None, None
    return frame


def crosslift(folder: Path, *arguments: str) -> str:
    ours = {"CROSSLIFT_SCENARIOS": str(folder), "CROSSLIFT_DATA": str(folder)}
    done = commands(folder / "home", folder, **ours)(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_model_tells_all_labels(tmp_path: Path) -> None:
    """Every lane is judged on each label by its name, and what serves answers all of them, with what made each."""
    reviews().to_csv(tmp_path / "stars.csv", index=False)
    (tmp_path / "stars.yaml").write_text(yaml.safe_dump(SCENARIO))
    told = json.loads(crosslift(tmp_path, "run", "stars", "--json"))
    assert told["failed"] == []
    assert told["serves"]
    report = json.loads(Path(told["report"]).with_suffix(".json").read_text())
    lanes = report["comparison"]["views"]["all rows"]["lanes"]
    assert set(lanes) == {"target_only", "distil", "linear+source"}
    for found in lanes.values():
        assert {"mse", "recommended.auroc", "about.macro_auprc"} <= set(found)
        assert found["recommended.auroc"]["value"] > 0.8
    page = Path(told["report"]).read_text()
    assert "AUROC of recommended" in page
    pd.DataFrame({"text": ["great size", "awful cloth"]}).to_csv(tmp_path / "asked.csv", index=False)
    crosslift(tmp_path, "predict", "stars", "asked.csv", "--explain", "1", "--out", "answered.csv")
    answered = pd.read_csv(tmp_path / "answered.csv")
    assert answered["rating"][0] > answered["rating"][1] + 2
    assert set(answered["recommended"]) <= {"yes", "no"}
    assert answered["recommended_probability"][0] > answered["recommended_probability"][1] + 0.3
    assert answered["about"].notna().all()
    assert answered["about_probability_fit"][0] > answered["about_probability_fit"][1]
    assert answered["recommended_explanation"].str.contains('"').all()
