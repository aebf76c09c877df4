"""Ranks in the full catalogue."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from pipeline.errors import CrossliftError
from pipeline.labels.ranks import ranks


def fixed(scores_UI: np.ndarray):
    """Make a scorer that finds the user in the history, whose only column holds the user's number."""

    def score(histories):
        users = histories["who"].toarray()[:, 0].astype(int)
        return scores_UI[users]

    return score


def who(n_users: int) -> dict[str, sparse.csr_matrix]:
    """Histories that tell `fixed` which user is meant."""
    return {"who": sparse.csr_matrix(np.arange(n_users, dtype=np.float32)[:, None])}


def brute_force(scores_UI, rows, seen_UI):
    """Follow the definition, one row after the other."""
    result = []
    for user, item in zip(rows["user"], rows["item"], strict=True):
        others = [i for i in range(scores_UI.shape[1]) if i != item and not seen_UI[user, i]]
        own = scores_UI[user, item]
        result.append(
            1 + sum(scores_UI[user, i] > own for i in others) + 0.5 * sum(scores_UI[user, i] == own for i in others)
        )
    return np.array(result)


@given(seed=st.integers(0, 10_000), block=st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_ranks_are_the_definition_whatever_the_block(seed, block):
    """Random scores with ties, seen items and several rows a user give what the definition gives."""
    rng = np.random.default_rng(seed)
    users, items = int(rng.integers(1, 9)), int(rng.integers(1, 20))
    scores = rng.integers(0, 4, (users, items)).astype(np.float32)
    seen = rng.random((users, items)) < 0.3
    pairs = np.argwhere(rng.random((users, items)) < 0.4)
    rows = pd.DataFrame(rng.permutation(pairs), columns=["user", "item"])
    got = ranks(fixed(scores), who(users), rows, sparse.csr_matrix(seen.astype(np.float32)), block)
    np.testing.assert_array_equal(got, brute_force(scores, rows, seen))


def test_more_rows_than_a_chunk_keep_their_places():
    """Rows of many users in any order get their own rank, also beyond one chunk and one block."""
    rng = np.random.default_rng(3)
    scores = rng.standard_normal((300, 40)).astype(np.float32)
    rows = pd.DataFrame({"user": rng.integers(0, 300, 700), "item": rng.integers(0, 40, 700)})
    seen = sparse.csr_matrix((rng.random((300, 40)) < 0.2).astype(np.float32))
    np.testing.assert_array_equal(
        ranks(fixed(scores), who(300), rows, seen, 128), brute_force(scores, rows, seen.toarray() > 0)
    )


def test_a_constant_scorer_stands_in_the_middle():
    """Ties count half, so a scorer that says nothing gets the chance rank, not the first."""
    rows = pd.DataFrame({"user": [0], "item": [3]})
    got = ranks(fixed(np.zeros((1, 101), np.float32)), who(1), rows, sparse.csr_matrix((1, 101), dtype=np.float32))
    assert got.tolist() == [51.0]


def test_an_item_that_the_model_does_not_know_comes_last():
    """Minus infinity ranks behind every finite score, and such items share the last places."""
    scores = np.array([[-np.inf, 1.0, 2.0, -np.inf]], dtype=np.float32)
    rows = pd.DataFrame({"user": [0, 0], "item": [0, 1]})
    got = ranks(fixed(scores), who(1), rows, sparse.csr_matrix((1, 4), dtype=np.float32))
    assert got.tolist() == [3.5, 2.0]


def test_the_scorers_array_is_left_as_it_was():
    """A scorer may hand out an array that it keeps."""
    scores = np.arange(6, dtype=np.float32).reshape(2, 3)
    before = scores.copy()
    seen = sparse.csr_matrix(np.array([[1, 0, 0], [0, 1, 0]], dtype=np.float32))
    ranks(lambda _: scores, who(2), pd.DataFrame({"user": [0, 1], "item": [1, 1]}), seen)
    np.testing.assert_array_equal(scores, before)


def test_no_rows_give_no_ranks():
    """An empty table is no error: the caller decides whether it may be empty."""
    rows = pd.DataFrame({"user": np.array([], np.int64), "item": np.array([], np.int64)})
    assert ranks(fixed(np.zeros((1, 2), np.float32)), who(1), rows, sparse.csr_matrix((1, 2))).shape == (0,)


def test_nan_scores_are_refused():
    """A model that diverged is named as such instead of getting a rank."""
    scores = np.array([[0.0, 1.0], [np.nan, 1.0]], dtype=np.float32)
    rows = pd.DataFrame({"user": [0, 1], "item": [0, 0]})
    with pytest.raises(CrossliftError, match=r"1 of 2 users have a score that is NaN, the first is user 1"):
        ranks(fixed(scores), who(2), rows, sparse.csr_matrix((2, 2), dtype=np.float32))


def test_scores_of_another_catalogue_are_refused():
    """Scores must be over the very catalogue that is ranked."""
    rows = pd.DataFrame({"user": [0], "item": [0]})
    with pytest.raises(CrossliftError, match=r"expected the shape \(1, 3\) .* got \(1, 2\)"):
        ranks(fixed(np.zeros((1, 2), np.float32)), who(1), rows, sparse.csr_matrix((1, 3), dtype=np.float32))
