"""Twins: against a brute-force comparison of all pairs of sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from pipeline.rows.interactions import twins
from pipeline.rows.interactions.twins import twin_pairs

USERS = 12


def matrix(sets: list[set[int]]) -> sparse.csr_matrix:
    """[USERS, items] from each item's set of users."""
    dense = np.zeros((USERS, len(sets)))
    for item, users in enumerate(sets):
        dense[list(users), item] = 1
    return sparse.csr_matrix(dense)


def brute_force(left: list[set[int]], right: list[set[int]]) -> list[list[int]]:
    """The definition, pair by pair."""
    return [
        [i, j]
        for i, a in enumerate(left)
        for j, b in enumerate(right)
        if min(len(a), len(b)) >= 3 and 5 * len(a & b) >= 4 * len(a | b)
    ]


item_sets = st.lists(st.sets(st.integers(0, USERS - 1), max_size=USERS), max_size=7)
dense_sets = st.lists(st.sets(st.integers(0, 5), min_size=3, max_size=6), max_size=7)  # where twins are frequent


@given(
    st.one_of(st.tuples(item_sets, item_sets), st.tuples(dense_sets, dense_sets)), st.sampled_from([1, 5, 4_000_000])
)
def test_twins_are_those_of_brute_force(sets, block):
    """Prefix filter and blocks of any size lose no pair and invent none."""
    left, right = sets
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(twins, "_BLOCK", block)
        found = twin_pairs(matrix(left), matrix(right))

    assert found.tolist() == brute_force(left, right)


@pytest.mark.parametrize(
    ("left", "right", "is_twin"),
    [
        ({0, 1, 2}, {0, 1, 2}, True),
        ({0, 1}, {0, 1}, False),  # equal, but of two users only
        ({0, 1, 2}, {0, 1, 2, 3}, False),  # 3 / 4
        ({0, 1, 2, 3}, {0, 1, 2, 3, 4}, True),  # 4 / 5: exactly on the bound
        ({0, 1, 2, 3, 4}, {0, 1, 2, 3, 5}, False),  # 4 / 6
        ({0, 1, 2, 3, 4, 5, 6, 7, 8}, {0, 1, 2, 3, 4, 5, 6, 7, 9}, True),  # 8 / 10
    ],
)
def test_bound(left, right, is_twin):
    """Sets of three or more users with a Jaccard index of 0.8 or more are twins."""
    assert bool(len(twin_pairs(matrix([left]), matrix([right])))) is is_twin


def test_repeated_rows_count_once():
    """A user who took an item twice is one user of its set."""
    twice = sparse.coo_matrix((np.ones(4), ([0, 0, 1, 2], [0, 0, 0, 0])), shape=(USERS, 1)).tocsr()

    assert twin_pairs(twice, matrix([{0, 1, 2}])).tolist() == [[0, 0]]
