"""The only LightningModule, for pretraining, adaptation and tuning."""

from collections.abc import Callable

import pytorch_lightning as pl
import torch
from torch import Tensor

from pipeline.models.network import Network
from pipeline.models.seeds import seed_of
from pipeline.models.sides import Outputs, Side
from pipeline.transfer.method import Method, trainable

MONITOR = "valid/metric"


class TransferModule(pl.LightningModule):
    """loss = sum of share * mean(weight * loss of a row) over labelled sides, plus the method's penalty."""

    def __init__(
        self,
        model: Network,
        method: Method,
        learning_rate: float,
        metric: Callable[[Network], float] | None,
        seed: int = 0,
    ) -> None:
        """`metric` is asked after each epoch, higher is better; None where there is nothing to choose."""
        super().__init__()
        self.model, self.method = model, method
        self.learning_rate, self.metric, self.seed = learning_rate, metric, seed

    def on_train_batch_start(self, batch: list[Side], batch_idx: int) -> None:
        """Let what a network draws, such as dropout, depend on the step alone: a checkpoint keeps no generator."""
        del batch
        torch.manual_seed(seed_of(self.seed, self.current_epoch, batch_idx))

    def training_step(self, sides: list[Side], batch_idx: int) -> Tensor:
        """The loss of one step."""
        del batch_idx
        seen = [Outputs(side, self.model.encode(side.inputs)) for side in sides]
        total = seen[0].features_BD.new_zeros(())
        for output in seen:
            if output.side.labels is not None:
                labelled = (output.side.weights_B * self.model.losses(output)).mean()
                self._log(f"train/{output.side.domain}", labelled, output.side)
                total = total + self.method.share(output.side.role) * labelled
        penalty = self.method.penalty(self.model, seen)
        self._log("train/penalty", penalty, sides[0])
        return total + penalty

    def _log(self, name: str, value: Tensor, side: Side) -> None:
        self.log(name, value, on_step=False, on_epoch=True, batch_size=len(side.weights_B))

    def on_train_epoch_end(self) -> None:
        """Ask for the metric; the stopping and checkpoint callbacks run after this hook."""
        if self.metric is not None:
            self.log(MONITOR, self.metric(self.model))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """What the encoder trains by, over what trains."""
        return self.model.encoder.optimizer(trainable(self.model, self.method), self.learning_rate)
