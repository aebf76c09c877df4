"""The only LightningModule, for pretraining, adaptation and tuning."""

from collections.abc import Callable

import pytorch_lightning as pl
import torch
from torch import Tensor

from pipeline.models.network import Network
from pipeline.models.sides import Outputs, Side
from pipeline.training.optimizer import RowAdagrad
from pipeline.transfer.method import Method, trainable

MONITOR = "valid/metric"


class TransferModule(pl.LightningModule):
    """loss = sum of share * mean(weight * loss of a row) over labelled sides, plus the method's penalty.

    Adagrad keeps one number per weight and moves only the rows of a table that a batch touched (Duchi et al., 2011).
    """

    def __init__(
        self, model: Network, method: Method, learning_rate: float, metric: Callable[[Network], float] | None
    ) -> None:
        """`metric` is asked after each epoch, higher is better; None where there is nothing to choose."""
        super().__init__()
        self.model, self.method = model, method
        self.learning_rate, self.metric = learning_rate, metric

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
        """Adagrad over what trains."""
        return RowAdagrad(trainable(self.model, self.method), lr=self.learning_rate)
