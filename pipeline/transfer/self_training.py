"""Target inputs whose class the model is sure of, learnt from as if it were known.

Shapes: T rows of target inputs, K classes.
"""

import logging

import numpy as np
import torch

from pipeline.config import SelfTraining
from pipeline.models.example_batches import ExampleRows
from pipeline.models.label_heads import ClassHead
from pipeline.models.network import Network
from pipeline.models.sides import Rows
from pipeline.transfer.method import Method
from pipeline.transfer.weighting import features_of_all
from pipeline.views import FloatArray, IntArray

log = logging.getLogger(__name__)


class SelfTrained(Method):
    """L_source + weight * mean of confidence * loss over the surest target rows of each class told.

    Class-balanced self-training (Zou et al., "Unsupervised Domain Adaptation for Semantic Segmentation via
    Class-Balanced Self-Training", 2018): each class gives the same share of the rows that are told to be of it. A round
    tells them from the weights that the one before left, so that a fit that goes on tells the same.
    """

    def __init__(self, config: SelfTraining) -> None:
        super().__init__(1.0, 0.0)
        self.config, self.rounds = config, config.rounds
        self.shares["inputs"] = config.weight

    def choose(self, network: Network, rows: Rows) -> Rows:
        """The sources' rows, and those of the target that are sure, with what they are told to be."""
        inputs, still = rows.inputs, network.merged().eval()
        head = still.head
        assert isinstance(inputs, ExampleRows)
        assert isinstance(head, ClassHead)
        with torch.no_grad():
            features = torch.from_numpy(features_of_all(still, inputs).astype(np.float32))
            odds = head(features).softmax(dim=1).numpy().astype(np.float64)
        places = surest(odds, self.config.share, self.config.confidence)
        told = odds[places].argmax(axis=1)
        counts = np.bincount(told, minlength=len(head.classes))
        self.told = {"target_rows": inputs.count, "told_rows": len(places), "told_classes": int((counts > 0).sum())}
        by_class = ", ".join(f"{name} {count:,}" for name, count in zip(head.classes, counts, strict=True))
        log.info("%s of %s rows of the target are sure enough: %s", f"{len(places):,}", f"{inputs.count:,}", by_class)
        if not len(places):
            return Rows(rows.labelled)
        weights = torch.from_numpy(odds[places].max(axis=1).astype(np.float32))
        chosen = inputs.chosen(torch.from_numpy(places), torch.from_numpy(told), weights)
        return Rows((*rows.labelled, chosen))


def surest(odds_TK: FloatArray, share: float, confidence: float) -> IntArray:
    """Places of the rows, ascending: of each class the surest share of those told to be of it, none below the bound."""
    told, sure = odds_TK.argmax(axis=1), odds_TK.max(axis=1)
    found: list[IntArray] = []
    for place in range(odds_TK.shape[1]):
        rows = np.flatnonzero(told == place)
        ordered = rows[np.argsort(-sure[rows], kind="stable")][: int(np.ceil(share * len(rows)))]
        found.append(ordered[sure[ordered] >= confidence])
    return np.sort(np.concatenate(found))
