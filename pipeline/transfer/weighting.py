"""Source rows that count as much as they look like the target's.

Shapes: S source rows, T rows of target inputs, D feature dimensions.
"""

import logging

import numpy as np
import torch
from torch import Tensor

from pipeline.models.example_batches import ExampleRows
from pipeline.models.network import Network
from pipeline.models.sides import Rows
from pipeline.transfer.method import Method
from pipeline.views import FloatArray

log = logging.getLogger(__name__)


class Reweighted(Method):
    """Importance weights by the odds of a domain classifier on the features of the start.

    w(x) = min(most, p(target | x) / p(source | x) * S / T), then of mean one (Bickel, Brueckner and Scheffer,
    "Discriminative Learning for Differing Training and Test Distributions", 2007; Shimodaira, 2000).
    """

    def __init__(self, most: float) -> None:
        super().__init__(1.0, 0.0)
        self.most = most

    def choose(self, network: Network, rows: Rows) -> Rows:
        """The sources' rows with these weights; (sum w)^2 / sum w^2 of them are told to be effective."""
        sources, inputs = [one for one in rows.labelled if isinstance(one, ExampleRows)], rows.inputs
        still = network.merged().eval()
        assert isinstance(inputs, ExampleRows)
        assert len(sources) == len(rows.labelled)
        features = [features_of_all(still, one) for one in (*sources, inputs)]
        weights = importance(np.concatenate(features[:-1]), features[-1], self.most)
        effective = float(weights.sum() ** 2 / (weights**2).sum())
        self.told = {"source_rows": len(weights), "effective_source_rows": round(effective, 1)}
        log.info("%s source rows count as much as %.0f of equal weight would", f"{len(weights):,}", effective)
        parts = np.split(weights, np.cumsum([one.count for one in sources])[:-1])
        return Rows(
            tuple(
                one.chosen(torch.arange(one.count), one.labels, torch.from_numpy(part.astype(np.float32)))
                for one, part in zip(sources, parts, strict=True)
            )
        )


def importance(source_SD: FloatArray, target_TD: FloatArray, most: float) -> FloatArray:
    """Weights [S] of mean one: clipped odds of a logistic regression that tells target from source rows."""
    from sklearn.linear_model import LogisticRegression

    domain = np.repeat([0, 1], [len(source_SD), len(target_TD)])
    model = LogisticRegression(max_iter=500).fit(np.concatenate([source_SD, target_TD]), domain)
    odds = np.exp(np.clip(model.decision_function(source_SD), -30, 30)) * len(source_SD) / len(target_TD)
    clipped = np.minimum(odds, most)
    return np.asarray(clipped / clipped.mean(), dtype=np.float64)


def features_of_all(still: Network, rows: ExampleRows) -> FloatArray:
    """The features of all rows by a network that is not in training: [N, D]."""
    with torch.no_grad():
        parts: list[Tensor] = [still.encode(side.inputs) for side in rows.whole()]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float64)
