"""What every adaptation and tuning promises, through the real fit on two domains with a known shift."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from pipeline import config as cfg
from pipeline.errors import CrossliftError
from pipeline.models.batches import InputRows, RankingRows, Sampling
from pipeline.models.build import build_network
from pipeline.models.encoders.history import HistoryTable
from pipeline.models.items import Catalogue
from pipeline.models.network import Network
from pipeline.models.sides import Outputs, Rows
from pipeline.training.fit import Fitted, fit, write_curves
from pipeline.training.watch import Watch
from pipeline.transfer.method import Method
from pipeline.transfer.methods import ADAPTS, build_adapt, build_tune
from tests.views import labelled_view

USERS, KINDS, DIM = 60, 4, 8
MIN_UNITS = 100
SIZES = {"far": 32, "near": 24}
TRAINING = cfg.Training(epochs=3, batch_size=64, negatives=32, patience=2, learning_rate=0.1)


def variants(kind: str, config: type[cfg.Config]) -> list[cfg.Config]:
    """A choice as it is by default, and with every alignment that it may have."""
    terms = cfg.choices(cfg.AlignConfig) if "align" in config.model_fields else {}
    return [config(kind=kind), *(config(kind=kind, align=term(kind=name)) for name, term in terms.items())]


# By name: `none`, `coral`, `fine_tune`, `joint+dann`, ...
ALL = {
    choice.name: choice
    for union in (cfg.AdaptConfig, cfg.TuneConfig)
    for kind, config in cfg.choices(union).items()
    for choice in variants(kind, config)
}
CHOICES = {name: choice for name, choice in ALL.items() if "items" in choice.predicts}


def taken(name: str) -> sparse.csr_matrix:
    """Users take items of their own kind: all of the source's rows are clean, a fifth of the target's are not."""
    random = np.random.default_rng(len(name))
    own = np.arange(USERS)[:, None] % KINDS == np.arange(SIZES[name])[None, :] % KINDS
    noise = 0.0 if name == "far" else 0.05
    return sparse.csr_matrix(random.random(own.shape) < np.where(own, 0.8, noise), dtype=np.float32)


HISTORIES = {name: taken(name) for name in SIZES}


def words(name: str) -> sparse.csr_matrix:
    """One word says an item's kind, in both domains the same; another one is the domain's own."""
    dense = np.zeros((SIZES[name], 16), dtype=np.float32)
    dense[np.arange(SIZES[name]), np.arange(SIZES[name]) % KINDS] = 1
    dense[:, 8 + len(name)] = 1
    return sparse.csr_matrix(dense)


def new_model() -> Network:
    torch.manual_seed(0)
    catalogues = {
        name: Catalogue(np.asarray(matrix.sum(axis=0)).ravel(), words(name)) for name, matrix in HISTORIES.items()
    }
    return build_network(cfg.HistoryModel(dim=DIM, text_buckets=16), catalogues, "near")


def labelled(name: str) -> RankingRows:
    return RankingRows(
        labelled_view(name, HISTORIES), "target" if name == "near" else "source", HISTORIES, Sampling(64, 32, 0.3, 0)
    )


def loss_on(model: Network, name: str) -> float:
    """The labelled loss over batches that no fit has seen."""
    rows = labelled(name)
    with torch.no_grad():
        losses = [
            model.losses(Outputs(side, model.encode(side.inputs))).mean()
            for side in map(rows.batch, [99] * 4, range(4))
        ]
    return float(torch.stack(losses).mean())


def own_weights(network: Network) -> dict[str, torch.Tensor]:
    """What a method starts from: the weights that were drawn, so that each starts alike."""
    return {name: one.clone() for name, one in network.shared_state().items()}


def fitted(method: Method, rows: Rows, work: Path, **more: object) -> tuple[Network, Fitted]:
    model = new_model()
    method.initialise(model, own_weights(model))
    return model, fit(model, method, rows, more.pop("training", TRAINING), work, seed=0, **more)


def weights(model: Network) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in model.shared_state().items()}


def same(one: Network, other: Network) -> bool:
    before, after = weights(one), weights(other)
    return before.keys() == after.keys() and all(np.array_equal(before[name], after[name]) for name in before)


def adapt_rows() -> Rows:
    """Each domain seen through its own histories, so that the words are all that the features have in common."""
    far, near = ({name: matrix} for name, matrix in HISTORIES.items())
    rows = RankingRows(labelled_view("far", HISTORIES), "source", far, Sampling(64, 32, 0.3, 0))
    return Rows((rows,), InputRows("near", torch.arange(USERS), near, 64, 1))


def rows_of(name: str) -> Rows:
    """The sides that a choice learns from."""
    choice = CHOICES[name]
    if type(choice) in ADAPTS:
        return adapt_rows()
    inputs = InputRows("near", torch.arange(USERS), HISTORIES, 64, 1) if choice.inputs else None
    roles = {"far": "source", "near": "target"}
    return Rows(tuple(labelled(name) for name, role in roles.items() if role in choice.labels), inputs)


def method_of(name: str) -> Method:
    torch.manual_seed(1)
    return (build_adapt if type(CHOICES[name]) in ADAPTS else build_tune)(CHOICES[name], DIM)


TRAINS = [name for name, choice in CHOICES.items() if choice.labels]


@pytest.mark.parametrize("name", TRAINS)
def test_training_lowers_the_loss_and_repeats(name, tmp_path):
    """The loss on unseen batches falls, every weight stays a number, and a second fit gives equal bits."""
    domain = "near" if "target" in CHOICES[name].labels else "far"
    model, found = fitted(method_of(name), rows_of(name), tmp_path / "one")
    start = new_model()
    method_of(name).initialise(start, own_weights(start))
    assert loss_on(model, domain) < 0.98 * loss_on(start, domain)
    assert all(np.isfinite(value).all() for value in weights(model).values())
    assert all(np.isfinite(row["value"]) for row in found.curves)
    assert found.epochs == TRAINING.epochs
    assert found.metric is None
    again, repeated = fitted(method_of(name), rows_of(name), tmp_path / "two")
    assert same(model, again)
    assert repeated == found


def test_a_fit_takes_as_many_threads_as_told(tmp_path):
    """One, where nothing is said, whatever was before: sums then have one order."""
    for more, expected in (({"threads": 2}, 2), ({}, 1)):
        fitted(method_of("scratch"), rows_of("scratch"), tmp_path / str(expected), **more)
        assert torch.get_num_threads() == expected


def test_nothing_is_fitted_zero_shot():
    """The one tuning without training has no labels to learn from; all others train."""
    assert set(CHOICES) - set(TRAINS) == {"direct"}


@pytest.mark.parametrize("name", ["coral", "mmd", "dann"])
def test_alignment_brings_the_domains_together(name, tmp_path):
    """After the same training what the method looks at is nearer with the penalty than without."""
    longer = TRAINING.model_copy(update={"epochs": 10})
    aligned, _ = fitted(method_of(name), adapt_rows(), tmp_path / "with", training=longer)
    without, _ = fitted(method_of("none"), adapt_rows(), tmp_path / "without", training=longer)
    apart = {"coral": covariances_apart, "mmd": means_apart, "dann": means_apart}[name]
    assert apart(aligned) < 0.5 * apart(without)


def features(model: Network) -> list[np.ndarray]:
    """The users as each domain's own history shows them."""
    everyone = torch.arange(USERS)
    with torch.no_grad():
        return [model.encode({name: HistoryTable(matrix).of(everyone)}).numpy() for name, matrix in HISTORIES.items()]


def covariances_apart(model: Network) -> float:
    far, near = features(model)
    return float(((np.cov(far, rowvar=False) - np.cov(near, rowvar=False)) ** 2).sum())


def means_apart(model: Network) -> float:
    far, near = features(model)
    return float(((far.mean(axis=0) - near.mean(axis=0)) ** 2).sum())


def test_the_curves_name_every_loss(tmp_path):
    """One row for each epoch and key, in the file that the tracking server is fed from."""
    _, found = fitted(method_of("joint"), rows_of("joint"), tmp_path)
    write_curves(found.curves, tmp_path / "metrics.csv")
    with (tmp_path / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["key"]) for row in rows] == [
        (str(epoch), key) for epoch in range(3) for key in ("train/far", "train/near", "train/penalty")
    ]
    steps = labelled("near").steps
    assert [int(row["step"]) for row in rows] == [steps * (1 + place // 3) for place in range(9)]


def given(values: list[float], units: int = MIN_UNITS) -> Watch:
    """A metric with these values, epoch by epoch, which must not be asked more often."""
    left = list(values)

    def metric(model: Network) -> float:
        assert left, "the fit went on for too long"  # a StopIteration would end Lightning's loop without a word
        return left.pop(0)

    return Watch(metric, units, MIN_UNITS, "users")


def test_the_best_epoch_s_weights_are_left(tmp_path):
    """The metric of an epoch belongs to that epoch's weights: they are those of a fit of just as many epochs."""
    more = {"training": TRAINING.model_copy(update={"epochs": 4, "patience": 4})}
    model, found = fitted(
        method_of("fine_tune"), rows_of("fine_tune"), tmp_path / "one", watch=given([0.1, 0.5, 0.3, 0.5]), **more
    )
    assert (found.epochs, found.metric) == (2, pytest.approx(0.5))  # of equal ones the first
    scored = [(row["epoch"], row["value"]) for row in found.curves if row["key"] == "valid/metric"]
    assert scored == [
        (0, pytest.approx(0.1)),
        (1, pytest.approx(0.5)),
        (2, pytest.approx(0.3)),
        (3, pytest.approx(0.5)),
    ]
    short = {"training": TRAINING.model_copy(update={"epochs": 2})}
    assert same(model, fitted(method_of("fine_tune"), rows_of("fine_tune"), tmp_path / "two", **short)[0])


def test_the_last_epoch_can_be_the_best(tmp_path):
    """The metric of the last epoch counts as well."""
    _, found = fitted(method_of("scratch"), rows_of("scratch"), tmp_path, watch=given([0.1, 0.2, 0.3]))
    assert (found.epochs, found.metric) == (3, pytest.approx(0.3))


def test_training_stops_after_its_patience(tmp_path):
    """Two epochs without a better value end the fit."""
    more = {"training": TRAINING.model_copy(update={"epochs": 9}), "watch": given([0.4, 0.3, 0.2])}
    _, found = fitted(method_of("scratch"), rows_of("scratch"), tmp_path, **more)
    assert (found.epochs, found.metric) == (1, pytest.approx(0.4))


CONSTANT = r"the metric is 0.0036 after every epoch: it stopped nothing and chose nothing, and the last of 4 epochs is"
FEW = r"the metric rests on 99 users, fewer than 100: it stopped nothing and chose nothing, and the last of 4 epochs is"
BLIND = {
    "constant": ([0.0036] * 4, MIN_UNITS, CONSTANT),
    "of few users": ([0.4, 0.3, 0.2, 0.1], MIN_UNITS - 1, FEW),
}


@pytest.mark.parametrize("case", BLIND)
def test_a_metric_that_says_nothing_stops_nothing(case, tmp_path):
    """All epochs are trained, whatever the patience, the last one's weights stay, and it is told why."""
    values, units, told = BLIND[case]
    training = TRAINING.model_copy(update={"epochs": 4, "patience": 1})
    model, found = fitted(
        method_of("scratch"), rows_of("scratch"), tmp_path / "one", training=training, watch=given(values, units)
    )
    assert (found.epochs, found.metric) == (4, pytest.approx(values[-1]))
    assert re.match(told, found.told)
    whole, unwatched = fitted(method_of("scratch"), rows_of("scratch"), tmp_path / "two", training=training)
    assert same(model, whole)
    assert unwatched.told == ""


def test_a_metric_that_moves_late_stops_late(tmp_path):
    """Epochs before the first move are not counted as epochs without a better one; then the patience counts."""
    training = TRAINING.model_copy(update={"epochs": 9, "patience": 2})
    watch = given([0.2, 0.2, 0.2, 0.2, 0.1, 0.15])
    _, found = fitted(method_of("scratch"), rows_of("scratch"), tmp_path, training=training, watch=watch)
    assert (found.epochs, found.metric, found.told) == (1, pytest.approx(0.2), "")


def test_a_constant_metric_is_remembered(tmp_path, monkeypatch):
    """A fit that was killed knows of the epochs before that the metric did not move."""
    training = TRAINING.model_copy(update={"epochs": 4, "patience": 1})
    with monkeypatch.context() as patch:
        patch.setattr(RankingRows, "batch", ending(RankingRows.batch))
        with pytest.raises(KilledError):
            fitted(method_of("scratch"), rows_of("scratch"), tmp_path, training=training, watch=given([0.0036] * 2))
    _, found = fitted(method_of("scratch"), rows_of("scratch"), tmp_path, training=training, watch=given([0.0036] * 2))
    assert found.epochs == 4
    assert re.match(CONSTANT, found.told)


def test_a_fit_that_had_ended_is_read_not_repeated(tmp_path):
    """Asked again with its checkpoints there, it trains no step more: neither after its epochs nor stopped early."""
    ends = {"stopped": [0.4, 0.3, 0.2], "whole": [0.1, 0.2, 0.3, 0.4], "constant": [0.1] * 4}
    for name, values in ends.items():
        training = TRAINING.model_copy(update={"epochs": 4})
        rows = rows_of("scratch")
        once = fitted(method_of("scratch"), rows, tmp_path / name, training=training, watch=given(values))
        again = fitted(method_of("scratch"), rows, tmp_path / name, training=training, watch=given([]))
        assert again[1] == once[1]
        assert same(again[0], once[0])


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize(
    ("name", "damage"),
    [("joint+dann", None), ("frozen", None), ("dann", None),
     *(("scratch", damage) for damage in ("cut", "empty", "other", "flipped", "no hash"))],
)  # fmt: skip
def test_a_fit_goes_on_to_the_same_result(name, damage, tmp_path, monkeypatch):
    """Ended in the middle of an epoch, also with its newest checkpoint broken, it ends with the undisturbed weights."""
    rows = rows_of(name)
    whole, found = fitted(method_of(name), rows, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(RankingRows, "batch", ending(RankingRows.batch))
        with pytest.raises(KilledError):
            fitted(method_of(name), rows, tmp_path / "killed")
    checkpoints = sorted((tmp_path / "killed").glob("epoch*.ckpt"))
    assert len(checkpoints) == 2
    if damage is not None:
        break_checkpoint(checkpoints[-1], damage)
    torch.manual_seed(77)  # what a new process has is not what the old one had
    resumed, repeated = fitted(method_of(name), rows, tmp_path / "killed")
    assert repeated == found
    assert same(whole, resumed)
    assert bool(list((tmp_path / "killed").glob("*.damaged"))) == (damage is not None)


def break_checkpoint(path: Path, how: str) -> None:
    """Damage a checkpoint: also so that it can still be read, with one weight a little different."""
    if how == "no hash":
        path.with_name(f"{path.name}.sha256.json").unlink()
        return
    content = path.read_bytes()
    if how == "flipped":
        weight = next(iter(torch.load(path, weights_only=True)["state_dict"].values())).contiguous().numpy().tobytes()
        place = content.index(weight[:64])
        changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        assert len(changed) == len(content)
    else:
        changed = {"cut": content[: len(content) // 2], "empty": b"", "other": b"not a checkpoint"}[how]
    path.write_bytes(changed)


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "not ended"])
def test_a_damaged_best_epoch_is_made_again(ended, tmp_path, monkeypatch):
    """The best weights are never read from a damaged file: what needs them is left, and the fit ends as it should."""
    rows, training = rows_of("scratch"), TRAINING.model_copy(update={"epochs": 3, "patience": 3})
    whole, found = fitted(
        method_of("scratch"), rows, tmp_path / "whole", training=training, watch=given([0.3, 0.1, 0.2])
    )
    if ended:
        fitted(method_of("scratch"), rows, tmp_path / "two", training=training, watch=given([0.3, 0.1, 0.2]))
    else:
        with monkeypatch.context() as patch:
            patch.setattr(RankingRows, "batch", ending(RankingRows.batch))
            with pytest.raises(KilledError):
                fitted(method_of("scratch"), rows, tmp_path / "two", training=training, watch=given([0.3, 0.1]))
    break_checkpoint(tmp_path / "two" / "best0000.ckpt", "flipped")
    again, repeated = fitted(
        method_of("scratch"), rows, tmp_path / "two", training=training, watch=given([0.3, 0.1, 0.2])
    )
    assert repeated == found
    assert same(whole, again)


def test_few_checkpoints_are_kept(tmp_path):
    """However many epochs there are: the last two, and the weights of the best two."""
    training = TRAINING.model_copy(update={"epochs": 6, "patience": 6})
    values = [0.1, 0.5, 0.3, 0.4, 0.2, 0.5]
    fitted(method_of("scratch"), rows_of("scratch"), tmp_path, training=training, watch=given(values))
    kept = sorted(path.name for path in tmp_path.glob("*.ckpt"))
    assert kept == ["best0001.ckpt", "best0005.ckpt", "epoch0004.ckpt", "epoch0005.ckpt"]
    assert {path.name for path in tmp_path.glob("*.json")} == {f"{name}.sha256.json" for name in kept}


def ending(batch: Callable[..., object]) -> Callable[..., object]:
    """The same batches, up to the second step of the third epoch."""

    def until(self: RankingRows, epoch: int, step: int) -> object:
        if (epoch, step) == (2, 1):
            raise KilledError
        return batch(self, epoch, step)

    return until


def test_a_diverged_fit_is_an_error(tmp_path, monkeypatch):
    """Weights that are no longer numbers are not published."""
    monkeypatch.setattr(Network, "losses", lambda self, output: output.features_BD.sum(1) * np.nan)
    with pytest.raises(CrossliftError, match=r"work: training diverged: .*lower training.learning_rate"):
        fitted(method_of("scratch"), rows_of("scratch"), tmp_path / "work")
