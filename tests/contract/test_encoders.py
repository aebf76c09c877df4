"""What every encoder promises; the encoders are found by themselves."""

from collections.abc import Callable
from inspect import isabstract
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from pipeline.config import EventModel, SequenceModel, TabularModel
from pipeline.models.encoded import Reader
from pipeline.models.encoders.event_log import EventEncoder
from pipeline.models.encoders.history import HistoryEncoder
from pipeline.models.encoders.sequence import SequenceEncoder
from pipeline.models.encoders.tabular import TabularEncoder, quantiles
from pipeline.models.feature_values import Values
from pipeline.models.items import Catalogue, ItemSpace
from pipeline.models.network import Encoder
from pipeline.models.sides import Inputs
from pipeline.past import Log, Past
from pipeline.views import Features
from tests.encoders import save_encoder
from tests.examples import TYPES, make_features

ROWS, DIM = 12, 6


def histories() -> tuple[Past, ItemSpace]:
    """Histories in two domains, in an order that is drawn, and vectors of their items."""
    random = np.random.default_rng(0)
    taken = {name: random.random((ROWS, items)) < 0.4 for name, items in (("far", 8), ("near", 5))}
    for matrix in taken.values():
        matrix[0] = False
    when = {name: sparse.csr_matrix(matrix * (1 + random.random(matrix.shape))) for name, matrix in taken.items()}
    past = Past({name: sparse.csr_matrix(matrix, dtype=np.float32) for name, matrix in taken.items()}, when)
    return past, ItemSpace(DIM, 16, {name: Catalogue(np.ones(matrix.shape[1])) for name, matrix in taken.items()})


def history(_: Path) -> tuple[Encoder, Inputs]:
    """What users did, whenever it was."""
    past, space = histories()
    encoder = HistoryEncoder(space.vectors, past)
    return encoder, encoder.read(past)


def sequence(_: Path) -> tuple[Encoder, Inputs]:
    """The same in its order."""
    past, space = histories()
    model = SequenceModel(kind="sequence", dim=DIM, length=8)
    encoder = SequenceEncoder(model, space.vectors, past).eval()
    return encoder, encoder.read(past)


def tabular(_: Path) -> tuple[Encoder, Inputs]:
    """Numbers with gaps, categories, flags and times; where all is missing is something to know too."""
    features = make_features(ROWS)
    model = TabularModel(kind="tabular", dim=DIM, buckets=16, bins=4, words=64, dropout=0.5)
    encoder = TabularEncoder(model, TYPES, quantiles([Values.of(features)], 4)).eval()
    return encoder, encoder.read(features)


def tuned(folder: Path) -> tuple[Encoder, Inputs]:
    """The same, and its text read by an encoder of which a layer trains."""
    pytest.importorskip("transformers", reason="the extra 'text' is not installed")
    from pipeline.models.pretrained import loaded

    features, name = make_features(ROWS), str(save_encoder(folder))
    model = TabularModel(kind="tabular", dim=DIM, buckets=16, bins=4, words=64, dropout=0.5, encoder=name, tuned=1)
    reader = Reader("text", name, loaded(name).fingerprint, 32)
    encoder = TabularEncoder(model, TYPES, quantiles([Values.of(features)], 4), readers=(reader,)).eval()
    return encoder, encoder.read(features)


def events(_: Path) -> tuple[Encoder, Inputs]:
    """The same beside the last events of a log; of the first row there is none."""
    random, features = np.random.default_rng(0), make_features(ROWS)
    types = {"last_1": TYPES["colour"], **TYPES}
    table = features.table.assign(last_1=features.table["colour"])[list(types)]
    shown = np.arange(7) < random.integers(1, 8, ROWS)[:, None] * (np.arange(ROWS) > 0)[:, None]
    kind, item, own = (np.where(shown, random.integers(0, most, shown.shape), -1) for most in (4, 2, 2))
    gap = np.where(shown, random.exponential(1000.0, shown.shape), np.nan)
    log = Log(kind.astype(np.int8), gap.astype(np.float32), item.astype(np.int8), own.astype(np.int8))
    features = Features(table, types, log=log)
    model = EventModel(kind="events", dim=DIM, heads=2, buckets=16, bins=4, words=64, dropout=0.5)
    encoder = EventEncoder(model, types, quantiles([Values.of(features)], 4)).eval()
    return encoder, encoder.read(features)


# Encoder -> a small one with random weights, and inputs of ROWS rows, of which the first may say nothing.
MAKERS: dict[type[Encoder], Callable[[Path], tuple[Encoder, Inputs]]] = {
    HistoryEncoder: history,
    SequenceEncoder: sequence,
    TabularEncoder: tabular,
    EventEncoder: events,
}
SILENT: set[type[Encoder]] = {HistoryEncoder, SequenceEncoder}  # a row of theirs can say nothing


@pytest.fixture(params=[*MAKERS.values(), tuned], ids=lambda one: one.__name__)
def made(request, tmp_path) -> tuple[Encoder, Inputs]:
    torch.manual_seed(0)
    return request.param(tmp_path)


def below(base: type) -> set[type]:
    return {one for child in base.__subclasses__() for one in {child, *below(child)}}


def test_every_encoder_is_checked():
    """A new encoder gets a maker above, and with it all of these tests."""
    known = {one for one in below(Encoder) if one.__module__.startswith("pipeline.") and not isabstract(one)}
    assert known == set(MAKERS)


def test_features_have_mean_square_one(made):
    """The mean over dimensions of f^2 is one, whatever the size of the weights; a row that says nothing is zero."""
    encoder, inputs = made
    features = encoder.encode(inputs).detach()
    assert features.shape == (ROWS, DIM)
    torch.testing.assert_close(features[1:].square().mean(dim=1), torch.ones(ROWS - 1))
    if type(encoder) in SILENT:
        assert features[0].tolist() == [0] * DIM


def test_features_differ_and_repeat(made):
    """Rows that say different things are told apart, and asked again the encoder says the same."""
    encoder, inputs = made
    features = encoder.encode(inputs).detach()
    assert torch.equal(encoder.encode(inputs).detach(), features)
    apart = torch.cdist(features, features)[1:, 1:] + torch.eye(ROWS - 1)
    assert apart.min() > 0.01


def test_gradients_are_numbers(made):
    """Also where a row says nothing, and every weight that decides the features gets one."""
    encoder, inputs = made
    encoder.encode(inputs)[:, 0].sum().backward()
    gradients = [parameter.grad for parameter in encoder.parameters()]
    assert gradients
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)
