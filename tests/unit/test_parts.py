"""What features add to a prediction, beside formulas by hand and beside the model asked twice."""

import re
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline import config as cfg
from pipeline.labels.effects import mean_effects
from pipeline.models.boosting import BoostingEstimator
from pipeline.models.linear import LinearEstimator
from pipeline.models.sample import Sample
from pipeline.models.tabular import TabularLearner
from pipeline.models.tabular_estimator import TabularEstimator
from pipeline.rows.examples.explaining import explanations
from pipeline.views import FEATURES, Features, View
from tests.examples import class_view

NAMES = ["size", "constant", "new", "colour"]


def some(rows: int = 300, seed: int = 0) -> View:
    """Rows of a few features."""
    view = class_view("near", rows, seed)
    features = view.fields[FEATURES]
    kept = Features(features.table[NAMES], {name: features.types[name] for name in NAMES})
    return replace(view, fields={FEATURES: kept})


def sample_of(view: View) -> Sample:
    return Sample.of({"near": view}, {"near": 1.0}, "near")


def test_a_number_adds_its_weight_times_its_distance_from_the_mean() -> None:
    """In standard deviations; a missing one what is said of a gap; a category its own weight."""
    sample, fresh = sample_of(some()), some(50, 5).fields[FEATURES]
    fitted = LinearEstimator.fit(sample, buckets=512, words=64, regularization=1.0)
    size = sample.values.numbers[:, 0]
    filled = np.where(np.isnan(size), np.nanmedian(size), size)
    asked = fresh.table["size"].to_numpy()
    weight = fitted.slope[:, 1] - fitted.slope[:, 0]
    scaled = (np.where(np.isnan(asked), np.nanmedian(size), asked) - filled.mean()) / filled.std()
    expected = weight[0] * scaled + weight[3] * np.isnan(asked)  # after size, constant and new: whether size is missing
    found = fitted.explained(fresh).features
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-9, atol=1e-12)
    for colour in ("red", "blue"):
        of = fresh.table["colour"] == colour
        assert len(np.unique(found[of, 3])) == 1


@pytest.mark.parametrize("cuts", [(0.0,), (-1.0, 1.0)])
def test_a_text_adds_what_is_lost_without_it(cuts: tuple[float, ...]) -> None:
    """Of the regression exactly: the same row is asked with the text and with an empty one."""
    classes = "abc"[: len(cuts) + 1]
    view = class_view("near", 300, cuts=cuts, classes=classes)
    fresh = class_view("near", 50, 5).fields[FEATURES]
    fitted = LinearEstimator.fit(sample_of(view), buckets=512, words=64, regularization=1.0)
    silent = Features(fresh.table.assign(said=""), fresh.types)
    said, without = fitted.raw(fresh), fitted.raw(silent)
    told = np.eye(3)[said.argmax(axis=1)] - 1 / 3 if len(classes) == 3 else np.array([[-1.0, 1.0]])
    place = list(fresh.types).index("said")
    found = fitted.explained(fresh).features[:, place]
    np.testing.assert_allclose(found, ((said - without) * told).sum(axis=1), rtol=1e-9, atol=1e-12)
    assert np.ptp(found) > 0.1
    assert (fitted.explained(silent).features[:, place] == 0).all()


@pytest.mark.parametrize("kind", ["linear", "tabular"])
def test_the_words_of_a_text_are_what_it_adds(kind: str) -> None:
    """Their sum is the part of the text, and of each row those that add most are named, beside the other features."""
    view, fresh = class_view("near", 300), class_view("near", 50, 5).fields[FEATURES]
    if kind == "linear":
        fitted = LinearEstimator.fit(sample_of(view), buckets=512, words=4096, regularization=1.0)
    else:
        fitted = network_of(view, words=4096)
        torch.nn.init.normal_(fitted.network.encoder.words.weight, std=0.5)
    told = fitted.explained(fresh)
    found, [words] = told.features, told.words
    place = list(fresh.types).index("said")
    np.testing.assert_allclose(np.asarray(words.sum(axis=1)).ravel(), found[:, place], rtol=1e-5, atol=1e-6)
    named_rows = explanations(fresh, found, told.words, 400)
    row = next(row for row, text in enumerate(fresh.table["said"]) if text and "RED" not in text)
    named = dict(re.findall(r'said "([^"]+)" ([-+][0-9.]+)', named_rows[row]))
    spelt = re.findall(r"\w+", fresh.table["said"][row].lower().replace("'", " "))
    assert set(named) <= {*spelt, *map(" ".join, pairwise(spelt))}
    assert sum(map(float, named.values())) == pytest.approx(found[row, place], abs=0.005 * len(spelt) * 2)
    sizes = [abs(float(one.rsplit(" ", 1)[1])) for one in named_rows[row].split("; ")]
    assert sizes == sorted(sizes, reverse=True)


def network_of(view: View, **model: int) -> TabularEstimator:
    """A network as it is drawn for these rows."""
    settings = SimpleNamespace(
        model=cfg.TabularModel(kind="tabular", dim=8, buckets=64, bins=4, **model), training=cfg.Training(), seed=0,
        target="near", sources=(), domains=("near",),
    )  # fmt: skip
    learner, strategy = TabularLearner(settings), cfg.Strategy(tune={"kind": "scratch"})
    network, _ = learner.tune({"near": view}, strategy)
    return learner.predictor(network, {})


def test_a_network_is_explained_from_its_medians() -> None:
    """The parts of a row of numbers are the difference to the row of medians, asked by itself (completeness)."""
    view = some()
    numbers = Features(view.fields[FEATURES].table[NAMES[:3]].assign(constant=np.linspace(0, 9, 300)),
                       dict.fromkeys(NAMES[:3], "number"))  # fmt: skip
    fitted = network_of(replace(view, fields={FEATURES: numbers}))
    median = fitted.network.encoder.edges[:, 2].tolist()
    both = Features(pd.concat([numbers.table.head(40), pd.DataFrame([median], columns=NAMES[:3])], ignore_index=True),
                    numbers.types)  # fmt: skip
    raw = fitted.raw(both)
    odds = raw[:, 1] - raw[:, 0]
    found = fitted.explained(both).features
    np.testing.assert_allclose(found.sum(axis=1), odds - odds[-1], atol=0.01 * np.ptp(odds))
    np.testing.assert_allclose(found[-1], 0, atol=1e-6)


def test_effects_name_what_the_labels_follow() -> None:
    """Size and colour first, and the number that never changes last."""
    view = some(900)
    fitted = BoostingEstimator.fit(sample_of(view), {"rounds": 30, "learning_rate": 0.1, "leaves": 4,
                                                     "smallest_leaf": 5}, 0)  # fmt: skip
    found = mean_effects(fitted, view)
    assert list(found) == ["size", "colour", "new", "constant"]
    assert found["constant"] == 0
    parts = np.abs(fitted.explained(view.fields[FEATURES]).features)[::2]
    assert found["size"] == pytest.approx(parts[:, 0].mean(), abs=1e-6)
    assert mean_effects(fitted, view.take(np.array([], dtype=np.int64))) == dict.fromkeys(sorted(NAMES), 0.0)
