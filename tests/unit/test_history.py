"""The history encoder and what serves of it, against NumPy."""

import numpy as np
import pytest
import torch
from scipy import sparse

from pipeline.config import HistoryModel as HistoryConfig
from pipeline.models.build import build_network
from pipeline.models.encoders.history import History, HistoryTable
from pipeline.models.items import Catalogue, ItemSpace
from pipeline.models.network import Network
from pipeline.models.network_ranker import NetworkRanker

DIM, BUCKETS, USERS = 5, 16, 12
SIZES = {"far": 8, "near": 6}
HISTORIES = {
    name: sparse.csr_matrix(np.random.default_rng(seed).random((USERS, size)) < 0.4, dtype=np.float32)
    for seed, (name, size) in enumerate(SIZES.items())
}
for _matrix in HISTORIES.values():  # the first user has done nothing at all, the second nothing in the target
    _matrix.data[_matrix.indptr[0] : _matrix.indptr[1]] = 0
HISTORIES["near"].data[HISTORIES["near"].indptr[1] : HISTORIES["near"].indptr[2]] = 0
for _matrix in HISTORIES.values():
    _matrix.eliminate_zeros()


def words(size: int, seed: int) -> sparse.csr_matrix:
    """Words of each item; the last item has none."""
    dense = np.random.default_rng(seed).random((size, BUCKETS)) < 0.2
    dense[-1] = False
    return sparse.csr_matrix(dense, dtype=np.float32)


def build(*, text: bool = True, own: bool = True) -> Network:
    catalogues = {
        name: Catalogue(
            np.asarray(matrix.sum(axis=0)).ravel(),
            words(SIZES[name], seed) if text else None,
            None if own or name == "far" else np.full(SIZES[name], -1),
        )
        for seed, (name, matrix) in enumerate(HISTORIES.items())
    }
    torch.manual_seed(0)
    model = build_network(HistoryConfig(dim=DIM, text_buckets=BUCKETS, temperature=0.3), catalogues, "near")
    with torch.no_grad():
        model.encoder.gates["far"].fill_(-0.7)
        model.encoder.gates["near"].fill_(0.4)
    return model


def item_table(model: Network, name: str, seed: int, *, text: bool = True) -> np.ndarray:
    """Own vectors plus the mean of the vectors of the words."""
    domain = model.items.of(name)
    table = np.zeros((SIZES[name], DIM)) if domain.own is None else domain.own.weight.detach().numpy().astype(float)
    if text:
        matrix = words(SIZES[name], seed).toarray()
        table = table + matrix @ model.items.words.weight.detach().numpy() / np.maximum(
            matrix.sum(axis=1, keepdims=True), 1
        )
    return table


def reference(model: Network, *, text: bool = True) -> np.ndarray:
    """The module's formula of u, with dense matrices."""
    total = np.zeros((USERS, DIM))
    for seed, (name, matrix) in enumerate(HISTORIES.items()):
        dense = matrix.toarray().astype(float)
        mass = np.maximum(dense.sum(axis=1, keepdims=True), 1)
        total += (
            np.exp(model.encoder.gates[name].item()) * dense @ item_table(model, name, seed, text=text) / np.sqrt(mass)
        )
    norms = np.linalg.norm(total, axis=1, keepdims=True)
    return DIM**0.5 * np.divide(total, norms, out=np.zeros_like(total), where=norms > 0)


def inputs(users=None) -> dict[str, History]:
    chosen = torch.arange(USERS) if users is None else torch.as_tensor(users)
    return {name: HistoryTable(matrix).of(chosen) for name, matrix in HISTORIES.items()}


@pytest.mark.parametrize("text", [True, False])
def test_encode_is_the_formula(text):
    """A user is the scaled sum over domains of gate times bag over the root of its size; empty users are zero."""
    model = build(text=text)
    features = model.encode(inputs()).detach().numpy()
    np.testing.assert_allclose(features, reference(model, text=text), atol=1e-6)
    np.testing.assert_array_equal(features[0], 0)


def test_a_hidden_item_counts_as_absent():
    """A weight of zero gives the same user as a history without the item."""
    model = build()
    history = inputs([3])["near"]
    weights = history.weights.clone()
    weights[1] = 0
    keep = torch.arange(len(weights)) != 1
    hidden = {"near": History(history.items, history.offsets, weights)}
    without = {"near": History(history.items[keep], history.offsets, history.weights[keep])}
    assert torch.allclose(model.encode(hidden), model.encode(without), atol=1e-6)


def test_item_vectors_add_the_mean_of_the_words():
    """An item is its own vector plus the mean of its words'; items come in the order asked, repeats included."""
    model = build()
    asked = [4, 0, 4, 5]
    found = model.items.vectors("near", torch.tensor(asked)).detach().numpy()
    np.testing.assert_allclose(found, item_table(model, "near", 1)[asked], atol=1e-6)
    np.testing.assert_array_equal(found[3], model.items.own("near").weight[5].detach().numpy())  # no words


def test_an_item_without_own_vector_is_its_words():
    """A domain that is read by words alone gives zero where there are none."""
    model = build(own=False)
    found = model.items.vectors("near", torch.arange(6)).detach().numpy()
    np.testing.assert_allclose(found, item_table(model, "near", 1), atol=1e-6)
    np.testing.assert_array_equal(found[5], 0)


def test_words_alone_stand_for_an_item_in_training():
    """Own vectors are left out at the rate that is set, of items with words alone; what serves has them all."""
    model = build()
    model.items.own_dropout = 0.5
    items, own = torch.zeros(2000, dtype=torch.int64), model.items.own("near").weight.detach()
    items[::2] = 5  # the item without words
    torch.manual_seed(0)
    found = model.items.vectors("near", items).detach()
    whole, words = model.eval().items.vectors("near", torch.tensor([0])).detach(), found[1::2]
    kept = (words - whole).norm(dim=1) < 1e-6
    assert kept.float().mean() == pytest.approx(0.5, abs=0.05)
    assert torch.allclose(words[~kept], whole - own[0], atol=1e-6)
    assert torch.equal(found[::2], own[5].expand(1000, -1))
    assert torch.equal(model.items.vectors("near", items)[1::2], whole.expand(1000, -1))


def test_a_catalogue_of_which_one_in_a_hundred_is_described_starts_as_others_do():
    """Only an own vector that stands beside words starts small."""
    tokens = sparse.csr_matrix(np.arange(200)[:, None] < np.array([[2, 2] + [0] * (BUCKETS - 2)]), dtype=np.float32)
    torch.manual_seed(0)
    own = ItemSpace(64, BUCKETS, {"near": Catalogue(np.ones(200), tokens)}).own("near").weight.detach()
    assert own[:2].std().item() == pytest.approx(0.01, rel=0.2)
    assert own[2:].std().item() == pytest.approx(0.1, rel=0.2)


def test_a_batch_in_which_nobody_did_anything_is_zero():
    """Empty histories are encoded, and training on them gives no NaN."""
    model = build()
    features = model.encode(inputs([0, 0]))
    features.sum().backward()
    assert features.tolist() == [[0.0] * DIM] * 2
    for parameter in model.parameters():
        if parameter.grad is not None:
            gradient = parameter.grad.to_dense() if parameter.grad.is_sparse else parameter.grad
            assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("text", [True, False])
def test_what_serves_scores_like_the_model(own, text):
    """What serves gives cos / temperature + ln(1 + count), also after it was saved and loaded."""
    model = build(text=text, own=own)
    table = item_table(model, "near", 1, text=text)
    norms = np.linalg.norm(table, axis=1, keepdims=True)
    directions = np.divide(table, norms, out=np.zeros_like(table), where=norms > 0)
    prior = np.log1p(HISTORIES["near"].toarray().sum(axis=0))
    ranker = NetworkRanker.of(model, "near")
    scores = ranker.scores(HISTORIES)
    np.testing.assert_allclose(scores, reference(model, text=text) @ directions.T / (DIM**0.5 * 0.3) + prior, atol=1e-5)
    np.testing.assert_allclose(scores[0], prior, atol=1e-6)
    np.testing.assert_array_equal(type(ranker).from_state(*ranker.state()).scores(HISTORIES), scores)


def test_the_prior_may_come_from_elsewhere():
    """Counts that are given take the place of the model's own: with zeros, scores are cosines alone."""
    model = build()
    own = model.head.counts("near").numpy()
    scores = [
        NetworkRanker.of(model, "near", counts=counts, prior_weight=weight).scores(HISTORIES)
        for counts, weight in ((None, 1.0), (np.zeros_like(own), 1.0), (2 * own, 3.0))
    ]
    np.testing.assert_allclose(scores[0] - scores[1], np.tile(np.log1p(own), (USERS, 1)), atol=1e-5)
    np.testing.assert_allclose(scores[2] - scores[1], np.tile(3 * np.log1p(2 * own), (USERS, 1)), atol=1e-5)


def test_a_ranker_is_a_copy():
    """Training on does not change what was taken out before."""
    model = build()
    ranker = NetworkRanker.of(model, "near")
    before = ranker.scores(HISTORIES)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
        model.head.counts("near").add_(5)
    np.testing.assert_array_equal(ranker.scores(HISTORIES), before)
    np.testing.assert_array_equal(type(ranker).from_state(*ranker.state()).scores(HISTORIES), before)


def test_a_ranker_reads_what_the_network_knows():
    """A network of the target alone does not look at the source."""
    known = {"near": Catalogue(np.ones(SIZES["near"]))}
    ranker = NetworkRanker.of(build_network(HistoryConfig(dim=DIM, text_buckets=BUCKETS), known, "near"), "near")
    np.testing.assert_array_equal(ranker.scores(HISTORIES), ranker.scores({"near": HISTORIES["near"]}))


def test_another_domain_may_be_ranked():
    """Validation on the source asks the same network for the source's items; it does not turn the network itself."""
    model = build()
    assert NetworkRanker.of(model, "far").scores(HISTORIES).shape == (USERS, SIZES["far"])
    assert model.target == "near"


def test_known_weights_are_carried_over():
    """A model with more domains takes what a state has and keeps its own rest."""
    old = build_network(HistoryConfig(dim=DIM, text_buckets=BUCKETS), {"far": Catalogue(np.ones(8))}, "far")
    new = build(text=False)
    kept = new.items.own("near").weight.detach().clone()
    new.load_known(old.shared_state())
    assert torch.equal(new.items.own("far").weight, old.items.own("far").weight)
    assert torch.equal(new.items.words.weight, old.items.words.weight)
    assert torch.equal(new.items.own("near").weight, kept)


def test_counts_do_not_travel_with_the_weights():
    """A model that counted more rows hands on its vectors and not its counts: validation rows may be among them."""
    first, second = build(), build()
    first.head.counts("near").add_(5)
    with torch.no_grad():
        first.items.own("near").weight.add_(1)
    before = second.head.counts("near").clone()
    second.load_known(first.shared_state())
    np.testing.assert_array_equal(second.head.counts("near"), before)
    np.testing.assert_array_equal(second.items.own("near").weight.detach(), first.items.own("near").weight.detach())
