"""Bags of words from a table to a served model, for a target that nobody has labelled."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.commands import commands

pytestmark = pytest.mark.slow

SCENARIO = """\
name: liked
title: Which reviews of phones are positive, from what reviews of books taught
sources: [books]
target: phones
target_labels: false
bridges: [features]
tables:
  examples: [{path: reviews.csv}]
pseudonymous: true
split: {kind: hash, test: 0.4}
task: {kind: binary, label: liked, metric: auroc, features: {words: bag}}
model: {kind: tabular, dim: 8, words: 256}
training: {epochs: 1}
strategies:
  - tune: {kind: direct}
baselines:
  - {kind: msda, domains: source, layers: 2}
"""
OWN = {"books": ("plot", "dull"), "phones": ("fast", "broken")}  # words that only one domain has


def reviews(domain: str, rows: int, seed: int) -> pd.DataFrame:
    """The words of one's own domain say the label, `good` and `bad`, which both have, now and then."""
    random = np.random.default_rng(seed)
    liked, noise = random.random(rows) < 0.5, random.integers(0, 60, (rows, 3))
    own = np.where(liked, *OWN[domain])
    both = np.where(random.random(rows) < 0.3, np.where(liked, "good", "bad"), "")
    words = [f"{one}:{count} {other} " + " ".join(map("n{}".format, others)) for one, count, other, others in
             zip(own, random.integers(1, 4, rows), both, noise, strict=True)]  # fmt: skip
    return pd.DataFrame({"domain": domain, "words": words, "liked": liked})


def test_a_target_without_labels_is_served_by_what_goes_with_its_words(tmp_path: Path) -> None:
    """A bag that cannot be read costs its row; what serves is right on words that the source never had."""
    table = pd.concat([reviews("books", 400, 0), reviews("phones", 600, 1)], ignore_index=True)
    table.loc[0, "words"] = "plot:twice"
    table.to_csv(tmp_path / "reviews.csv", index=False)
    (tmp_path / "liked.yaml").write_text(SCENARIO)
    crosslift = commands(tmp_path / "home", tmp_path, CROSSLIFT_SCENARIOS=str(tmp_path), CROSSLIFT_DATA=str(tmp_path))

    def call(*arguments: str) -> str:
        done = crosslift(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    told = json.loads(call("run", "liked", "--json"))
    assert (told["failed"], told["lane"], told["serves"]) == ([], "source_msda", True)
    assert any("1 quarantined (unreadable_words 1)" in rows for rows in told["rows"]), told["rows"]
    fresh = reviews("phones", 200, 2)
    fresh[["words"]].to_csv(tmp_path / "asked.csv", index=False)
    call("predict", "liked", "asked.csv", "--out", "answered.csv")
    answered = pd.read_csv(tmp_path / "answered.csv")
    assert ((answered["liked"] == "yes") == fresh["liked"]).mean() > 0.95
