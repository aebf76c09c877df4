"""What predicts from features, beside the libraries' own and formulas by hand."""

from dataclasses import replace

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from pipeline import config as cfg
from pipeline.models.boosting import BoostingEstimator
from pipeline.models.estimators import ConstantEstimator
from pipeline.models.example_baselines import candidates, fit_baseline
from pipeline.models.feature_values import Values
from pipeline.models.linear import LinearEstimator, Scaling
from pipeline.models.load import load_ranker
from pipeline.models.sample import Sample
from pipeline.views import FEATURES, ClassLabel, Features, NumberLabel
from tests.examples import class_view, make_features, number_view, view_of

BUCKETS = 1 << 16  # no two values of these tests share one
WORDS = 1 << 22  # nor two words
PLAIN = ["size", "constant", "new"]
TIMES = ["days", "hour sine", "hour cosine", "week sine", "week cosine"]


def sample_of(view, weights=None) -> Sample:
    return Sample.of({view.domain: view}, weights or {view.domain: 1.0}, view.domain)


def spelt_out(features: Features) -> pd.DataFrame:
    """The same features as plain columns, by pandas alone."""
    table = features.table
    since = (table["seen"] - pd.Timestamp("1970-01-01", tz="UTC")).dt.total_seconds() / 86400
    hour, week = (2 * np.pi * since, 2 * np.pi * since / 7)
    waves = dict(zip(TIMES, (since, np.sin(hour), np.cos(hour), np.sin(week), np.cos(week)), strict=True))
    return table.drop(columns=["seen", "gone"]).assign(
        **waves, colour=table["colour"].fillna("none"), said=table["said"].fillna("")
    )


def sklearn_s(model):
    """Impute, tell what was missing, scale, one column for each category, words by TF-IDF: the library's own way."""

    def scaled(*before):
        return make_pipeline(*before, SimpleImputer(strategy="median"), StandardScaler())

    columns = make_column_transformer(
        (scaled(), ["size", "constant", "new", *TIMES]),
        (scaled(FunctionTransformer(np.log1p)), ["skewed"]),
        (MissingIndicator(features="all"), ["size", *TIMES]),
        (OneHotEncoder(handle_unknown="ignore"), ["colour", "shop"]),
        (TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), token_pattern=r"\w+"), "said"),
    )
    return make_pipeline(columns, model)


def labelled(view):
    return view.take(view.label.known)


def test_logistic_regression_is_that_of_scikit_learn():
    """The same probabilities of rows that none was fitted on, with gaps and with a value that is unknown."""
    train, test = labelled(class_view("d", 400)), class_view("d", 60, seed=5)
    fitted = LinearEstimator.fit(sample_of(train), buckets=BUCKETS, words=WORDS, regularization=2.0)
    theirs = sklearn_s(LogisticRegression(C=0.5, max_iter=5000, tol=1e-8))
    theirs.fit(spelt_out(train.fields[FEATURES]), train.label.value)
    features = test.fields[FEATURES]
    expected = theirs.predict_proba(spelt_out(features))
    np.testing.assert_allclose(fitted.probabilities(features), expected, atol=2e-3)


def test_logistic_regression_of_three_classes_too():
    """One column of weights for each class."""
    train = labelled(class_view("d", 400, cuts=(-1, 1), classes=("a", "b", "c")))
    fitted = LinearEstimator.fit(sample_of(train), buckets=BUCKETS, words=WORDS, regularization=1.0)
    theirs = sklearn_s(LogisticRegression(max_iter=5000, tol=1e-8))
    theirs.fit(spelt_out(train.fields[FEATURES]), train.label.value)
    features = make_features(60, seed=5)
    np.testing.assert_allclose(fitted.probabilities(features), theirs.predict_proba(spelt_out(features)), atol=5e-3)


def test_ridge_regression_is_that_of_scikit_learn():
    """Numbers near a thousand, with a hundred of spread."""
    train = labelled(number_view("d", 400))
    fitted = LinearEstimator.fit(sample_of(train), buckets=BUCKETS, words=WORDS, regularization=3.0)
    theirs = sklearn_s(Ridge(alpha=3.0, tol=1e-10)).fit(spelt_out(train.fields[FEATURES]), train.label.value)
    features = make_features(60, seed=5)
    np.testing.assert_allclose(fitted.values(features), theirs.predict(spelt_out(features)), rtol=1e-5)


def test_a_weight_is_as_good_as_a_repeat():
    """A source's row with weight 2 counts as if it stood there twice, in scales as well."""
    near, far = labelled(class_view("near", 100)), labelled(class_view("far", 100, seed=1))
    twice = {"near": near, "far": far, "again": replace(far, domain="again")}
    one = Sample.of({"near": near, "far": far}, {"near": 1.0, "far": 2.0}, "near")
    two = Sample.of(twice, dict.fromkeys(twice, 1.0), "near")
    features = make_features(40, seed=5)
    for fit in (
        ConstantEstimator.fit,
        lambda sample: LinearEstimator.fit(sample, buckets=BUCKETS, words=WORDS, regularization=1.0),
    ):
        np.testing.assert_allclose(fit(one).probabilities(features), fit(two).probabilities(features), atol=1e-3)


def test_the_constant_counts():
    """Shares of the classes and the mean, each row by its weight."""
    label = ClassLabel(np.array([0, 0, 0, 1, -1]), ("no", "yes"), "sold")
    view = view_of("d", make_features(5), label)
    other = view_of("e", make_features(2), ClassLabel(np.array([1, 1]), ("no", "yes"), "sold"))
    said = ConstantEstimator.fit(Sample.of({"d": view, "e": other}, {"d": 1.0, "e": 0.5}, "d"))
    np.testing.assert_allclose(said.probabilities(make_features(2)), [[0.6, 0.4]] * 2)
    numbers = view_of("d", make_features(3), NumberLabel(np.array([1.0, 4.0, np.nan]), "price"))
    assert ConstantEstimator.fit(sample_of(numbers)).values(make_features(1)).tolist() == [2.5]


def test_far_values_and_skewed_ones_are_bent():
    """One column by hand: logarithm where the skew is above two, the median for gaps, eight deviations at most."""
    random = np.random.default_rng(0)
    numbers = np.stack([random.normal(5, 2, 500), -np.exp(3 * random.normal(size=500)), np.full(500, 4.0)], axis=1)
    numbers[:50, 0] = np.nan
    scaling = Scaling.fit(numbers, np.ones(500))
    assert scaling.logarithm.tolist() == [False, True, False]
    assert scaling.gaps.tolist() == [True, False, False]
    read = scaling.read(np.array([[np.nan, -10.0, 4.0], [1e9, -1e300, 4.0]]))
    filled = np.where(np.isnan(numbers[:, 0]), np.nanmedian(numbers[:, 0]), numbers[:, 0])
    bent = -np.log1p(-numbers[:, 1])
    expected = [(np.nanmedian(numbers[:, 0]) - filled.mean()) / filled.std(), (-np.log(11) - bent.mean()) / bent.std()]
    np.testing.assert_allclose(read[0], [*expected, 0, 1], rtol=2e-2)
    np.testing.assert_allclose(read[1], [8, -8, 0, 0])


def test_boosting_is_that_of_lightgbm(tmp_path):
    """The saved text, read by the library itself and fed with plain columns, says the same."""
    train, features = labelled(class_view("d", 400)), make_features(80, seed=5)
    settings = {"leaves": 7, "smallest_leaf": 5, "rounds": 20, "learning_rate": 0.1}
    fitted = BoostingEstimator.fit(sample_of(train), settings, seed=3)
    booster = lightgbm.Booster(model_str=fitted.state()[0]["trees"])
    values = Values.of(features)
    columns = np.hstack([values.numbers, (values.hashes % 4096).astype(float)])
    expected = booster.predict(columns)
    np.testing.assert_allclose(fitted.probabilities(features)[:, 1], expected, rtol=1e-12)
    assert booster.num_trees() == 20
    rows = Values.of(train.fields[FEATURES])
    table = np.hstack([rows.numbers, (rows.hashes % 4096).astype(float)])
    theirs = lightgbm.LGBMClassifier(
        n_estimators=20, num_leaves=7, min_child_samples=5, min_data_per_group=5, learning_rate=0.1, random_state=3,
        n_jobs=1, deterministic=True, force_row_wise=True, verbosity=-1,
    )  # fmt: skip
    theirs.fit(table, train.label.value, categorical_feature=[table.shape[1] - 2, table.shape[1] - 1])
    np.testing.assert_allclose(expected, theirs.booster_.predict(columns), rtol=1e-9)


def test_trees_read_what_no_row_lacked_as_the_median(tmp_path):
    """Trees alone would read a missing number as zero, and answer as of a row far below all others."""
    random, settings = np.random.default_rng(0), {"leaves": 7, "smallest_leaf": 5, "rounds": 20, "learning_rate": 0.1}
    numbers = random.normal([1000, -1000, 0], 50, (401, 3))
    numbers[::3, 2] = np.nan

    def features(rows):
        return Features(pd.DataFrame(rows, columns=[*"abc"]), dict.fromkeys("abc", "number"))

    label = ClassLabel((numbers[:, 0] + numbers[:, 1] > 5).astype(np.int64), ("no", "yes"), "label")
    train = sample_of(view_of("d", features(numbers), label))
    fitted = BoostingEstimator.fit(train, settings, seed=0)
    a, b, _ = np.median(numbers, axis=0)
    asked = features([[np.nan, -930, 1], [a, -930, 1], [930, np.nan, 1], [930, b, 1], [1000, -1000, np.nan]])
    for lane in (fitted, BoostingEstimator.fit_further(fitted, train.take(np.arange(401) < 100), settings, seed=0)):
        lane.save(tmp_path)
        said, told = lane.raw(asked)[:, 1], lane.explained(asked).features
        np.testing.assert_array_equal(said[[0, 2]], said[[1, 3]])
        np.testing.assert_array_equal(told[[0, 2]], told[[1, 3]])
        assert said[4] == lane.boosters[0].predict(asked.table.to_numpy()[[4]], raw_score=True)[0]
        np.testing.assert_array_equal(load_ranker(tmp_path).raw(asked)[:, 1], said)


def test_values_of_every_type():
    """Numbers as they are, times on circles, categories by name and value; what is missing is a value of its own."""
    types = {"n": "number", "f": "flag", "t": "time", "a": "category", "b": "category"}
    table = pd.DataFrame(
        {
            "n": [1.5, np.nan], "f": [1.0, np.nan], "t": pd.to_datetime(["1970-01-02 06:00", None], utc=True),
            "a": pd.Series(["x", None], dtype=object), "b": pd.Series(["x", "n"], dtype=object),
        }
    )  # fmt: skip
    values = Values.of(Features(table, types))
    week = 2 * np.pi * 1.25 / 7
    np.testing.assert_allclose(values.numbers[0], [1.5, 1.0, 1.25, 1.0, 0.0, np.sin(week), np.cos(week)], atol=1e-12)
    assert np.isnan(values.numbers[1]).all()
    assert len(set(values.hashes.ravel().tolist())) == 4
    assert values.hashes[0, 0] == pd.util.hash_array(np.array(["a=x"], dtype=object))[0]  # the same in every process
    again = Values.of(Features(table.iloc[[1, 0, 1]], types))
    np.testing.assert_array_equal(again.hashes, values.hashes[[1, 0, 1]])
    assert Values.of(Features(table.iloc[:0], types)).numbers.shape == (0, 7)
    assert Values.of(Features(table[["a"]], {"a": "category"})).numbers.shape == (2, 0)
    assert Values.of(Features(table[["n"]], {"n": "number"})).hashes.shape == (2, 0)


def test_candidates_are_all_combinations():
    """The grid of each baseline with the source's weights; what is fixed comes along."""
    config = cfg.Boosting(kind="boosting", domains="all", leaves=(3,), smallest_leaf=(1, 2), source_weights=(0.5, 1.0))
    found = [(one["leaves"], one["smallest_leaf"], one["source_weight"]) for one in candidates(config)]
    assert found == [(3, 1, 0.5), (3, 1, 1.0), (3, 2, 0.5), (3, 2, 1.0)]
    assert all(one["rounds"] == 100 for one in candidates(config))
    assert list(candidates(cfg.Constant(kind="constant"))) == [{"source_weight": 0.0}]
    linear = cfg.Linear(kind="linear", regularization=(1.0,), buckets=64, words=32, domains="source")
    assert list(candidates(linear)) == [{"buckets": 64, "words": 32, "regularization": 1.0, "source_weight": 1.0}]


@pytest.mark.parametrize("kind", ["linear", "boosting", "constant"])
def test_domains_say_whose_rows_count(kind):
    """On the target alone the source's rows change nothing, on the source alone those of the target."""
    config = {"linear": cfg.Linear, "boosting": cfg.Boosting, "constant": cfg.Constant}[kind]
    given = {"far": class_view("far", 200, 1, shift=1.0), "near": class_view("near", 150, 2)}
    features = make_features(40, seed=5)
    for domains, other in (("target", "far"), ("source", "near")):
        value = config(kind=kind, domains=domains)
        one = next(candidates(value))
        changed = {**given, other: class_view(other, 90, 7)}
        both = [fit_baseline(value, views, "near", one, 0).probabilities(features) for views in (given, changed)]
        np.testing.assert_array_equal(*both)
    value = config(kind=kind, domains="all", source_weights=(0.01, 1.0))
    light, heavy = (
        fit_baseline(value, given, "near", one, 0).probabilities(features)
        for one in candidates(value) if one.get("regularization", 1.0) == 1.0 and one.get("leaves", 4) == 4
        and one.get("smallest_leaf", 5) == 5
    )  # fmt: skip
    assert np.abs(light - heavy).max() > 0.01
