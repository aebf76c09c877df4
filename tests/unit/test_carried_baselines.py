"""A registered regression or trees in the place of a source: as they are, and as the target's rows change them."""

import json
from dataclasses import replace
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.special import expit, softmax

from pipeline import config as cfg
from pipeline.errors import UserError
from pipeline.models.boosting import _table
from pipeline.models.carried_baselines import CARRIED, FURTHER, Carried
from pipeline.models.encoded import Reader
from pipeline.models.estimators import ConstantEstimator, Estimator
from pipeline.models.example_baselines import EXAMPLE_BASELINES, candidates, fit_baseline
from pipeline.models.feature_values import Values
from pipeline.models.linear import LinearEstimator
from pipeline.models.load import RANKERS
from pipeline.views import FEATURES, View
from tests.examples import class_view, make_features, number_view, several_view, tag_view

THREE = {"cuts": (-1.0, 1.0), "classes": ("high", "low", "mid")}
HELD, SETTINGS = 3.0, {"regularization": 3.0}
TRANSFER, AS_IT_IS = cfg.LinearTransfer(kind="linear_transfer"), cfg.Linear(kind="linear", domains="source")
TREES = cfg.Boosting(kind="boosting", domains="all", rounds=7)


def learnt(config: cfg.Baseline, view: View, folder: Path) -> Carried:
    """What another shop made of its rows and handed over."""
    alone = config.model_copy(update={"domains": "target"})
    made = fit_baseline(alone, {"far": view}, "far", next(candidates(alone)), 0)
    folder.mkdir()
    made.save(folder)
    return Carried.read(folder)


def linear(view: View, folder: Path) -> Carried:
    return learnt(cfg.Linear(kind="linear", buckets=32, words=64, regularization=(1.0,)), view, folder)


def boosted(view: View, folder: Path) -> Carried:
    return learnt(TREES, view, folder)


def known(view: View) -> View:
    return view.take(view.label.known)


def test_of_a_number_it_is_the_closed_form_around_the_registered_weights(tmp_path: Path) -> None:
    """It is w = w_s + (X'X + rI)^-1 X'(y - X w_s), centred, w_s as the registered file has it."""
    start = linear(number_view("far", 90), tmp_path / "far")
    near = number_view("near", 40, 1)
    found = start.fit(TRANSFER, {"near": near}, "near", SETTINGS, 0)
    assert isinstance(found, LinearEstimator)
    towards = load_file(tmp_path / "far" / "weights.safetensors")["slope"][:, 0]
    design = found.design.read(Values.of(known(near).fields[FEATURES])).toarray()
    left = known(near).label.value - design @ towards
    x, y = design - design.mean(axis=0), left - left.mean()
    wanted = towards + np.linalg.solve(x.T @ x + HELD * np.eye(x.shape[1]), x.T @ y)
    np.testing.assert_allclose(found.slope[:, 0], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("label", ["two", "turned", "new", "tags"])
def test_of_classes_no_step_makes_it_better(label: str, tmp_path: Path) -> None:
    """The gradient of loss + r / 2 |w - w_s|^2, written down anew, is zero; a class is met by its name."""
    both = {"two": ("no", "yes"), "turned": ("yes", "no")}
    far, near = class_view("far", 90), class_view("near", 60, 1, classes=both.get(label, ("no", "yes")))
    if label == "new":
        far, near = class_view("far", 90, classes=("mid", "low")), class_view("near", 60, 1, **THREE)
    if label == "tags":
        far, near = tag_view("far", 90, tags=("big", "old", "red")), tag_view("near", 60, 1)
    found = linear(far, tmp_path / "far").fit(TRANSFER, {"near": near}, "near", SETTINGS, 0)
    assert isinstance(found, LinearEstimator)
    met = {
        "two": both["two"],
        "turned": both["two"],
        "new": ("mid", "low", "high"),
        "tags": ("big", "old", "red", "fresh"),
    }
    assert found.classes == met[label]
    stored = load_file(tmp_path / "far" / "weights.safetensors")["slope"]
    towards = np.zeros_like(found.slope)
    towards[:, : stored.shape[1]] = stored
    own = known(near)
    x = found.design.read(Values.of(own.fields[FEATURES])).toarray()
    said = x @ found.slope + found.start
    names = own.label.classes
    if label == "tags":
        wanted = np.stack([own.label.value[:, names.index(one)] if one in names else np.zeros(len(own))
                           for one in found.classes], axis=1)  # fmt: skip
        off = expit(said) - wanted
    else:
        wanted = np.eye(len(found.classes))[[found.classes.index(names[one]) for one in own.label.value]]
        off = softmax(said, axis=1) - wanted
    gradient = x.T @ off + HELD * (found.slope - towards)
    if label in both:  # one column of odds, the difference of both
        gradient, off = gradient[:, 1:], off[:, 1:]
    assert np.abs(gradient).max() < 0.02
    assert np.abs(off.sum(axis=0)).max() < 0.02  # the start is free


def test_as_it_is_it_answers_as_it_did(tmp_path: Path) -> None:
    """To the last bit, whatever was chosen last for the rows that it served."""
    features = make_features(50, 3)
    for kind, config in (("linear", AS_IT_IS), ("boosting", cfg.Boosting(kind="boosting", domains="source"))):
        start = learnt(config, class_view("far", 200), tmp_path / kind)
        assert list(start.candidates(config)) == [{}]
        found = start.fit(config, {"near": class_view("near", 60, 1)}, "near", {}, 0)
        assert isinstance(found, Estimator)
        np.testing.assert_array_equal(found.raw(features), start.predictor.raw(features))
        served = found.settled({"temperature": 2.0, "threshold": 0.9})
        assert (served.unsettled().temperature, served.unsettled().threshold) == (1.0, 0.5)
        np.testing.assert_array_equal(served.unsettled().probabilities(features), found.probabilities(features))


@pytest.mark.parametrize("label", ["numbers", "two", "three"])
def test_further_trees_are_those_of_lightgbm_on_what_is_left_over(label: str, tmp_path: Path) -> None:
    """The same as trees that the library grows from the registered ones' scores as first ones, added up."""
    more = {"two": {}, "three": THREE}
    far, near = ((number_view("far", 120), number_view("near", 60, 1)) if label == "numbers" else
                 (class_view("far", 120, **more[label]), class_view("near", 60, 1, **more[label])))  # fmt: skip
    start = boosted(far, tmp_path / "far")
    settings = {"rounds": 5, "learning_rate": 0.1, "leaves": 4, "smallest_leaf": 5}
    found = start.fit(TREES, {"near": near}, "near", settings, 0)
    table = _table(Values.of(known(near).fields[FEATURES]), found.usual[0])
    [before] = start.predictor.boosters
    scores = before.predict(table, raw_score=True)
    kinds = {"numbers": {"objective": "regression"}, "two": {"objective": "binary"},
             "three": {"objective": "multiclass", "num_class": 3}}  # fmt: skip
    grown = lightgbm.train(
        {**kinds[label], "learning_rate": 0.1, "num_leaves": 4, "min_data_in_leaf": 5, "min_data_per_group": 5,
         "num_threads": 1, "deterministic": True, "force_row_wise": True, "seed": 0, "verbosity": -1},
        lightgbm.Dataset(table, known(near).label.value, init_score=scores, params={"verbosity": -1},
                         categorical_feature=list(range(table.shape[1] - 2, table.shape[1]))),
        num_boost_round=5,
    )  # fmt: skip
    wanted = (scores + grown.predict(table, raw_score=True)).reshape(len(table), -1)
    np.testing.assert_allclose(found.raw(known(near).fields[FEATURES])[:, -wanted.shape[1] :], wanted, rtol=1e-6)
    assert np.abs(wanted - scores.reshape(wanted.shape)).max() > 0.1  # they say more than before
    again = start.fit(TREES, {"near": near}, "near", settings, 0)
    assert again.state() == found.state() or json.dumps(again.state()[0]) == json.dumps(found.state()[0])


def test_tags_keep_their_trees_and_a_new_one_gets_its_own(tmp_path: Path) -> None:
    """They are met by name."""
    start = boosted(tag_view("far", 120, tags=("big", "old", "red")), tmp_path / "far")
    found = start.fit(TREES, {"near": tag_view("near", 80, 1)}, "near", next(start.candidates(TREES)), 0)
    assert found.classes == ("big", "old", "red", "fresh")
    trees = [one.num_trees() for one in found.boosters]
    assert trees == [14, 7, 14, 7]  # no row of the target says that it is old


def test_each_label_learns_on_from_its_own(tmp_path: Path) -> None:
    """Of several labels each is what it would be alone."""
    far, near = several_view("far", 120), several_view("near", 60, 1)
    start = linear(far, tmp_path / "far")
    found = start.fit(TRANSFER, {"near": near}, "near", SETTINGS, 0)
    for name in ("price", "sold", "marks"):
        alone = Carried(start.predictor.of_label(name)).fit(
            TRANSFER, {"near": near.of_label(name)}, "near", SETTINGS, 0
        )
        features = make_features(30, 5)
        np.testing.assert_array_equal(found.of_label(name).raw(features), alone.raw(features))


def test_what_it_cannot_learn_is_told(tmp_path: Path) -> None:
    """Strange classes, one more for trees, another encoder, rows of one class alone."""
    near = class_view("near", 60, 1)
    other = linear(class_view("far", 90, classes=("ham", "spam")), tmp_path / "spam")
    for config in (TRANSFER, AS_IT_IS):
        with pytest.raises(UserError, match=r"it tells ham, spam apart, and sold is no, yes: no class is in common"):
            other.fit(config, {"near": near}, "near", SETTINGS, 0)
    trees = boosted(class_view("far", 90, classes=("low", "mid")), tmp_path / "two")
    with pytest.raises(UserError, match=r"its trees tell low, mid apart and cannot learn high beside them"):
        trees.fit(TREES, {"near": class_view("near", 60, 1, **THREE)}, "near", next(trees.candidates(TREES)), 0)
    read = linear(class_view("far", 90), tmp_path / "read")
    read.predictor.design = replace(read.predictor.design, readers=(Reader("text", "minilm", "f", 4),))
    with pytest.raises(UserError, match=r"it reads the type text by minilm, and source_linear by no encoder"):
        read.fit(AS_IT_IS, {"near": near}, "near", {}, 0)
    constant = Carried(ConstantEstimator(("no", "yes"), np.zeros(2)))
    with pytest.raises(UserError, match=r"of sold it is constant, from which linear_transfer\+source cannot learn on"):
        constant.fit(TRANSFER, {"near": near}, "near", SETTINGS, 0)


def test_what_a_scenario_may_name_can_be_read() -> None:
    """Every kind that a baseline begins with is one that is saved, and what learns on from it has a way to."""
    classes = set(EXAMPLE_BASELINES)
    kinds = {kind for config in classes for kind in config.carries.values()}
    assert kinds <= set(CARRIED) <= set(RANKERS)
    assert all(CARRIED[kind]() is RANKERS[kind]() for kind in CARRIED)
    assert {config for config in classes if "all" in config.carries} == set(FURTHER)
    assert [one["regularization"] for one in Carried.candidates(TRANSFER)] == [0.1, 1.0, 10.0, 100.0]
    assert next(Carried.candidates(TRANSFER)).keys() == {"regularization"}
