"""How long a network is fitted where folds choose: for as many epochs as are best for all of them together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import Training
from pipeline.folders import read_json, write_json
from pipeline.models.network import Network
from pipeline.models.sides import Rows
from pipeline.training.checkpoints import best_epoch, copy_checkpoint
from pipeline.training.fit import fit
from pipeline.training.module import MONITOR
from pipeline.training.watch import Watch
from pipeline.transfer.method import Method

_LEG = 10  # epochs that every fold is fitted before all are looked at together, and from checkpoint to checkpoint


@dataclass(frozen=True)
class Fold:
    """Rows that are held back from one fit.

    Args:
        draw: Draws the network anew, with its method and the rows of the other folds.
        watch: What the rows say of it, over units of all folds.
        rows: How many rows they are.
    """

    draw: Callable[[], tuple[Network, Method, Rows]]
    watch: Watch
    rows: int


@dataclass(frozen=True)
class Folded:
    """A network for each fold that has not seen it, and how long all were fitted.

    Args:
        networks: One a fold.
        epochs: How many; 0: none was better than the start.
        curves: The mean over the folds of what was logged.
        told: Why no metric chose the epochs, where none did.
    """

    networks: list[Network]
    epochs: int
    curves: list[dict[str, Any]]
    told: str


def fit_folds(folds: Sequence[Fold], training: Training, work: Path, *, seed: int) -> Folded:
    """Fit each fold's network without its rows, and once more for as many epochs as are best.

    Which are, and when to stop, is told by the watched metric over the rows of all folds: a mean over rows, so that it
    is the mean of the folds' by their rows. One that says nothing chooses nothing, as in `fit`.
    """
    sizes = [one.rows for one in folds]
    start = float(np.average([one.watch.ask(one.draw()[0]) for one in folds], weights=sizes))
    curves, told, best, value = list[dict[str, Any]](), "", 0, start
    for end in _ends(training.epochs):
        leg = training.model_copy(update={"epochs": end})
        each = [_curves(one, leg, work / f"fold{place}", seed) for place, one in enumerate(folds)]
        curves = [
            {**same[0], "value": float(np.average([row["value"] for row in same], weights=sizes))}
            for same in zip(*each, strict=True)
        ]
        told = folds[0].watch.blind([row["value"] for row in curves if row["key"] == MONITOR])
        found, reached = best_epoch(curves)
        assert found is not None
        assert reached is not None
        best, value = found + 1, reached
        if not told and end - best >= training.patience:
            break
    epochs = training.epochs if told else best if value > start else 0
    made = [_again(one, training, epochs, work / f"fold{place}", seed) for place, one in enumerate(folds)]
    return Folded(made, epochs, curves, told)


def _ends(epochs: int) -> list[int]:
    return [*range(_LEG, epochs, _LEG), epochs]


def _curves(fold: Fold, training: Training, work: Path, seed: int) -> list[dict[str, Any]]:
    """What was logged up to the end of a leg, which goes on from the one before; one that was whole is read."""
    told = work / f"leg{training.epochs:04d}.json"
    if not told.exists():  # a fit does not go back to fewer epochs than it has had
        model, method, rows = fold.draw()
        fitted = fit(model, method, rows, training, work, seed=seed, watch=replace(fold.watch, stops=False), every=_LEG)
        write_json(told, fitted.curves)
    found: list[dict[str, Any]] = read_json(told)
    return found


def _again(fold: Fold, training: Training, epochs: int, work: Path, seed: int) -> Network:
    """The network after so many epochs, from the last end of a leg before them that is still there, else from none."""
    model, method, rows = fold.draw()
    if epochs:
        again = work.with_name(f"{work.name}_again")
        copy_checkpoint(work, again, epochs)
        fit(model, method, rows, training.model_copy(update={"epochs": epochs}), again, seed=seed, every=_LEG)
    return model
