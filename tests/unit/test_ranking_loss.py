"""Sampled softmax and the batches of the ranking task, against NumPy."""

import numpy as np
import pytest
import torch
from scipy import sparse

from pipeline.config import HistoryModel as HistoryConfig
from pipeline.models.batches import InputRows, RankingRows, Sampling
from pipeline.models.build import build_network
from pipeline.models.encoders.history import HistoryTable
from pipeline.models.heads import sampled_softmax
from pipeline.models.items import Catalogue
from pipeline.models.seeds import seeded
from pipeline.models.sides import Outputs
from tests.views import labelled_view

POSITIVES = np.array([2, 0, 4, 2])
NEGATIVES = np.array([0, 2, 2, 5, 3, 1])
LOG_Q = np.log(np.array([0.3, 0.1, 0.25, 0.15, 0.1, 0.1]))


def reference(positive, negative, positives, negatives, log_q) -> np.ndarray:
    """The docstring's formula, row by row."""
    losses = []
    for row, item in enumerate(positives):
        own = np.exp(positive[row] - log_q[item])
        others = [np.exp(negative[row, n] - log_q[j]) for n, j in enumerate(negatives) if j != item]
        losses.append(-np.log(own / (own + sum(others))))
    return np.array(losses)


def logits() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    return random.normal(size=4), random.normal(size=(4, 6))


def loss_of(positive, negative, positives=POSITIVES, negatives=NEGATIVES) -> torch.Tensor:
    """The function under test, in float64; it may write into its second argument, so that gets a copy."""
    tensors = [torch.as_tensor(value) for value in (positives, negatives, LOG_Q)]
    return sampled_softmax(torch.as_tensor(positive), torch.as_tensor(negative).clone(), *tensors)


def test_the_loss_is_the_published_formula():
    """Equal to the sum over the negatives that are not the row's own positive, with logQ taken off."""
    positive, negative = logits()
    expected = reference(positive, negative, POSITIVES, NEGATIVES, LOG_Q)
    np.testing.assert_allclose(loss_of(positive, negative).numpy(), expected, rtol=1e-12)


def test_accidental_hits_do_not_count():
    """A negative that is the row's positive changes nothing, however high its score; another row's does."""
    positive, negative = logits()
    before = loss_of(positive, negative).numpy()
    negative[0, [1, 2]] += 50  # item 2 is the positive of row 0
    np.testing.assert_allclose(loss_of(positive, negative).numpy(), before, rtol=1e-12)
    negative[1, 1] += 50  # but not of row 1
    after = loss_of(positive, negative).numpy()
    assert after[1] > before[1] + 1
    np.testing.assert_array_equal(np.delete(after, 1), np.delete(before, 1))


def test_only_hits_among_the_negatives_leave_no_loss():
    """Where every negative is the positive there is nothing to tell apart: loss and gradient are zero."""
    positive = torch.tensor([0.5, 0.1], dtype=torch.float64, requires_grad=True)
    loss = loss_of(positive, np.zeros((2, 3)), np.array([1, 1]), np.array([1, 1, 1]))
    loss.sum().backward()
    assert loss.tolist() == [0, 0]
    assert positive.grad.tolist() == [0, 0]


def test_log_q_makes_the_softmax_full():
    """Where draws follow q and every item is drawn once per share, the corrected sum is the full softmax's."""
    scores = np.random.default_rng(0).normal(size=3)
    share = np.array([0.5, 0.25, 0.25])
    draws = np.repeat([0, 1, 2], [2, 1, 1])  # four draws in proportion to the shares
    tensors = (torch.tensor([2]), torch.as_tensor(draws), torch.as_tensor(np.log(share)))
    loss = sampled_softmax(torch.as_tensor(scores[[2]]), torch.as_tensor(scores[draws][None, :]), *tensors)
    own, others = 4 * np.exp(scores[2]), 4 * np.exp(scores[0]) + 4 * np.exp(scores[1])
    assert loss.item() == pytest.approx(-np.log(own / (own + others)), rel=1e-12)


def test_the_gradient_is_that_of_finite_differences():
    """Autograd through the mask agrees with central differences."""
    positive, negative = (torch.as_tensor(value).requires_grad_() for value in logits())
    assert torch.autograd.gradcheck(loss_of, (positive, negative))


HISTORIES = {
    "far": sparse.csr_matrix(np.random.default_rng(0).random((20, 8)) < 0.3, dtype=np.float32),
    "near": sparse.csr_matrix(np.random.default_rng(1).random((20, 6)) < 0.4, dtype=np.float32),
}


def rows(dropout: float = 0.0, seed: int = 0, domain: str = "near") -> RankingRows:
    return RankingRows(labelled_view(domain, HISTORIES), "target", HISTORIES, Sampling(16, 12, dropout, seed))


def test_the_loss_of_a_batch_uses_cosines_and_the_prior():
    """The head's loss is the formula on cos / temperature + ln(1 + count), recomputed with NumPy."""
    torch.manual_seed(0)
    catalogues = {name: Catalogue(np.asarray(matrix.sum(axis=0)).ravel()) for name, matrix in HISTORIES.items()}
    model = build_network(HistoryConfig(dim=4, text_buckets=16, temperature=0.3), catalogues, "near")
    side = rows().batch(0, 0)
    features, labels = model.encode(side.inputs), side.labels
    vectors = model.items.own("near").weight.detach().numpy().astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = features.detach().numpy() / 2 @ vectors.T / 0.3 + np.log1p(HISTORIES["near"].toarray().sum(axis=0))
    positives, negatives = labels.positives.numpy(), labels.negatives.numpy()
    expected = reference(
        scores[np.arange(len(positives)), positives], scores[:, negatives], positives, negatives, labels.log_q.numpy()
    )
    found = model.losses(Outputs(side, features)).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_log_q_is_the_chance_of_a_draw():
    """The chance q is proportional to 1 + count, and the drawn negatives follow it."""
    counts = 1 + HISTORIES["near"].toarray().sum(axis=0)
    many = (
        RankingRows(labelled_view("near", HISTORIES), "target", HISTORIES, Sampling(4, 200_000, 0.0, 0))
        .batch(0, 0)
        .labels
    )
    np.testing.assert_allclose(many.log_q.exp(), counts / counts.sum(), rtol=1e-5)
    drawn = np.bincount(many.negatives.numpy(), minlength=6) / 200_000
    np.testing.assert_allclose(drawn, counts / counts.sum(), atol=0.005)


def test_an_epoch_is_every_row_once():
    """The batches of an epoch hold each labelled pair exactly once, in another order each epoch."""
    source = rows()
    every = set(zip(*HISTORIES["near"].nonzero(), strict=True))
    orders = []
    for epoch in (0, 1):
        batches = [source.batch(epoch, step) for step in range(source.steps)]
        order = torch.cat([source._order(epoch)]).tolist()
        pairs = torch.cat([batch.labels.positives for batch in batches]).tolist()
        assert pairs == source.items[order].tolist()
        assert sorted(order) == list(range(len(every)))
        orders.append(order)
    assert orders[0] != orders[1]


def same(one, other) -> bool:
    return (
        torch.equal(one.labels.positives, other.labels.positives)
        and torch.equal(one.labels.negatives, other.labels.negatives)
        and all(torch.equal(one.inputs[name].weights, other.inputs[name].weights) for name in HISTORIES)
        and all(torch.equal(one.inputs[name].items, other.inputs[name].items) for name in HISTORIES)
    )


def test_batches_depend_on_seed_epoch_and_step_alone():
    """Not on what was asked before, nor on torch's global state; each of the three numbers matters."""
    fresh = rows(0.5).batch(2, 1)
    used = rows(0.5)
    for step in (3, 0, 2):
        used.batch(0, step)
    torch.manual_seed(99)
    assert same(fresh, used.batch(2, 1))
    others = [rows(0.5, seed=1).batch(2, 1), used.batch(1, 1), used.batch(2, 0)]
    assert not any(same(fresh, other) for other in others)


def test_a_smaller_domain_starts_again():
    """Steps past the end of an epoch go on with the next order, so that a joint fit can use a shorter side."""
    source = rows()
    assert torch.equal(source.batch(0, source.steps).labels.positives, source.batch(1, 0).labels.positives)


def test_the_own_positive_is_hidden_in_its_domain_only():
    """Without dropout a row sees its whole history but the item that it is to predict."""
    source = rows()
    batch = source.batch(0, 0)
    users = source.users[source._order(0)[source._slice(0)]]
    for name, own in (("near", batch.labels.positives.tolist()), ("far", [None] * len(users))):
        read = batch.inputs[name]
        ends = [*read.offsets.tolist()[1:], len(read.items)]
        for user, hidden, begin, end in zip(users, own, read.offsets, ends, strict=True):
            known = HISTORIES[name][int(user)].indices.tolist()
            assert read.items[begin:end].tolist() == [item for item in known if item != hidden]
        assert bool((read.weights == 1).all())


def test_dropout_hides_its_share():
    """About that share of the history is hidden, also in the other domain."""
    source = RankingRows(labelled_view("near", HISTORIES), "target", HISTORIES, Sampling(1000, 2, 0.3, 0))
    read = sum(len(source.batch(epoch, 0).inputs["far"].items) for epoch in range(20))
    every = int(np.diff(HISTORIES["far"].indptr)[source.users].sum())
    assert read / (20 * every) == pytest.approx(0.7, abs=0.03)


def test_the_history_table_gives_rows_in_the_order_asked():
    """Histories lie end to end; an empty one has no entries, a repeated user is repeated."""
    matrix = sparse.csr_matrix(np.array([[0, 1, 1], [0, 0, 0], [1, 0, 0]], dtype=np.float32))
    history = HistoryTable(matrix).of(torch.tensor([2, 1, 0, 1, 2]))
    assert history.items.tolist() == [0, 1, 2, 0]
    assert history.offsets.tolist() == [0, 1, 1, 3, 3]
    assert history.weights.tolist() == [1, 1, 1, 1]


def test_input_rows_are_drawn_users_without_labels():
    """Unlabelled batches hold whole histories of the given users, the same for the same place."""
    users = torch.tensor([3, 5, 7])
    batch = InputRows("near", users, HISTORIES, 16, 4).batch(1, 2)
    again = InputRows("near", users, HISTORIES, 16, 4).batch(1, 2)
    assert (batch.role, batch.labels) == ("inputs", None)
    assert len(batch.inputs["near"].offsets) == len(batch.weights_B) == 16
    assert torch.equal(batch.inputs["near"].items, again.inputs["near"].items)
    allowed = set(HISTORIES["near"][[3, 5, 7]].indices.tolist())
    assert set(batch.inputs["near"].items.tolist()) <= allowed


def test_seeds_of_neighbouring_places_differ():
    """No two of some hundred places share their draws; the order of an epoch has a place of its own."""
    draws = {tuple(torch.rand(2, generator=seeded(*place)).tolist()) for place in np.ndindex(3, 6, 6)}
    orders = {tuple(torch.rand(2, generator=seeded(*place, -1)).tolist()) for place in np.ndindex(3, 6)}
    assert len(draws) == 108
    assert len(draws | orders) == 126
