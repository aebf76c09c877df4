"""Statistics over resample counts, and the draws that all of them share."""

import numpy as np
import pytest

from pipeline.config import Gate
from pipeline.evaluation.comparison import LaneInfo, Part, view
from pipeline.evaluation.statistics import Scores, draws, resample
from pipeline.evaluation.terms import Terms
from pipeline.labels.items import ITEMS
from pipeline.labels.statistic import Means, Recomputed


def test_the_draws_are_those_of_the_first_release():
    """Places by `integers`, 64 resamples at a time, counted by hand: kept, so that published intervals stay."""
    rng = np.random.default_rng(7)
    blocks = [rng.integers(0, 30, (size, 30)) for size in (64, 64, 22)]
    wanted = [np.bincount(places, minlength=30) for block in blocks for places in block]
    np.testing.assert_array_equal(np.concatenate(list(draws(30, 150, 7))), wanted)


def test_means_are_those_of_the_drawn_units():
    """Counts of a resample give the mean of the repeated values, and counts of one the plain mean."""
    values = np.random.default_rng(0).random((20, 3))
    counts = np.random.default_rng(1).integers(0, 4, (5, 20)).astype(float)
    wanted = [np.repeat(values, count.astype(int), axis=0).mean(axis=0) for count in counts]
    np.testing.assert_allclose(Means(values)(counts), wanted)
    np.testing.assert_allclose(resample({"a": Means(values)}, 10, 0)["a"].value, values.mean(axis=0))


def test_the_rows_of_a_unit_are_drawn_together():
    """A statistic that is no mean sees each row as often as its unit was drawn."""
    rows = np.array([1.0, 2.0, 4.0, 8.0])

    def total(counts):
        return counts @ rows

    both = Recomputed((total, lambda counts: counts.max(axis=1)), np.array([0, 1, 0, 1]), 2)
    np.testing.assert_array_equal(both(np.array([[1.0, 1.0], [2.0, 0.0]])), [[15.0, 1.0], [10.0, 2.0]])
    assert both.units == 2


def test_equal_seeds_give_equal_bits():
    """A repeat is the same to the bit, another seed is not, and no lane changes what another gets."""
    a, b = (np.random.default_rng(seed).integers(0, 2, (70, 3)).astype(float) for seed in (4, 5))
    first = resample({"a": Means(a), "b": Means(b)}, 1000, 5)
    assert first["a"].drawn.tobytes() == resample({"a": Means(a)}, 1000, 5)["a"].drawn.tobytes()
    assert first["a"].drawn.tobytes() != resample({"a": Means(a)}, 1000, 6)["a"].drawn.tobytes()
    assert first["b"].drawn.shape == (1000, 3)


def test_no_unit_is_refused():
    """An interval over nobody does not exist."""
    with pytest.raises(ValueError, match="expected at least one unit"):
        resample({"a": Means(np.empty((0, 2)))}, 1000, 0)


def test_a_view_leaves_out_what_is_not_defined_and_counts_resamples():
    """A metric that needs the second half of the units has no value on the first, and fewer resamples on all."""
    rare = np.arange(40) == 0

    def second(units):
        chosen = np.where(units)[0]

        def metric(counts):
            drawn = counts[:, rare[chosen]].sum(axis=1)
            return np.where(drawn > 0, drawn, np.nan)

        scores = Recomputed((lambda counts: counts.mean(axis=1), metric), np.arange(len(chosen)), len(chosen))
        return Scores(("ndcg@10", "mrr@10"), {"target_only": scores}, rows=len(chosen))

    lane = LaneInfo(name="target_only", kind="strategy", domains=("b",), counterpart=None, oracle=False,
                    valid={"ndcg@10": 1.0}, valid_domain="b")  # fmt: skip
    every, without = np.ones(40, bool), ~rare
    found = view(Terms(Gate(resamples=1000), "ndcg@10", ITEMS, 0), [lane], second(every), [])
    assert found.lanes["target_only"].keys() == {"ndcg@10", "mrr@10"}
    assert found.undefined["mrr@10"] == pytest.approx(1000 * (1 - 1 / 40) ** 40, rel=0.15)
    assert "ndcg@10" not in found.undefined
    less = view(Terms(Gate(resamples=1000), "ndcg@10", ITEMS, 0), [lane], second(without), [])
    assert less.lanes["target_only"].keys() == {"ndcg@10"}
    gated = Terms(Gate(resamples=1000), "mrr@10", ITEMS, 0)
    parts = [Part("by", "with", second(every)), Part("by", "without", second(without))]
    assert [part.label for part in view(gated, [lane], second(every), parts).slices] == ["with"]
