"""Fitting with checkpoints at epoch ends, from which a killed fit goes on to the same result."""

import csv
import logging
import warnings
from collections.abc import Iterator, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from torch.utils.data import DataLoader, Dataset, Sampler

from pipeline.config import Training
from pipeline.errors import CrossliftError
from pipeline.models.network import Network
from pipeline.models.sides import Rows, Side
from pipeline.training.checkpoints import HashedCheckpoints, best_epoch, best_weights, last_checkpoint, savers
from pipeline.training.module import MONITOR, TransferModule
from pipeline.training.watch import Stopping, Watch
from pipeline.transfer.method import Method

log = logging.getLogger(__name__)
Place = tuple[int, int]  # (epoch, step)


class _Batches(Dataset[list[Side]]):
    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def __getitem__(self, place: Place) -> list[Side]:
        sides = [rows.batch(*place) for rows in self.rows.labelled]
        return sides if self.rows.inputs is None else [*sides, self.rows.inputs.batch(*place)]


class _Places(Sampler[Place], Sized):
    """(epoch, step) of an epoch; Lightning calls `set_epoch`, also after a resume."""

    def __init__(self, steps: int) -> None:
        self.steps, self.epoch = steps, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[Place]:
        return ((self.epoch, step) for step in range(self.steps))

    def __len__(self) -> int:
        return self.steps


class _Curves(Checkpoint):
    """Keeps every epoch's metrics, also across a resume, because they travel in the checkpoint.

    A `Checkpoint`, because Lightning calls these and `EarlyStopping` after the module has logged the epoch's metric,
    and every other callback before it.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        del pl_module
        seen = {key: float(value) for key, value in sorted(trainer.callback_metrics.items())}
        epoch, step, most = trainer.current_epoch, trainer.global_step, trainer.max_epochs
        self.rows += [{"epoch": epoch, "step": step, "key": key, "value": value} for key, value in seen.items()]
        values = ", ".join(f"{key} {value:.4g}" for key, value in seen.items())
        log.info("epoch %s of at most %s: %s", epoch + 1, most, values, extra={"epoch": epoch + 1, "epochs": most})

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])


@dataclass(frozen=True)
class Fitted:
    """What a fit leaves in the model's place: how long it was and how well it did."""

    epochs: int  # of the best checkpoint where a metric chose it, else all
    metric: float | None
    curves: list[dict[str, Any]]
    told: str = ""  # why the metric chose nothing, where it did not


def fit(  # noqa: PLR0913  what is fitted, on what, how, and where its checkpoints lie
    model: Network, method: Method, rows: Rows, training: Training, work: Path,
    *, seed: int, watch: Watch | None = None, every: int = 1, threads: int = 1,
) -> Fitted:  # fmt: skip
    """Fit the model in place and leave the best weights in it.

    Goes on from the last checkpoint in `work` that is whole, where there is one; a damaged one is set aside.
    With something to watch, training stops after `training.patience` epochs without a better metric, and the best
    weights stay; a metric that says nothing, or may not stop, neither stops nor chooses. There is a checkpoint after
    `every` so many epochs. One thread adds up in one order, so that a fit repeats every bit; more are faster.

    Raises:
        CrossliftError: the loss is no longer a number.
        StorageError: the checkpoint of the best epoch was damaged meanwhile.
    """
    _quiet()
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    metric = watch.metric if watch else None
    assert training.learning_rate is not None  # the settings of a step have filled it in
    module = TransferModule(model, method, training.learning_rate, metric, seed)
    curves = _Curves()
    stops = watch is not None and watch.stops
    callbacks: list[pl.Callback] = [curves, *savers(work, chosen=stops, every=every)]
    if watch is not None and stops and not watch.few:
        callbacks.append(Stopping(training.patience))
    trainer = pl.Trainer(
        max_epochs=training.epochs, accelerator="auto", devices=1, callbacks=callbacks, logger=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, default_root_dir=work,
        plugins=[HashedCheckpoints()],
    )  # fmt: skip
    places = _Places(rows.steps)
    loader = DataLoader(_Batches(rows), sampler=places, batch_size=None, num_workers=0)
    last = last_checkpoint(work, curves.state_key, chosen=stops)
    trainer.fit(module, loader, ckpt_path=last, weights_only=True)
    if any(not torch.isfinite(parameter).all() for parameter in model.parameters()):
        raise CrossliftError(f"{work.name}: training diverged: a weight is not a number; lower training.learning_rate.")
    values = [row["value"] for row in curves.rows if row["key"] == MONITOR]
    if watch is not None and (told := watch.blind(values)):
        return Fitted(len(values), values[-1], curves.rows, told)
    best, value = best_epoch(curves.rows)
    if stops and best is not None:
        state = best_weights(work, best)
        own = {name.removeprefix("model."): tensor for name, tensor in state.items() if name.startswith("model.")}
        model.load_state_dict(own)
        return Fitted(best + 1, value, curves.rows)
    return Fitted(training.epochs, None, curves.rows)


def fit_rounds(
    model: Network, method: Method, rows: Rows, training: Training, work: Path, *, seed: int
) -> Fitted:  # fmt: skip
    """Fit as many rounds as the method has, each from what the one before left, on the rows that it chooses then.

    Each round has checkpoints of its own, so that a killed one goes on, and those that had ended are read.
    """
    epochs, curves = 0, list[dict[str, Any]]()
    for turn in range(method.rounds):
        fitted = fit(model, method, method.choose(model, rows), training, work / f"round{turn}", seed=seed)
        steps = curves[-1]["step"] if curves else 0
        curves += [{**row, "epoch": row["epoch"] + epochs, "step": row["step"] + steps} for row in fitted.curves]
        epochs += fitted.epochs
    return Fitted(epochs, None, curves)


def write_curves(rows: list[dict[str, Any]], path: Path) -> None:
    """Write epoch, step, key, value as CSV, the file that the tracking server is fed from."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["epoch", "step", "key", "value"])
        writer.writeheader()
        writer.writerows(rows)


def _quiet() -> None:
    """Leave out what Lightning says to the developer of a loop; what it says of wrong use still shows."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for text in (".*does not have many workers.*", ".*Checkpoint directory .* exists.*", ".*Sparse invariant checks.*",
                 ".*fewer than the logging interval.*", ".*LeafSpec.* is deprecated.*", ".*dirpath has changed.*",
                 ):  # fmt: skip
        warnings.filterwarnings("ignore", message=text)
