"""What every adaptation and tuning promises where the order of events is all that there is to learn."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from pipeline import config as cfg
from pipeline.models.batches import Sampling
from pipeline.models.build import build_network
from pipeline.models.items import Catalogue
from pipeline.models.network import Network
from pipeline.models.sequence_batches import SequenceInputs, SequenceRows
from pipeline.models.sides import Outputs, Rows
from pipeline.past import Past
from pipeline.training.fit import fit
from pipeline.transfer.methods import ADAPTS, build_adapt, build_tune
from tests.contract.test_tunes import CHOICES, KilledError, own_weights, same
from tests.views import labelled_view

USERS, ITEMS, DIM, LENGTH = 24, 12, 8, 8
MODEL = cfg.SequenceModel(kind="sequence", dim=DIM, text_buckets=16, length=LENGTH, temperature=0.3)
TRAINING = cfg.Training(epochs=3, batch_size=64, negatives=32, learning_rate=0.3)


def rounds() -> Past:
    """Everybody goes round the items of both domains by turns, from an item of their own on."""
    taken, when = {}, {}
    for turn, name in enumerate(("far", "near")):
        steps = np.arange(9)
        items = (np.arange(USERS)[:, None] + steps) % ITEMS
        places = np.repeat(np.arange(USERS), len(steps)), items.ravel()
        taken[name] = sparse.csr_matrix((np.ones(items.size, np.float32), places), shape=(USERS, ITEMS))
        order = np.tile(1.0 + 2 * steps + turn, USERS)
        when[name] = sparse.csr_matrix((order, places), shape=(USERS, ITEMS))
    return Past(taken, when)


PAST = rounds()


def new_model() -> Network:
    torch.manual_seed(0)
    return build_network(MODEL, {name: Catalogue(np.ones(ITEMS)) for name in PAST}, "near")


def rows_of(name: str) -> Rows:
    """The sides that a choice learns from."""
    roles = {"far": "source", "near": "target"}
    labelled = tuple(
        SequenceRows(labelled_view(domain, PAST), role, list(PAST), Sampling(64, 32, 0.0, 0), LENGTH)
        for domain, role in roles.items()
        if role in CHOICES[name].labels
    )
    inputs = SequenceInputs("near", torch.arange(USERS), PAST, Sampling(64, 0, 0.0, 1), LENGTH)
    return Rows(labelled, inputs if CHOICES[name].inputs else None)


def fitted(name: str, work: Path) -> Network:
    torch.manual_seed(1)
    method = (build_adapt if type(CHOICES[name]) in ADAPTS else build_tune)(CHOICES[name], DIM)
    model = new_model()
    method.initialise(model, own_weights(model))
    fit(model, method, rows_of(name), TRAINING, work, seed=0)
    return model.eval()


def loss_on(model: Network, name: str) -> float:
    """The labelled loss of batches that no fit has seen."""
    rows = rows_of(name).labelled[-1]
    with torch.no_grad():
        sides = [rows.batch(99, step) for step in range(rows.steps)]
        return float(torch.cat([model.losses(Outputs(side, model.encode(side.inputs))) for side in sides]).mean())


@pytest.mark.parametrize("name", [name for name, choice in CHOICES.items() if choice.labels and not choice.apart])
def test_training_lowers_the_loss(name, tmp_path):
    """With every method that learns from labels of items."""
    assert loss_on(fitted(name, tmp_path), name) < 0.95 * loss_on(new_model().eval(), name)


@pytest.mark.parametrize("name", ["joint+dann", "frozen"])
def test_a_fit_goes_on_to_the_same_result(name, tmp_path, monkeypatch):
    """Ended in its third epoch, it ends with the undisturbed weights: both optimizers remember where they were."""
    whole = fitted(name, tmp_path / "whole")
    batch = SequenceRows.batch

    def ending(self: SequenceRows, epoch: int, step: int) -> object:
        if (epoch, step) == (2, 1):
            raise KilledError
        return batch(self, epoch, step)

    with monkeypatch.context() as patch:
        patch.setattr(SequenceRows, "batch", ending)
        with pytest.raises(KilledError):
            fitted(name, tmp_path / "killed")
    torch.manual_seed(77)
    assert same(whole, fitted(name, tmp_path / "killed"))
