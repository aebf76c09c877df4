"""The Markov chain, against counts made by hand."""

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.models.markov import MarkovRanker
from pipeline.models.stack import Stack
from pipeline.past import Past
from tests.unit.test_sequences import ITEMS, past

TRAINED = past([("near", 0), ("far", 1), ("near", 2)], [("far", 1), ("near", 3)], [("near", 0), ("near", 2)])
POPULAR = np.array([2, 0, 2, 1, 0, 0, 0, 0, 0]) / 5 * 0.01
DECAY = 0.5


def test_all_domains_in_their_order():
    """After game 1 came toy 2 once and toy 3 once; after toy 0 toy 2, at gap two and at gap one."""
    stack = Stack.of(TRAINED, "near", 0.5)
    ranker = MarkovRanker.fit(TRAINED, stack, decay=DECAY)
    expected = POPULAR.copy()
    expected[[2, 3]] += 0.5 * np.array([0.5, 0.5])  # the last event, of a source that counts half
    expected[2] += DECAY * 1.0  # the one before it
    asked = past([("near", 0), ("far", 1)])
    np.testing.assert_allclose(ranker.scores(asked)[0], expected, rtol=1e-5)


def test_the_target_alone():
    """Games are not looked at, so that toy 2 came right after toy 0 both times."""
    ranker = MarkovRanker.fit(TRAINED, Stack.of(TRAINED, "near"), decay=DECAY)
    expected = POPULAR.copy()
    expected[2] += 1
    np.testing.assert_allclose(ranker.scores(past([("near", 0), ("far", 1)]))[0], expected, rtol=1e-5)


def test_nearer_events_count_more():
    """What came after at once counts more than what came later, as a share of all that came."""
    trained = past([("near", 0), ("near", 1), ("near", 2)])
    ranker = MarkovRanker.fit(trained, Stack.of(trained, "near"), decay=DECAY)
    assert ranker.follows.toarray()[0].tolist() == pytest.approx([0, 2 / 3, 1 / 3, *[0] * (ITEMS - 3)])


def test_without_an_order_it_is_refused():
    """Counting successors in rows without an order would say something that nobody can mean."""
    bare = Past(TRAINED.taken)
    with pytest.raises(DataError, match=r"baseline markov reads what users did in its order, but .* far, near do not"):
        MarkovRanker.fit(bare, Stack.of(bare, "near"), decay=DECAY)
