"""Anomaly scores, held against scikit-learn and against rows that are unusual by their making."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest as Forest
from sklearn.metrics import roc_auc_score

from pipeline import config as cfg
from pipeline.errors import ConfigError
from pipeline.models.anomaly import AnomalyEstimator, AutoEncoderEstimator, IsolationEstimator
from pipeline.models.example_baselines import fit_baseline
from pipeline.models.feature_values import Values
from pipeline.models.sample import Sample
from pipeline.scenarios import check_file
from pipeline.views import FEATURES, ClassLabel, View
from tests.examples import make_features, view_of

SETTINGS = {"isolation_forest": {"rows": 64, "trees": 50}, "auto_encoder": {"axes": 2}}
FITS: dict[str, Any] = {"isolation_forest": IsolationEstimator.fit, "auto_encoder": AutoEncoderEstimator.fit}


def shop(rows: int = 400, seed: int = 0, name: str = "near") -> View:
    """One row in ten is far out, in a colour that few have, and that is what is looked for."""
    features = make_features(rows, seed)
    odd = np.arange(rows) % 10 == 3
    table = features.table.assign(colour=np.where(odd, "ultraviolet", features.table["colour"]))
    table.loc[odd, "size"] = 6 * np.where(np.arange(odd.sum()) % 2, 1.0, -1.0)
    return view_of(name, replace(features, table=table), ClassLabel(odd.astype(np.int64), ("no", "yes"), "odd"))


def sample_of(view: View) -> Sample:
    return Sample.of({"near": view}, {"near": 1.0}, "near")


@pytest.fixture(params=sorted(FITS))
def fitted(request) -> AnomalyEstimator:
    return FITS[request.param](sample_of(shop()), SETTINGS[request.param], seed=3)


def test_the_forest_is_that_of_scikit_learn() -> None:
    """The same trees from the same rows; what is unusual is what its own scores say."""
    sample = sample_of(shop())
    found = IsolationEstimator.fit(sample, {"rows": 64, "trees": 50}, seed=3)
    design = found.usual.read(sample.values)
    normal = design[sample.answers == 0]
    theirs = Forest(n_estimators=50, max_samples=64, random_state=3).fit(normal, sample_weight=np.ones(len(normal)))
    np.testing.assert_allclose(found.unusual(design), -theirs.score_samples(design), rtol=1e-12)


def test_the_auto_encoder_is_the_best_linear_one() -> None:
    """No other two axes bring the rows back better; those of a singular value decomposition do so as well."""
    sample = sample_of(shop())
    found = AutoEncoderEstimator.fit(sample, {"axes": 2}, seed=0)
    design = found.usual.read(sample.values)
    normal = design[sample.answers == 0]
    singular = np.linalg.svd(normal - normal.mean(axis=0), compute_uv=False)
    assert np.expm1(found.unusual(normal)).sum() == pytest.approx((singular[2:] ** 2).sum())


def test_what_is_unusual_is_found_without_having_been_seen(fitted) -> None:
    """On fresh rows, and as a probability that follows how often it is so."""
    fresh = shop(600, seed=9)
    score = fitted.probabilities(fresh.fields[FEATURES])[:, 1]
    assert roc_auc_score(fresh.label.value, score) > 0.75
    assert score.mean() == pytest.approx(0.1, abs=0.04)


def test_only_rows_of_the_first_class_are_learnt_from(fitted) -> None:
    """Others move the probability, and not what is usual."""
    view = shop()
    moved = view.fields[FEATURES].table.copy()
    moved.loc[view.label.value == 1, "size"] = 1e6
    changed = replace(view, fields={FEATURES: replace(view.fields[FEATURES], table=moved)})
    again = FITS[fitted.kind](sample_of(changed), SETTINGS[fitted.kind], seed=3)
    design = fitted.usual.read(Values.of(view.fields[FEATURES]))
    np.testing.assert_array_equal(again.usual.read(Values.of(view.fields[FEATURES])), design)
    np.testing.assert_array_equal(again.unusual(design), fitted.unusual(design))


@pytest.mark.parametrize("kind", sorted(FITS))
def test_more_unusual_is_never_less_probable(kind) -> None:
    """Also where the labels say the opposite: then all rows are told the share of the class."""
    view = shop()
    near = (view.fields[FEATURES].table["size"].abs() < 0.5).to_numpy()
    for label, flat in ((near, True), (view.label.value == 1, False)):
        drawn = replace(view, labels=(ClassLabel(label.astype(np.int64), ("no", "yes"), "odd"),))
        found = FITS[kind](sample_of(drawn), SETTINGS[kind], seed=3)
        order = np.argsort(found.unusual(found.usual.read(Values.of(view.fields[FEATURES]))))
        said = found.probabilities(view.fields[FEATURES])[order, 1]
        assert (np.diff(said) >= 0).all()
        assert bool(np.ptp(said) == 0) is flat


def test_a_source_lends_what_is_usual_there() -> None:
    """Nothing of the target is read."""
    config = cfg.IsolationForest(kind="isolation_forest", domains="source", trees=50)
    views = {"far": shop(name="far"), "near": shop(200, 5)}
    settings = {"rows": 64, "trees": 50, "source_weight": 1.0}
    found = fit_baseline(config, views, "near", settings, 0)
    blind = replace(views["near"], labels=(ClassLabel(np.full(200, -1), ("no", "yes"), "odd"),))
    same = fit_baseline(config, {**views, "near": blind}, "near", settings, 0)
    fresh = shop(300, seed=9).fields[FEATURES]
    np.testing.assert_array_equal(found.probabilities(fresh), same.probabilities(fresh))


def test_a_task_of_several_classes_is_refused(tmp_path) -> None:
    """With what the task asks for."""
    path = tmp_path / "odd.yaml"
    path.write_text(
        "name: odd\ntitle: Odd\nsources: [a]\ntarget: b\nbridges: [features]\n"
        "tables: {examples: [{path: a.csv}]}\nsplit: {kind: hash}\n"
        "task: {kind: multiclass, label: kind, features: {size: number}}\n"
        "strategies: [{tune: {kind: scratch}}]\nbaselines: [{kind: auto_encoder}]\n"
    )
    with pytest.raises(ConfigError, match="auto_encoder predicts one of two classes, but the task multiclass asks for"):
        check_file(path)
