"""Paired bootstrap intervals and Holm's correction."""

import numpy as np
import pytest
from scipy import stats

from pipeline.evaluation.bootstrap import estimate, holm, p_value, undefined
from pipeline.evaluation.statistics import resample
from pipeline.labels.statistic import Means


def resampled_means(values, resamples, seed):
    return resample({"lane": Means(values)}, resamples, seed)["lane"].drawn


def test_the_interval_is_that_of_scipy():
    """Percentile intervals agree with scipy's bootstrap up to the noise of resampling."""
    values = np.random.default_rng(1).gamma(1.0, 1.0, 400)
    means = resampled_means(values[:, None], 4000, 0)[:, 0]
    ours = estimate(values.mean(), means, 0.95)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=2).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=0.02)


def test_the_spread_is_the_standard_error():
    """The resampled means vary like the mean of a sample: standard deviation over the root of n."""
    values = np.random.default_rng(2).normal(size=(900, 1))
    assert resampled_means(values, 3000, 0).std() == pytest.approx(values.std() / 30, rel=0.05)


def test_differences_are_paired():
    """Two lanes that differ by a constant for each user differ by it in every resample."""
    values = np.random.default_rng(3).random((50, 1))
    means = resampled_means(np.hstack([values, values + 0.25]), 1000, 0)
    np.testing.assert_allclose(means[:, 1] - means[:, 0], 0.25)


def test_the_p_value_agrees_with_the_t_test():
    """For well-behaved differences the bootstrap's p-value is near that of the t-test."""
    differences = np.random.default_rng(5).normal(0.1, 1.0, 500)
    means = resampled_means(differences[:, None], 20_000, 0)[:, 0]
    assert p_value(means) == pytest.approx(stats.ttest_1samp(differences, 0.0).pvalue, abs=0.01)


def test_equal_lanes_have_the_p_value_one():
    """Differences of exactly zero prove nothing."""
    assert p_value(np.zeros(1000)) == 1.0


def test_holm_by_hand():
    """Holm's own procedure: 0.01 < 0.05/3 and 0.02 < 0.05/2 stand; 0.2 does not, nor what comes after a failure."""
    assert holm([0.2, 0.01, 0.02], 0.05) == [False, True, True]
    assert holm([0.03, 0.03, 0.03], 0.05) == [False, False, False]
    assert holm([0.001, 0.04, 0.04], 0.05) == [True, False, False]
    assert holm([], 0.05) == []


def test_resamples_without_a_value_are_left_out_and_counted():
    """An interval and a p-value over what is defined; where nothing is, there is none."""
    drawn = np.array([np.nan, *np.linspace(-1, 2, 1001), np.nan])
    assert undefined(drawn) == 2
    assert estimate(0.5, drawn, 0.95) == estimate(0.5, drawn[1:-1], 0.95)
    assert p_value(drawn) == p_value(drawn[1:-1])
    with pytest.raises(ValueError, match="not defined on any resample"):
        estimate(0.5, np.full(3, np.nan), 0.95)
