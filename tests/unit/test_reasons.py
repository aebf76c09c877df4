"""Why an item is recommended, against what the formulas of the models say."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from pipeline import columns as c
from pipeline.config import HistoryModel
from pipeline.errors import DataError
from pipeline.models.build import build_network
from pipeline.models.ease import EaseRanker
from pipeline.models.items import Catalogue
from pipeline.models.markov import MarkovRanker
from pipeline.models.neighbours import ItemKnnRanker, PopularityRanker
from pipeline.models.network_ranker import NetworkRanker
from pipeline.models.stack import Stack
from pipeline.past import Past
from pipeline.rows.interactions import reasons

RNG = np.random.default_rng(0)
FILMS = sparse.csr_matrix((RNG.random((40, 12)) < 0.3).astype(np.float32))
BOOKS = sparse.csr_matrix((RNG.random((40, 9)) < 0.3).astype(np.float32))
TAKEN = {"books": BOOKS, "films": FILMS}
ALL = Stack.of(TAKEN, "films", 0.5)
EVERY = np.arange(12)


def ease(users: int) -> tuple[np.ndarray, EaseRanker]:
    """EASE of the first users, and its B by Steck's formula, in double precision."""
    some = {name: sparse.csr_matrix(matrix[:users]) for name, matrix in TAKEN.items()}
    stack = Stack.of(some, "films", 1.0)
    X = stack.matrix(some).toarray().astype(np.float64)
    P = np.linalg.inv(X.T @ X + 2 * np.eye(X.shape[1]))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    return B, EaseRanker.fit(some, stack, regularization=2.0, max_side=1000)


@pytest.mark.parametrize("users", [40, 8])  # over items, and over users
def test_of_ease_they_are_the_entries_of_its_matrix(users: int) -> None:
    """So that they add up to the score, for known users and for strangers."""
    B, ranker = ease(users)
    for user in (3, 39):
        past = Past(TAKEN).of([user])
        own = reasons.parts(ranker, past, EVERY)
        films, books = FILMS[user].indices, BOOKS[user].indices
        assert own == pytest.approx(B[np.concatenate([12 + books, films])][:, :12], abs=2e-5)
        free = np.setdiff1d(EVERY, films)
        assert own[:, free].sum(axis=0) == pytest.approx(ranker.scores(past)[0, free], abs=2e-5)


def test_of_neighbours_they_are_similarities_times_what_things_count() -> None:
    ranker = ItemKnnRanker.fit(TAKEN, ALL, neighbours=20, shrinkage=1.0)
    past = Past(TAKEN).of([5])
    similar = ranker.similarity.toarray()
    wanted = np.concatenate([0.5 * similar[12 + BOOKS[5].indices], similar[FILMS[5].indices]])
    assert reasons.parts(ranker, past, EVERY) == pytest.approx(wanted, abs=1e-6)


def test_a_chain_looks_one_further_back_without_its_last_event() -> None:
    """After a comes b, after c comes d: who did c and then a is told b, and without a what comes after c."""
    rows, when = [[1, 1, 0, 0], [0, 0, 1, 1]], [[1, 2, 0, 0], [0, 0, 1, 2]]
    learnt = Past({"films": sparse.csr_matrix(np.float32(rows))}, {"films": sparse.csr_matrix(np.float64(when))})
    ranker = MarkovRanker.fit(learnt, Stack.of(learnt, "films", 1.0), decay=0.5)
    asked = Past(
        {"films": sparse.csr_matrix(np.float32([[1, 0, 1, 0]]))},
        {"films": sparse.csr_matrix(np.float64([[2, 0, 1, 0]]))},
    )
    got = reasons.parts(ranker, asked, np.array([1, 3]))
    assert got == pytest.approx(np.array([[1, 0.5 - 1], [0, 0.5]]), abs=1e-6)  # without a, c is the last and counts 1


@given(st.integers(0, 39), st.integers(1, 7))
@settings(max_examples=25, deadline=None)
def test_each_thing_is_left_out_once_and_alone(user: int, block: int) -> None:
    past = Past(TAKEN).of([user])
    size = sum(matrix.nnz for matrix in past.values())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reasons, "_BLOCK", block)
        blocks = list(reasons.without_each(past))
    found = sparse.vstack([sparse.hstack([one["books"], one["films"]]) for one in blocks]) if blocks else None
    whole = sparse.hstack([past["books"], past["films"]]).toarray()
    missing = (whole - found.toarray()) if found is not None else np.zeros((0, 21))
    assert len(missing) == size
    assert (missing.sum(axis=1) == 1).all()
    assert (missing.sum(axis=0) == whole[0]).all()


def test_what_a_model_does_not_read_is_no_reason() -> None:
    """Its sums differ in the last digits from one block to another; those of a network did."""
    torch.manual_seed(0)
    counts = RNG.integers(0, 100, 3000).astype(np.float32)
    network = build_network(HistoryModel(dim=64, text_buckets=16), {"films": Catalogue(counts)}, "films")
    films = sparse.csr_matrix((RNG.random((1, 3000)) < 0.01).astype(np.float32))
    past = Past({"books": sparse.csr_matrix(np.ones((1, 20), np.float32)), "films": films})
    own = reasons.parts(NetworkRanker.of(network, "films"), past, np.arange(3000))
    assert not own[:20].any()
    assert (np.abs(own[20:]) > 1e-4).mean() > 0.99


def test_what_is_the_same_for_all_has_no_reason() -> None:
    ranker = PopularityRanker.fit(TAKEN, ALL)
    past = Past(TAKEN).of([0])
    assert not reasons.parts(ranker, past, EVERY).any()
    assert reasons.parts(ranker, Past(TAKEN).of([0]).emptied(), EVERY).shape == (0, 12)


def test_words_name_what_speaks_for_an_item_the_most_first() -> None:
    past = Past(TAKEN).of([0])
    goods = pd.DataFrame({c.ITEM: [f"f{place}" for place in range(12)], c.TITLE: ["One", None] * 6})
    books = pd.DataFrame({c.ITEM: [f"b{place}" for place in range(9)]})
    names = reasons.names_of(past, {"films": goods, "books": books}, "films")
    assert names == [f"books: b{place}" for place in BOOKS[0].indices] + [
        f"f{place}" + (' "One"' if place % 2 == 0 else "") for place in FILMS[0].indices
    ]
    told = reasons.in_words(np.array([[0.2, -1], [0.00318, 0], [3, -2]]), ["a", "b", "c"], 2)
    assert told == ["c +3; a +0.2", ""]
    with pytest.raises(DataError, match="explain: expected how many things"):
        reasons.check(-1)
