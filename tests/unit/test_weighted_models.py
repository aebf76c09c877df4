"""What methods make of weights, against direct formulas; and that weights of one change nothing."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from pipeline.errors import UserError
from pipeline.models.batches import RankingRows, Sampling
from pipeline.models.ease import EaseRanker
from pipeline.models.encoders.history import HistoryTable
from pipeline.models.factors import IalsRanker
from pipeline.models.neighbours import ItemKnnRanker, PopularityRanker, UserKnnRanker
from pipeline.models.stack import Stack
from pipeline.past import Past
from pipeline.views import PAST, ROW, UNIT, WEIGHT, ItemLabel, View

USERS, ITEMS, FAR = 40, 9, 7
SHARED = {"near": np.arange(ITEMS), "far": np.arange(2, 2 + FAR)}  # an item of both domains has one column


def weighed(items: int, seed: int, *, ones: bool = False) -> sparse.csr_matrix:
    """Weights from a fiftieth to five; the first user is empty."""
    random = np.random.default_rng(seed)
    dense = (random.random((USERS, items)) < 0.35) * random.choice([0.02, 0.5, 1, 5], (USERS, items))
    dense[0] = 0
    return sparse.csr_matrix((dense > 0 if ones else dense).astype(np.float32))


def histories(*, ones: bool = False) -> dict[str, sparse.csr_matrix]:
    return {"far": weighed(FAR, 1, ones=ones), "near": weighed(ITEMS, 2, ones=ones)}


def alone(taken) -> tuple[Stack, np.ndarray]:
    """The target by itself, and as a dense matrix."""
    return Stack.of(taken, "near"), taken["near"].toarray().astype(np.float64)


def test_popularity_adds_weights_up():
    """Column sums, those of the source at the source's weight."""
    taken = histories()
    ranker = PopularityRanker.fit(taken, Stack.of(taken, "near", 0.5, SHARED))
    expected = taken["near"].toarray().sum(axis=0)
    expected[2:] += 0.5 * taken["far"].toarray().sum(axis=0)
    np.testing.assert_allclose(ranker.counts, expected, rtol=1e-6)


def test_ials_solves_for_alpha_times_the_weight():
    """Users are (Y'Y + Y'(C - I)Y + reg I)^-1 Y' C p, C = alpha w where something was taken and 1 elsewhere."""
    taken = histories()
    stack, dense = alone(taken)
    alpha, reg = 7.0, 2.0
    ranker = IalsRanker.fit(taken, stack, factors=4, alpha=alpha, regularization=reg, iterations=20, seed=1)
    Y = ranker._model.item_factors.astype(np.float64)

    def solved(weights, factors):
        C = np.where(weights > 0, alpha * weights, 1.0)
        left = factors.T @ (C[:, None] * factors) + reg * np.eye(factors.shape[1])
        return np.linalg.solve(left, factors.T @ (C * (weights > 0)))

    X = np.array([solved(row, Y) for row in dense])
    np.testing.assert_allclose(ranker.scores(taken), X @ Y.T, atol=2e-3)
    again = np.array([solved(column, X) for column in dense.T])  # and the items are those of a fixed point
    np.testing.assert_allclose(again, Y, atol=0.05)


def test_ease_is_the_published_formula_of_the_weighted_matrix():
    """X B with B = I - P / diag P, P = (X'X + reg I)^-1."""
    taken = histories()
    stack, X = alone(taken)
    P = np.linalg.inv(X.T @ X + 3.0 * np.eye(ITEMS))
    expected = X @ (np.eye(ITEMS) - P / np.diag(P))
    ranker = EaseRanker.fit(taken, stack, regularization=3.0, max_side=100)
    np.testing.assert_allclose(ranker.scores(taken), expected, atol=1e-4)


def test_ease_says_that_weights_are_too_far_apart():
    """Items that are taken together a million times over leave nothing of the regularisation."""
    dense = np.ones((30, 5), dtype=np.float32)
    dense[:10] *= 1e6
    taken = {"near": sparse.csr_matrix(dense)}
    with pytest.raises(UserError, match=r"baselines.ease: rows count so differently .* let task.weight span less"):
        EaseRanker.fit(taken, Stack.of(taken, "near"), regularization=1.0, max_side=100)


def idf(dense: np.ndarray) -> np.ndarray:
    """By how many took something at all."""
    return np.maximum(np.log(len(dense) / (1 + (dense > 0).sum(axis=0))), 0)


def test_item_knn_is_the_cosine_of_weighted_columns():
    """Weighted by the idf of users, shrunk."""
    taken = histories()
    stack, X = alone(taken)
    columns = idf(X.T)[:, None] * X
    norms = np.linalg.norm(columns, axis=0)
    similar = columns.T @ columns / (np.outer(norms, norms) + 2.0)
    np.fill_diagonal(similar, 0)
    ranker = ItemKnnRanker.fit(taken, stack, neighbours=ITEMS, shrinkage=2.0)
    np.testing.assert_allclose(ranker.scores(taken), X @ similar, atol=1e-4)


def test_user_knn_weighs_who_is_similar_and_what_they_took(tmp_path):
    """Cosine of weighted rows, times what neighbours' rows count; also read back."""
    taken = histories()
    stack, X = alone(taken)
    rows = X * idf(X)
    norms = np.linalg.norm(rows, axis=1)
    unit = rows / np.where(norms == 0, 1, norms)[:, None]
    ranker = UserKnnRanker.fit(taken, stack, USERS)
    np.testing.assert_allclose(ranker.scores(taken), unit @ unit.T @ X, atol=1e-4)
    again = UserKnnRanker.from_state(*ranker.state())
    np.testing.assert_array_equal(again.scores(taken), ranker.scores(taken))


def test_user_knn_caps_what_is_in_both_domains():
    """An item of target and source counts what it counts in the target, and at least as much as 1 would."""
    taken = histories()
    ranker = UserKnnRanker.fit(taken, Stack.of(taken, "near", 0.5, SHARED), USERS)
    near, far = taken["near"].toarray(), np.zeros((USERS, ITEMS))
    far[:, 2:] = 0.5 * taken["far"].toarray()
    np.testing.assert_allclose(ranker._target.toarray(), np.minimum(near + far, np.maximum(near, 1)), rtol=1e-6)
    plain = histories(ones=True)
    ranker = UserKnnRanker.fit(plain, Stack.of(plain, "near", 0.5, SHARED), USERS)
    assert ranker.own is None
    assert "own.data" not in ranker.state()[1]


def view(matrix: sparse.csr_matrix, *, weighted: bool = True) -> View:
    """The entries of a matrix as rows."""
    pairs = matrix.tocoo()
    rows = pd.DataFrame({ROW: np.arange(pairs.nnz), UNIT: pairs.row.astype(np.int64)})
    rows = rows.assign(**{WEIGHT: pairs.data}) if weighted else rows
    items = pd.DataFrame({"item_id": [f"i{place}" for place in range(matrix.shape[1])]})
    return View("near", rows, {PAST: Past({"near": matrix})}, (ItemLabel(pairs.col.astype(np.int64), items, matrix),))


SAMPLING = Sampling(batch_size=16, negatives=8, dropout=0.4, seed=3)


def test_a_batch_weighs_its_rows_and_their_histories():
    """Rows by their weight over the mean of all; histories by what is visible times its weight, the own item hidden."""
    matrix = weighed(ITEMS, 5)
    rows = RankingRows(view(matrix), "target", ["near"], SAMPLING)
    dense, mean = matrix.toarray(), matrix.data.mean()
    for step in range(rows.steps):
        side = rows.batch(0, step)
        users = rows.users[rows._order(0)[rows._slice(step)]].numpy()
        own = dense[users, side.labels.positives.numpy()]
        np.testing.assert_allclose(side.weights_B, own / mean, rtol=1e-5)
        history = side.inputs["near"]
        owner = np.searchsorted(history.offsets.numpy(), np.arange(len(history.items)), side="right") - 1
        np.testing.assert_array_equal(history.weights, dense[users[owner], history.items.numpy()])
        assert (history.items.numpy() != side.labels.positives.numpy()[owner]).all()
        assert 0 < len(history.items) < (dense[users] > 0).sum() - len(users)


def test_weights_of_one_give_the_same_batches_to_the_last_bit():
    """As rows without weights, and as all histories were before there were weights."""
    matrix = weighed(ITEMS, 5, ones=True)
    with_ones = RankingRows(view(matrix), "target", ["near"], SAMPLING).batch(1, 1)
    without = RankingRows(view(matrix, weighted=False), "target", ["near"], SAMPLING).batch(1, 1)
    assert torch.equal(with_ones.weights_B, torch.ones(len(with_ones.weights_B)))
    assert torch.equal(without.weights_B, with_ones.weights_B)
    assert torch.equal(without.inputs["near"].weights, with_ones.inputs["near"].weights)
    assert set(without.inputs["near"].weights.tolist()) == {1.0}


def test_a_history_is_read_by_its_weights():
    """Each entry of a user's row with its own weight."""
    matrix = weighed(ITEMS, 6)
    found = HistoryTable(matrix).of(torch.tensor([3, 7]))
    np.testing.assert_array_equal(found.weights, np.concatenate([matrix[3].data, matrix[7].data]))
    np.testing.assert_array_equal(found.items, np.concatenate([matrix[3].indices, matrix[7].indices]))
