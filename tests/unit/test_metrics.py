"""Ranking metrics of each user."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from pipeline.labels.ranking_metrics import user_metrics


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_ndcg_is_that_of_scikit_learn(seed):
    """Users with one or several relevant items get scikit-learn's NDCG."""
    rng = np.random.default_rng(seed)
    users, items, k = 4, 12, 5
    relevant = rng.random((users, items)) < 0.3
    relevant[:, 0] = True
    scores = rng.permuted(np.tile(np.arange(items, dtype=float), (users, 1)), axis=1)  # no ties
    pairs = np.argwhere(relevant)
    rank = items - scores[pairs[:, 0], pairs[:, 1]]
    got = user_metrics(pd.DataFrame(pairs, columns=["user", "item"]), rank, (k,))
    assert got[f"ndcg@{k}"].mean() == pytest.approx(ndcg_score(relevant, scores, k=k))


def test_a_case_by_hand():
    """Ranks 2 and 11 of two relevant items, at 10."""
    got = user_metrics(pd.DataFrame({"user": [7, 7], "item": [1, 2]}), np.array([2.0, 11.0]), (10,)).loc[7]
    assert got["ndcg@10"] == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))
    assert got["recall@10"] == 0.5
    assert got["hit_rate@10"] == 1.0
    assert got["mrr@10"] == 0.5


def test_an_item_just_beyond_the_cutoff_counts_nothing():
    """A tie around the cutoff, rank 10.5, is a miss at 10 and a hit at 20."""
    got = user_metrics(pd.DataFrame({"user": [0], "item": [0]}), np.array([10.5]), (10, 20)).loc[0]
    assert got[["ndcg@10", "recall@10", "hit_rate@10", "mrr@10"]].tolist() == [0, 0, 0, 0]
    assert got["hit_rate@20"] == 1.0
    assert got["mrr@20"] == pytest.approx(1 / 10.5)


def test_a_pair_that_stands_there_twice_counts_once():
    """A repeated test row does not make its user better or heavier."""
    once = user_metrics(pd.DataFrame({"user": [0], "item": [4]}), np.array([3.0]), (10,))
    twice = user_metrics(pd.DataFrame({"user": [0, 0], "item": [4, 4]}), np.array([3.0, 3.0]), (10,))
    pd.testing.assert_frame_equal(once, twice)


@given(
    users=st.lists(st.integers(0, 4), min_size=1, max_size=30),
    seed=st.integers(0, 1000),
    tied=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_metrics_stay_between_zero_and_one(users, seed, tied):
    """Whatever the ranks, also when everything is tied, no metric leaves [0, 1]."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame({"user": users, "item": np.arange(len(users))})
    rank = np.full(len(users), (1 + len(users)) / 2) if tied else rng.integers(1, 60, len(users)) / 2 + 0.5
    got = user_metrics(rows, rank, (1, 2, 10))
    assert got.index.tolist() == sorted(set(users))
    assert ((got >= 0) & (got <= 1)).all(axis=None)
