"""The metric that is watched while a network is fitted, and whether it may stop the fit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping

from pipeline.models.network import Network
from pipeline.training.module import MONITOR


@dataclass(frozen=True)
class Watch:
    """A metric of validation rows.

    Args:
        metric: Asked after each epoch, higher is better.
        units: How many units it is taken over.
        fewest: With fewer it tells no epoch from another.
        what: What the units are called, in the plural.
        stops: Whether it may end a fit; not where others look at all epochs.
    """

    metric: Callable[[Network], float]
    units: int
    fewest: int
    what: str
    stops: bool = True

    def ask(self, network: Network) -> float:
        """The metric as a fit logs it, in single precision, so that the two can be compared."""
        return float(torch.tensor(self.metric(network), dtype=torch.float32))

    @property
    def few(self) -> bool:
        """Whether it rests on too few units to choose by."""
        return self.units < self.fewest

    def blind(self, values: list[float]) -> str:
        """Why the metric after each epoch says nothing about which one is best; empty where it says something."""
        if self.few:
            why = f"the metric rests on {self.units} {self.what}, fewer than {self.fewest}"
        elif len(values) > 1 and len(set(values)) == 1:
            why = f"the metric is {values[0]:.4g} after every epoch"
        else:
            return ""
        return f"{why}: it stopped nothing and chose nothing, and the last of {len(values)} epochs is kept"


class Stopping(EarlyStopping):
    """Ends a fit after `patience` epochs without a better metric; a metric that has not moved yet ends none.

    Also stays stopped: a fit that is asked for again after it had stopped does not go on.
    """

    def __init__(self, patience: int) -> None:
        super().__init__(MONITOR, mode="max", patience=patience, check_on_train_epoch_end=True)
        self.first: float | None = None
        self.moved = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once where an earlier try had stopped."""
        del pl_module
        trainer.should_stop = self.wait_count >= self.patience

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count the epoch, unless its metric is the same as of all before."""
        value = float(trainer.callback_metrics[MONITOR])
        begins = self.first is None
        if begins:
            self.first = value
        self.moved = self.moved or value != self.first
        if begins or self.moved:
            super().on_train_epoch_end(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {**super().state_dict(), "first": self.first, "moved": self.moved}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        super().load_state_dict(state_dict)
        self.first, self.moved = state_dict["first"], state_dict["moved"]
