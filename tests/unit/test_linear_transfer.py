"""Linear parameter transfer against its closed form and a direct minimisation."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

from pipeline import config as cfg
from pipeline.models.example_baselines import candidates, fit_baseline
from pipeline.models.linear import LinearEstimator
from pipeline.models.linear_transfer import fit_transfer
from pipeline.models.sample import Sample
from pipeline.views import FEATURES, Views
from tests.examples import class_view, number_view, tag_view

BUCKETS, HELD, LENGTH = 16, 3.0, 5.0
THREE = {"cuts": (-1.0, 1.0), "classes": ("high", "low", "mid")}


def sample_of(given: Views) -> Sample:
    return Sample.of(given, {"far": 0.5, "near": 1.0}, "near")


def fitted(sample: Sample, held: float = HELD) -> LinearEstimator:
    return fit_transfer(sample, regularization=held, source_regularization=LENGTH, buckets=BUCKETS, words=16)


def test_of_a_number_it_is_the_closed_form():
    """It is w = w_s + (X'WX + rI)^-1 X'W (y - X w_s), all centred; the source's with w_s = 0."""
    sample = sample_of({"far": number_view("far", 90), "near": number_view("near", 40, 1)})
    found, towards = fitted(sample), 0.0
    for rows, strength in ((~sample.own, LENGTH), (sample.own, HELD)):
        weights = sample.weights[rows]
        design = found.design.read(sample.take(rows).values).toarray()
        answers = sample.answers[rows]
        x = design - np.average(design, axis=0, weights=weights)
        left = answers - design @ (np.zeros(x.shape[1]) + towards)
        y = left - np.average(left, weights=weights)
        normal = x.T @ (weights[:, None] * x) + strength * np.eye(x.shape[1])
        towards = towards + np.linalg.solve(normal, x.T @ (weights * y))
    np.testing.assert_allclose(found.slope[:, 0], towards, rtol=1e-4, atol=1e-5)
    left = sample.answers[sample.own] - found.design.read(sample.take(sample.own).values) @ towards
    assert found.start[0] == pytest.approx(left.mean(), rel=1e-6)


def binary(weights, x, y, w):
    said = x @ weights
    return (w * (np.logaddexp(0, said[:, 0]) - y * said[:, 0])).sum()


def multinomial(weights, x, y, w):
    said = x @ weights
    return (w * (logsumexp(said, axis=1) - said[np.arange(len(y)), y])).sum()


def tagged(weights, x, y, w):
    said = x @ weights
    return (w[:, None] * np.where(np.isnan(y), 0, np.logaddexp(0, said) - np.nan_to_num(y) * said)).sum()


CASES = {
    "two classes": (binary, 1, {"far": class_view("far", 60), "near": class_view("near", 30, 1)}),
    "three classes": (
        multinomial, 3, {"far": class_view("far", 60, **THREE), "near": class_view("near", 30, 1, **THREE)},
    ),
    "tags": (tagged, 3, {"far": tag_view("far", 60), "near": tag_view("near", 30, 1)}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_of_classes_and_tags_it_is_what_a_direct_minimisation_finds(case):
    """The loss written down anew, its gradient by finite differences, another solver: the same odds."""
    loss, columns, given = CASES[case]
    sample = sample_of(given)
    found = fitted(sample)
    towards = np.zeros((found.slope.shape[0] + 1, columns))
    for rows, strength in ((~sample.own, LENGTH), (sample.own, HELD)):
        x = found.design.read(sample.take(rows).values).toarray()
        x = np.hstack([x, np.ones((len(x), 1))])
        y, w = sample.answers[rows], sample.weights[rows]

        def objective(flat, x=x, y=y, w=w, strength=strength, towards=towards):
            weights = flat.reshape(towards.shape)
            return loss(weights, x, y, w) + strength / 2 * ((weights - towards)[:-1] ** 2).sum()

        towards = minimize(objective, towards.ravel(), method="BFGS", options={"gtol": 1e-4}).x.reshape(towards.shape)
    own = found.slope[:, -columns:], found.start[-columns:]
    said, wanted = x[:, :-1] @ own[0] + own[1], x @ towards
    if case == "three classes":  # a constant may be added to all
        said, wanted = (one - one.mean(axis=1, keepdims=True) for one in (said, wanted))
    np.testing.assert_allclose(expit(said), expit(wanted), atol=2e-3)


def test_held_firmly_it_is_the_source_s_and_held_loosely_the_target_s():
    """The slope goes from the source's to that of the target alone; the start is always the target's."""
    sample = sample_of({"far": class_view("far", 300), "near": class_view("near", 100, 1, shift=1.0)})
    source = fitted(sample.take(~sample.own), 1.0).slope
    firm, loose = fitted(sample, 1e7), fitted(sample, 1e-3)
    kept = np.abs(source[:, 1]) > 0.05
    assert (
        np.corrcoef(firm.slope[kept, 1], source[kept, 1])[0, 1] > 0.98
    )  # their columns are scaled alike, but not equally
    assert np.linalg.norm(loose.slope - firm.slope) > np.linalg.norm(firm.slope)


def test_a_class_that_only_one_domain_has_is_known():
    """It is told by name, and a target of one class alone leaves every number finite."""
    far, near = class_view("far", 200, **THREE), class_view("near", 60, 1, **THREE)
    config = cfg.LinearTransfer(kind="linear_transfer")
    one = near.take(np.flatnonzero(near.label.value == 2))
    for own in (near.take(near.label.value != 1), one):
        found = fit_baseline(config, {"far": far, "near": own}, "near", next(candidates(config)), 0)
        assert sorted(found.classes) == ["high", "low", "mid"]
        odds = found.probabilities(near.fields[FEATURES])
        assert np.isfinite(odds).all()
    assert (found.classes[2], odds[:, 2].mean() > 0.9) == ("mid", True)


def test_it_is_called_after_the_source_and_held_against_linear():
    """Its gain is what the source brought to the same regression on the target alone."""
    config = cfg.LinearTransfer(kind="linear_transfer")
    assert (config.name, config.method, config.domains) == ("linear_transfer+source", "linear", "all")
    assert len(list(candidates(config))) == 8
