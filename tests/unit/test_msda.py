"""Two regressions that teach each other: what tells words apart, who is surest, and what the target's labels change."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import sparse
from sklearn.metrics import roc_auc_score

from pipeline import config as cfg
from pipeline.models.example_baselines import candidates, fit_baseline
from pipeline.models.load import FILES
from pipeline.models.msda import surest, telling
from pipeline.scenarios import load_scenario
from pipeline.steps.baseline import build
from pipeline.views import FEATURES, ClassLabel, Features, View
from tests.examples import view_of

TOPICS = {"books": ("plot", "dull"), "phones": ("fast", "broken")}  # words that only one domain has
BOTH = ("good", "bad")


def reviews(domain: str, rows: int, seed: int = 0) -> View:
    """Bags of words: those of one's own domain say the label, those of both now and then."""
    random = np.random.default_rng(seed)
    positive = random.random(rows) < 0.5
    bags = []
    for right in positive:
        own, both = (words[0] if right else words[1] for words in (TOPICS[domain], BOTH))
        noise = random.choice([f"n{place}" for place in range(60)], 3)
        bags.append(" ".join([f"{own}:{random.integers(1, 4)}", *([both] if random.random() < 0.3 else []), *noise]))
    features = Features(pd.DataFrame({"said": pd.Series(bags, dtype=object)}), {"said": "bag"})
    return view_of(domain, features, ClassLabel(positive.astype(np.int64), ("no", "yes"), "liked"))


def views() -> dict[str, View]:
    return {"books": reviews("books", 300), "phones": reviews("phones", 300, seed=1)}


def fitted(config: cfg.Baseline, given: dict[str, View]):
    return fit_baseline(config, given, "phones", next(candidates(config)), 0)


def auroc(estimator, view: View) -> float:
    raw = estimator.raw(view.fields[FEATURES])
    return float(roc_auc_score(view.label.value, raw[:, 1] - raw[:, 0]))


def test_a_target_is_read_through_the_words_that_it_shares():
    """The source knows none of the words that say it; rows without a label tell with what these go."""
    test = reviews("phones", 400, seed=2)
    linear = fitted(cfg.Linear(kind="linear", domains="source"), views())
    msda = fitted(cfg.Msda(kind="msda", domains="source"), views())
    untaught = fitted(cfg.Msda(kind="msda", domains="source", rounds=0), views())
    assert auroc(linear, test) < 0.77
    assert auroc(untaught, test) > auroc(linear, test) + 0.1
    assert auroc(msda, test) > 0.98


def test_labels_of_a_target_change_nothing_on_the_source_alone():
    """They are shuffled, taken away: not one bit of the model is another."""
    config, given = cfg.Msda(kind="msda", domains="source"), views()
    hidden = {**given, "phones": replace(given["phones"], labels=(blind(given["phones"].label),))}
    one, other = (fitted(config, each).state() for each in (given, hidden))
    assert one[0] == other[0]
    assert all(np.array_equal(one[1][name], other[1][name]) for name in one[1])


def blind(label: ClassLabel) -> ClassLabel:
    return replace(label, value=np.full(len(label.value), -1))


def test_rows_without_a_label_teach_the_target_too():
    """With ten labels of its own and no source."""
    given = {"phones": reviews("phones", 300, seed=1)}
    few = np.where(np.arange(300) < 10, given["phones"].label.value, -1)
    given["phones"] = replace(given["phones"], labels=(replace(given["phones"].label, value=few),))
    test = reviews("phones", 400, seed=2)
    assert auroc(fitted(cfg.Msda(kind="msda"), given), test) > 0.98


def test_the_surest_rows_of_each_class_are_found():
    """By hand: of six rows four, of each class its share, whatever side of a half they are on."""
    raw = np.array([[0.0, 3.0], [0.0, 2.0], [0.0, 1.0], [0.0, 0.5], [0.0, -0.1], [0.0, -4.0]])
    places, told = surest(raw, np.array([0.5, 0.5]), 4)
    assert (places.tolist(), told.tolist()) == ([0, 1, 4, 5], [1, 1, 0, 0])
    places, told = surest(raw, np.array([0.75, 0.25]), 4)
    assert (places.tolist(), told.tolist()) == ([0, 3, 4, 5], [1, 0, 0, 0])


def test_a_row_that_several_classes_want_goes_to_the_surest():
    raw = np.log(np.array([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.3, 0.4, 0.3]]))
    places, told = surest(raw, np.full(3, 2 / 3), 3)  # each class wants its best two
    assert (places.tolist(), told.tolist()) == ([0, 1, 2], [0, 2, 1])


@pytest.mark.parametrize("classes", [2, 3])
def test_what_tells_classes_apart_is_the_formula(classes):
    """Counted word by word and class by class."""
    random = np.random.default_rng(0)
    words, label = sparse.csr_matrix(random.poisson(0.5, (40, 6)) * 0.3), random.integers(0, classes, 40)
    there = words.toarray() > 0
    for word in range(6):
        found = []
        for one in range(classes):
            inside, outside = there[label == one], there[label != one]
            here = (inside[:, word].sum() + 1) / sum(inside[:, other].sum() + 1 for other in range(6))
            elsewhere = (outside[:, word].sum() + 1) / sum(outside[:, other].sum() + 1 for other in range(6))
            found.append(abs(np.log(here / elsewhere)))
        assert telling(words, label, classes)[word] == pytest.approx(max(found))


def prepared(folder: Path, changed: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows) -> dict[str, Any]:
    """Two domains as `prepare` publishes them, the target without a row that may be learnt from."""
    inputs = {}
    for seed, (name, view) in enumerate(views().items()):
        part = np.arange(len(view)) % 3
        rows = pd.DataFrame({
            "row_id": [f"{name}{place}" for place in range(len(view))], "component": np.arange(len(view)),
            "part": part.astype(np.int8), "kept": (part == 2) | (name == "books"),
            "said": view.fields[FEATURES].table["said"], "liked": view.label.value == 1,
        })  # fmt: skip
        (folder / name).mkdir(parents=True)
        (changed(rows) if seed else rows).to_parquet(folder / name / "rows.parquet")
        inputs[f"prepare.{name}"] = SimpleNamespace(path=folder / name)
    pd.DataFrame({"domain": [""], "row": [0], "kind": [""]}).iloc[:0].to_parquet(folder / "marks.parquet")
    return {**inputs, "marks": SimpleNamespace(path=folder / "marks.parquet")}


def test_the_target_s_inputs_are_there_while_the_source_chooses(tmp_path):
    """And neither its labels nor its test rows: metrics and model hang on the bags of its training rows alone."""
    task = cfg.BinaryTask(kind="binary", label="liked", features={"said": "bag"})
    config = cfg.Msda(kind="msda", domains="source", layers=1, rounds=2)
    settings = cfg.BaselineSettings(
        sources=("books",), target="phones", target_labels=False, task=task, seed=0, bridges=("features",),
        baseline=config, oracle=False, held_back=False,
    )  # fmt: skip
    test = np.arange(300) % 3 == 2
    ways = {
        "as it is": lambda rows: rows,
        "other labels": lambda rows: rows.assign(liked=~rows["liked"]),
        "other test": lambda rows: rows.assign(said=rows["said"].mask(test, "good:9")),
        "other bags": lambda rows: rows.assign(said=rows["said"].where(test, "fast bad")),
    }
    told = {}
    for name, changed in ways.items():
        (out := tmp_path / name / "out").mkdir(parents=True)
        facts = build(settings, prepared(tmp_path / name, changed), out, tmp_path)
        assert facts.valid_domain == "books"
        told[name] = facts.valid, [(out / one).read_bytes() for one in FILES]
    assert told["other labels"] == told["other test"] == told["as it is"]
    assert told["other bags"][0] != told["as it is"][0]


def test_what_asks_for_words_is_refused_without_any():
    """When the scenario is read; and no result is shown by the values of a bag."""
    given = load_scenario("product_quality").model_dump(mode="json")
    msda = [one for one in given["baselines"] if one["kind"] == "msda"]
    bare = {**given, "baselines": msda, "task": {**given["task"], "features": {"size": "number"}}}
    with pytest.raises(ValidationError, match="source_msda looks at no number"):
        cfg.Scenario.model_validate(bare)
    with pytest.raises(ValidationError, match="words, and hardly two rows have the same"):
        cfg.BinaryTask(kind="binary", label="liked", features={"said": "bag"}, slices=("said",))
