"""The closed form beside what it stands for: every way to strike inputs out, one after the other."""

from itertools import product

import numpy as np
import pytest
from scipy import sparse

from pipeline.models import denoiser
from pipeline.models.denoiser import Denoiser

NOISE = 0.3


def rows(count: int = 40, inputs: int = 5, seed: int = 0) -> np.ndarray:
    """Inputs that go with each other, many of them zero."""
    random = np.random.default_rng(seed)
    topics = random.random((count, 2)) @ random.random((2, inputs))
    return topics * (random.random((count, inputs)) < 0.7)


def with_one(values: np.ndarray) -> np.ndarray:
    return np.hstack([values, np.ones((len(values), 1))])


def tried_out(values: np.ndarray, outputs: int, noise: float) -> np.ndarray:
    """Least squares on one copy of the rows for each of the 2^D masks, weighed by the probability of the mask."""
    inputs = values.shape[1]
    between, wanted = np.zeros((inputs + 1, inputs + 1)), np.zeros((inputs + 1, outputs))
    for mask in product((0.0, 1.0), repeat=inputs):
        probability = np.prod([1 - noise if kept else noise for kept in mask])
        seen = with_one(values * np.array(mask))
        between += probability * seen.T @ seen
        wanted += probability * seen.T @ values[:, :outputs]
    ridge = denoiser._RIDGE * np.trace(between) / len(between)
    return np.linalg.solve(between + ridge * np.eye(len(between)), wanted)


def by_loops(values: np.ndarray, outputs: int, noise: float) -> np.ndarray:
    """The formula of the paper, entry by entry."""
    extended = with_one(values)
    size = extended.shape[1]
    q = [1 - noise] * (size - 1) + [1.0]
    scatter = [[sum(row[i] * row[j] for row in extended) for j in range(size)] for i in range(size)]
    between = [[scatter[i][j] * (q[i] if i == j else q[i] * q[j]) for j in range(size)] for i in range(size)]
    wanted = [[scatter[i][j] * q[i] for j in range(outputs)] for i in range(size)]
    ridge = denoiser._RIDGE * sum(between[i][i] for i in range(size)) / size
    return np.linalg.solve(np.array(between) + ridge * np.eye(size), np.array(wanted))


@pytest.mark.parametrize("reference", [tried_out, by_loops])
@pytest.mark.parametrize("outputs", [5, 2])
def test_the_closed_form_is_the_mean_over_all_corrupted_copies(reference, outputs):
    values = rows()
    layer = Denoiser.fit(sparse.csr_matrix(values), NOISE, layers=1, dim=outputs).layers[0]
    np.testing.assert_allclose(layer, reference(values, outputs, NOISE), rtol=1e-4, atol=1e-5)


def test_layers_are_fitted_on_what_the_layers_before_make():
    values = rows()
    first, second = Denoiser.fit(sparse.csr_matrix(values), NOISE, layers=2, dim=3).layers
    hidden = np.tanh(with_one(values) @ first)
    np.testing.assert_allclose(second, tried_out(hidden, 3, NOISE), rtol=1e-4, atol=1e-5)


def test_the_last_layer_is_read_with_rows_of_length_one():
    values = sparse.csr_matrix(rows())
    fitted = Denoiser.fit(values, NOISE, layers=2, dim=3)
    hidden = np.tanh(with_one(np.tanh(with_one(values.toarray()) @ fitted.layers[0])) @ fitted.layers[1])
    np.testing.assert_allclose(
        fitted.read(values), hidden / np.linalg.norm(hidden, axis=1, keepdims=True), rtol=1e-4, atol=1e-6
    )
    assert fitted.read(values[:0]).shape == (0, 3)


def test_blocks_change_nothing_but_rounding(monkeypatch):
    values = sparse.csr_matrix(rows())
    whole = Denoiser.fit(values, NOISE, layers=2, dim=3)
    monkeypatch.setattr(denoiser, "_BLOCK", 7)
    parts = Denoiser.fit(values, NOISE, layers=2, dim=3)
    for one, other in zip(whole.layers, parts.layers, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(whole.read(values), parts.read(values), rtol=1e-3, atol=1e-5)


def test_a_word_of_one_domain_is_read_as_the_words_that_go_with_it():
    """What the method is for: `superb` stands in no row of the other domain, `good` in both."""
    random = np.random.default_rng(1)
    good = random.random(400) < 0.5
    noisy = [np.where(random.random(400) < 0.9, good, ~good) for _ in range(2)]
    values = sparse.csr_matrix(np.stack([noisy[0], noisy[1], ~good], axis=1).astype(float))
    fitted = Denoiser.fit(values, 0.5, layers=1, dim=3)
    superb, neither = sparse.csr_matrix([[0.0, 1.0, 0.0]]), sparse.csr_matrix([[0.0, 0.0, 1.0]])
    assert fitted.read(superb)[0, 0] > fitted.read(neither)[0, 0] + 0.3
