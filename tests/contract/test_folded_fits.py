"""How long a network is fitted where folds choose: told by the mean of all, stopped together, the same after a kill."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline import config as cfg
from pipeline.models.network import Network
from pipeline.models.sides import Rows
from pipeline.models.tabular import TabularLearner
from pipeline.training import folds as module
from pipeline.training.fit import fit
from pipeline.training.folds import Fold, Folded, fit_folds
from pipeline.training.module import MONITOR, TransferModule
from pipeline.training.watch import Watch
from pipeline.transfer.method import Method
from pipeline.transfer.methods import build_tune
from tests.contract.test_tunes import KilledError, same
from tests.examples import class_view

MODEL = cfg.TabularModel(kind="tabular", dim=8, buckets=64, bins=4, words=64, dropout=0.3)
TRAINING = cfg.Training(epochs=8, patience=2, batch_size=32, learning_rate=0.01)
NEAR = class_view("near", 60, 1)


@pytest.fixture(autouse=True)
def short_legs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEG", 3)


def draw(fold: int, many: int) -> tuple[Network, Method, Rows]:
    """A network that learns from all rows but those of the fold."""
    settings = SimpleNamespace(model=MODEL, training=TRAINING, seed=0, target="near", sources=(), domains=("near",))
    learnt = NEAR.take(np.flatnonzero(np.arange(60) % many != fold))
    network, rows = TabularLearner(settings).tune({"near": learnt}, cfg.Strategy(tune=cfg.Scratch(kind="scratch")))
    method = build_tune(cfg.Scratch(kind="scratch"), MODEL.dim)
    method.initialise(network, None)
    return network, method, rows


def folds(curves: Sequence[Sequence[float]], sizes: Sequence[int], units: int = 60) -> tuple[list[Fold], list[int]]:
    """Folds whose metric says these values, the first before anything is learnt, and how often each was asked."""
    asked = [0] * len(curves)

    def metric(fold: int, network: Network) -> float:
        del network
        asked[fold] += 1
        return curves[fold][asked[fold] - 1]

    many = len(curves)
    return [
        Fold(partial(draw, fold, many), Watch(partial(metric, fold), units, 20, "rows"), size)
        for fold, size in enumerate(sizes)
    ], asked


def plain(fold: int, many: int, epochs: int, work: Path) -> Network:
    network, method, rows = draw(fold, many)
    fit(network, method, rows, TRAINING.model_copy(update={"epochs": epochs}), work, seed=0)
    return network


def test_the_best_epoch_is_that_of_all_rows(tmp_path: Path) -> None:
    """Each fold counts by its rows: neither of the two has its best epoch where the mean has."""
    curves = [[0, 9, 5, 5, 0, 0, 0, 0, 0], [0, 0, 4, 6, 7, 0, 0, 0, 0]]
    made, asked = folds(curves, (1, 2))
    found = fit_folds(made, TRAINING, tmp_path, seed=0)
    mean = np.average(np.array(curves)[:, 1:], axis=0, weights=(1, 2))
    assert found.epochs == mean.argmax() + 1 == 3
    assert [row["value"] for row in found.curves if row["key"] == MONITOR] == pytest.approx(mean[: len(asked) * 3])
    assert not found.told
    for fold, network in enumerate(found.networks):
        assert same(network, plain(fold, 2, 3, tmp_path / f"plain{fold}"))


def test_all_stop_together(tmp_path: Path) -> None:
    """After the leg in which `patience` epochs were no better; a fold that got worse first does not stop before."""
    made, asked = folds([[0, 3, 2, 1, 1, 1, 1, 1, 1], [0, 1, 5, 6, 5, 4, 1, 9, 9]], (1, 1))
    assert fit_folds(made, TRAINING, tmp_path, seed=0).epochs == 2
    assert asked == [7, 7]  # the start and two legs of three: at the end of the first the best was one epoch ago


@pytest.mark.parametrize(("best", "units", "further"), [(4, 60, 1), (3, 60, 0), (2, 60, 2), (8, 60, 2), (1, 19, 2)])
def test_what_was_fitted_is_not_fitted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: int, units: int, further: int
) -> None:
    """The last fits begin at the end of a leg, and end where fits from the first epoch on would.

    Legs end after 3, 6 and 8 epochs, the last without a checkpoint; in the last case too few units choose, and all
    epochs are kept.
    """
    curve = [0.0, *(9.0 - abs(best - epoch) for epoch in range(1, 9))]
    made, _ = folds([curve] * 2, (1, 1), units)
    trained: list[int] = []
    step = TransferModule.training_step

    def counted(self: TransferModule, *of: Any) -> Any:
        trained.append(self.current_epoch)
        return step(self, *of)

    monkeypatch.setattr(TransferModule, "training_step", counted)
    again = module._again

    def last(*of: Any) -> Network:
        if of[3].name == "fold0":
            trained.clear()
        return again(*of)

    monkeypatch.setattr(module, "_again", last)
    found = fit_folds(made, TRAINING, tmp_path, seed=0)
    assert sorted({*trained}) == list(range(found.epochs - further, found.epochs))
    assert found.epochs == (best if units == 60 else 8)
    for fold, network in enumerate(found.networks):
        assert same(network, plain(fold, 2, found.epochs, tmp_path / f"plain{fold}"))


def test_nothing_better_than_the_start_is_no_epoch(tmp_path: Path) -> None:
    made, _ = folds([[5, 1, 2, 3, 3, 3, 3, 3, 3], [5, 9, 3, 3, 3, 3, 3, 3, 3]], (3, 1))
    found = fit_folds(made, TRAINING, tmp_path, seed=0)
    assert found.epochs == 0
    for fold, network in enumerate(found.networks):
        assert same(network, draw(fold, 2)[0])


def test_too_few_units_choose_nothing(tmp_path: Path) -> None:
    """All epochs are run and kept, and that is told; units are those of all folds."""
    made, asked = folds([[5, 9, 1, 1, 1, 1, 1, 1, 1]] * 2, (1, 1), units=19)
    found = fit_folds(made, TRAINING, tmp_path, seed=0)
    assert found.epochs == TRAINING.epochs
    assert asked == [9, 9]
    assert "rests on 19 rows, fewer than 20" in found.told


def test_a_killed_fit_goes_on_to_the_same(tmp_path: Path) -> None:
    """Wherever it was killed: asked about another epoch of the second leg of either fold, or in the last fits."""

    def run(work: Path, limit: int) -> Folded:
        count = 0

        def metric(network: Network) -> float:
            nonlocal count
            count += 1
            if count > limit:
                raise KilledError
            return float(sum(parameter.detach().square().sum() for parameter in network.parameters()))

        watch = Watch(metric, 60, 20, "rows")
        return fit_folds([Fold(partial(draw, one, 2), watch, 1) for one in range(2)], TRAINING, work, seed=0)

    whole = run(tmp_path / "whole", 100)
    assert whole.epochs > 3
    for limit in (4, 9, 12):
        with pytest.raises(KilledError):
            run(tmp_path / f"{limit}", limit)
        again = run(tmp_path / f"{limit}", 100)
        assert (again.epochs, again.curves) == (whole.epochs, whole.curves)
        assert all(same(*pair) for pair in zip(again.networks, whole.networks, strict=True))
