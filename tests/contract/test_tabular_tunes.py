"""What every adaptation and tuning promises on the tabular network, through the real fit on two alike domains."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pipeline import config as cfg
from pipeline.models.example_batches import ExampleRows
from pipeline.models.network import Network
from pipeline.models.sides import Outputs, Rows
from pipeline.models.tabular import TabularLearner
from pipeline.training.fit import Fitted, fit, fit_rounds
from pipeline.training.watch import Watch
from pipeline.transfer.method import Method
from pipeline.transfer.methods import ADAPTS, build_adapt, build_tune
from tests.contract.test_tunes import ALL as CHOICES
from tests.contract.test_tunes import KilledError, own_weights, same
from tests.examples import class_view, number_view, several_view, tag_view

MODEL = cfg.TabularModel(kind="tabular", dim=8, buckets=64, bins=4, words=64, dropout=0.3)
TRAINING = cfg.Training(epochs=3, batch_size=32, learning_rate=0.01)
TRAINS = [name for name, choice in CHOICES.items() if choice.labels]
LABELS = {
    "classes": {"far": class_view("far", 300), "near": class_view("near", 200, 1)},
    "tags": {"far": tag_view("far", 300), "near": tag_view("near", 200, 1)},
    "numbers": {"far": number_view("far", 300), "near": number_view("near", 200, 1)},
    "several labels": {"far": several_view("far", 300), "near": several_view("near", 200, 1)},
}


def ready(name: str, labels: str = "classes") -> tuple[Network, Method, Rows]:
    """A network, a method and the rows that it learns from, as a step would have them."""
    settings = SimpleNamespace(
        model=MODEL, training=TRAINING, seed=0, target="near", sources=("far",), domains=("far", "near")
    )
    learner, choice, views = TabularLearner(settings), CHOICES[name], LABELS[labels]
    if type(choice) not in ADAPTS:
        made = learner.tune(views, cfg.Strategy(tune=choice))
    else:
        made = learner.adapt(views) if choice.inputs else learner.pretrain({"far": views["far"]})
    if choice.taught:
        made = made[0], learner.teach(made[1], views, own_weights(made[0]))
    torch.manual_seed(1)
    method = (build_adapt if type(choice) in ADAPTS else build_tune)(choice, MODEL.dim)
    method.initialise(made[0], None if choice.taught else own_weights(made[0]))
    return made[0], method, method.choose(*made)


def fitted(name: str, work: Path, labels: str = "classes", **more: object) -> tuple[Network, Fitted]:
    network, method, rows = ready(name, labels)
    return network, fit(network, method, rows, TRAINING, work, seed=0, **more)


def loss(network: Network, rows: Rows) -> float:
    """The labelled loss over batches of epochs that no fit has seen, without dropout; told labels are no labels."""
    network.eval()
    known = [one for one in rows.labelled if one.role != "inputs"]
    sides = [one.batch(99, step) for one in known for step in range(one.steps)]
    with torch.no_grad():
        return float(torch.cat([network.losses(Outputs(side, network.encode(side.inputs))) for side in sides]).mean())


@pytest.mark.parametrize(("name", "labels"), [
    (name, labels) for name in TRAINS for labels in LABELS if labels in CHOICES[name].predicts
])  # fmt: skip
def test_training_lowers_the_loss_and_repeats(name, labels, tmp_path):
    """The loss falls, every weight stays a number, and a second fit gives equal bits."""
    start, _, rows = ready(name, labels)
    network, found = fitted(name, tmp_path / "one", labels)
    assert loss(network, rows) < 0.98 * loss(start, rows)
    assert all(np.isfinite(row["value"]) for row in found.curves)
    again, repeated = fitted(name, tmp_path / "two", labels)
    assert same(network, again)
    assert repeated == found


@pytest.mark.parametrize(
    "name",
    [
        "scratch",
        "joint+dann",
        "frozen",
        "coral",
        "mmd",
        "l2sp",
        "cdan",
        "reweight",
        "self_training",
        "adapter",
        "lora",
        "distil",
    ],
)  # fmt: skip
def test_a_fit_goes_on_to_the_same_result(name, tmp_path, monkeypatch):
    """Ended in the middle of an epoch it ends with the undisturbed weights, dropout and AdamW's means among them."""
    whole, found = fitted(name, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(ExampleRows, "batch", ending(ExampleRows.batch))
        with pytest.raises(KilledError):
            fitted(name, tmp_path / "killed")
    assert len(list((tmp_path / "killed").glob("epoch*.ckpt"))) == 2
    network, method, rows = ready(name)
    torch.manual_seed(77)  # what a new process has is not what the old one had
    repeated = fit(network, method, rows, TRAINING, tmp_path / "killed", seed=0)
    assert repeated == found
    assert same(whole, network)


def test_rounds_go_on_to_the_same_result(tmp_path, monkeypatch):
    """Killed in the second round, the first is read, what it told is told again, and the second goes on."""
    learner = TabularLearner(SimpleNamespace(model=MODEL, training=TRAINING, seed=0, target="near", sources=("far",)))
    config = cfg.SelfTraining(kind="self_training", share=0.8, confidence=0, rounds=2)

    def rounds(name: str) -> tuple[Network, Method, Fitted]:
        network, rows = learner.adapt(LABELS["classes"])
        method = build_adapt(config, MODEL.dim)
        method.initialise(network, own_weights(network))
        return network, method, fit_rounds(network, method, rows, TRAINING, tmp_path / name, seed=0)

    whole, first, found = rounds("whole")
    assert found.epochs == 6
    assert [row["epoch"] for row in found.curves if row["key"] == "train/near"] == [0, 1, 2, 3, 4, 5]
    steps = [row["step"] for row in found.curves if row["key"] == "train/near"]
    assert steps == [steps[0] * turn for turn in range(1, 7)]
    batch, calls = ExampleRows.batch, iter(range(10_000))
    with monkeypatch.context() as patch:
        patch.setattr(ExampleRows, "batch", lambda rows, *place: until(batch, next(calls), rows, *place))
        with pytest.raises(KilledError):
            rounds("killed")
    assert {path.name for path in (tmp_path / "killed" / "round1").glob("epoch*.ckpt")} == {"epoch0000.ckpt"}
    torch.manual_seed(77)
    resumed, second, repeated = rounds("killed")
    assert repeated == found
    assert (second.told, same(whole, resumed)) == (first.told, True)
    assert not same(whole, fitted("self_training", tmp_path / "one")[0])


def until(batch: Callable[..., object], call: int, rows: ExampleRows, *place: int) -> object:
    """The same batches of two sides, up to the second epoch of the second round."""
    if call > 2 * rows.steps * 4 + 3:
        raise KilledError
    return batch(rows, *place)


def ending(batch: Callable[..., object]) -> Callable[..., object]:
    """The same batches, up to the second step of the third epoch."""

    def until(self: ExampleRows, epoch: int, step: int) -> object:
        if (epoch, step) == (2, 1):
            raise KilledError
        return batch(self, epoch, step)

    return until


def test_what_is_asked_between_epochs_changes_nothing(tmp_path):
    """A metric that predicts, and so turns dropout off, leaves the same weights as none."""
    network, method, rows = ready("scratch")
    values = iter([0.1, 0.2, 0.3])

    def metric(model: Network) -> float:
        settings = SimpleNamespace(model=MODEL)
        TabularLearner(settings).as_trained(model, LABELS["classes"]["near"])
        torch.rand(7)
        return next(values)

    fit(network, method, rows, TRAINING, tmp_path / "watched", seed=0, watch=Watch(metric, 200, 20, "rows"))
    assert same(network, fitted("scratch", tmp_path / "alone")[0])


def test_alignment_brings_the_domains_together(tmp_path):
    """After the same training the covariances of the features are nearer with the penalty than without."""
    shifted = {"far": LABELS["classes"]["far"], "near": class_view("near", 200, 1, shift=2.0)}
    gaps = {}
    for name in ("coral", "none"):
        settings = SimpleNamespace(
            model=MODEL, training=TRAINING, seed=0, target="near", sources=("far",), domains=("far", "near")
        )
        network, rows = TabularLearner(settings).adapt(shifted)
        config = CHOICES[name].model_copy(update={"weight": 300.0}) if name == "coral" else CHOICES[name]
        fit(network, build_adapt(config, MODEL.dim), rows, TRAINING.model_copy(update={"epochs": 20}),
            tmp_path / name, seed=0)  # fmt: skip
        network.eval()
        with torch.no_grad():
            far, near = (
                network.encode(network.encoder.read(view.fields["features"])).numpy() for view in shifted.values()
            )
        gaps[name] = ((np.cov(far, rowvar=False) - np.cov(near, rowvar=False)) ** 2).sum()
    assert gaps["coral"] < 0.7 * gaps["none"]
