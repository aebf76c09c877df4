"""The only LightningModule, for pretraining, adaptation and tuning."""

from collections.abc import Callable

import pytorch_lightning as pl
import torch
from torch import Tensor

from pipeline.models.history import HistoryModel
from pipeline.tasks.ranking import Batch, ranking_loss
from pipeline.training.optimizer import RowAdagrad
from pipeline.transfer.method import Method, trainable

Batches = dict[str, Batch]  # by domain
MONITOR = "valid/metric"


class TransferModule(pl.LightningModule):
    """loss = source_weight * L_source + target_weight * L_target + penalty.

    Adagrad keeps one number per weight and moves only the rows of a table that a batch touched (Duchi et al., 2011).
    """

    def __init__(
        self,
        model: HistoryModel,
        method: Method,
        target: str,
        learning_rate: float,
        metric: Callable[[HistoryModel], float] | None,
    ) -> None:
        """`metric` is asked after each epoch, higher is better; None where there is nothing to choose."""
        super().__init__()
        self.model, self.method, self.target = model, method, target
        self.learning_rate, self.metric = learning_rate, metric

    def training_step(self, batch: Batches, batch_idx: int) -> Tensor:
        """The loss of one step."""
        del batch_idx
        features = {name: self.model.encode(rows.inputs) for name, rows in batch.items()}
        total = next(iter(features.values())).new_zeros(())
        for name, rows in batch.items():
            weight = self.method.target_weight if name == self.target else self.method.source_weight
            if weight > 0:
                labelled = ranking_loss(self.model, features[name], rows)
                self.log(f"train/{name}", labelled, on_step=False, on_epoch=True, batch_size=len(rows.positives))
                total = total + weight * labelled
        if self.method.uses_penalty:
            total = total + self._penalty(features)
        return total

    def _penalty(self, features: dict[str, Tensor]) -> Tensor:
        """Features have length one; times sqrt(D) each dimension varies by about one, as the papers assume."""
        scale = self.model.config.dim**0.5
        source = torch.cat([value for name, value in features.items() if name != self.target])
        penalty = self.method.penalty(scale * source, scale * features[self.target])
        self.log("train/penalty", penalty, on_step=False, on_epoch=True, batch_size=len(source))
        return penalty

    def on_train_epoch_end(self) -> None:
        """Ask for the metric; the stopping and checkpoint callbacks run after this hook."""
        if self.metric is not None:
            self.log(MONITOR, self.metric(self.model))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adagrad over what trains."""
        return RowAdagrad(trainable(self.model, self.method), lr=self.learning_rate)
