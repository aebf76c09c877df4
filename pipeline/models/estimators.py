"""What every predictor of a class or a number shares, and the one that does not look.

Shapes: N rows, K classes.
"""

import copy
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from pipeline.models.ranker import Arrays, Saved
from pipeline.models.sample import Sample
from pipeline.views import Features, FloatArray, IntArray

TEMPERATURE, THRESHOLD = "temperature", "threshold"  # what validation chooses last


class Estimator(Saved):
    """Predicts one of some classes, or a number where it has none.

    p = softmax(raw / temperature); of two classes the second is told where its p is at least the threshold, of more the
    most probable.
    """

    classes: tuple[str, ...]
    temperature: float = 1.0
    threshold: float = 0.5

    @abstractmethod
    def raw(self, features: Features) -> FloatArray:
        """Logarithms of probabilities [N, K], up to one constant a row; of a number the number itself, [N, 1]."""

    def probabilities(self, features: Features) -> FloatArray:
        """[N, K] of each class that it knows; rows sum to one."""
        raw_NK = self.raw(features) / self.temperature
        odds_NK = np.exp(raw_NK - raw_NK.max(axis=1, keepdims=True))
        return np.asarray(odds_NK / odds_NK.sum(axis=1, keepdims=True), dtype=np.float64)

    def decided(self, probabilities_NK: FloatArray) -> IntArray:
        """Which class is told: [N] places among those that it knows."""
        told = probabilities_NK[:, 1] >= self.threshold if len(self.classes) == 2 else probabilities_NK.argmax(axis=1)
        return np.asarray(told, dtype=np.int64)

    def values(self, features: Features) -> FloatArray:
        """The number of each row: [N]."""
        return self.raw(features)[:, 0]

    def settled(self, chosen: Mapping[str, float]) -> Self:
        """A copy with a temperature and a threshold, as far as they were chosen."""
        settled = copy.copy(self)
        settled.temperature = chosen.get(TEMPERATURE, self.temperature)
        settled.threshold = chosen.get(THRESHOLD, self.threshold)
        return settled

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """What all have, and what a kind adds."""
        own, arrays = self.own_state()
        shared = {"classes": list(self.classes), TEMPERATURE: self.temperature, THRESHOLD: self.threshold}
        return {**own, **shared}, arrays

    @classmethod
    def from_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same predictor."""
        made = cls.from_own_state(settings, arrays)
        made.temperature, made.threshold = float(settings[TEMPERATURE]), float(settings[THRESHOLD])
        return made

    @abstractmethod
    def own_state(self) -> tuple[dict[str, Any], Arrays]:
        """Settings as plain JSON values, and arrays, beside those that all have."""

    @classmethod
    @abstractmethod
    def from_own_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The predictor that `state` described; the settings are all of them."""


class ConstantEstimator(Estimator):
    """Says the same of every row: the shares of the classes, or the mean."""

    kind = "constant"

    def __init__(self, classes: tuple[str, ...], said: FloatArray) -> None:
        """`said`: logarithms of the shares [K], or the mean [1]."""
        self.classes, self.said = classes, said

    @classmethod
    def fit(cls, sample: Sample) -> Self:
        """Weighted shares or mean."""
        if not sample.classes:
            return cls((), np.array([np.average(sample.answers, weights=sample.weights)]))
        sums = np.bincount(sample.answers.astype(np.int64), sample.weights, minlength=len(sample.classes))
        return cls(sample.classes, np.log(sums / sums.sum()))

    def raw(self, features: Features) -> FloatArray:
        """The same for all: [N, K]."""
        return np.tile(self.said, (len(features.table), 1))

    def own_state(self) -> tuple[dict[str, Any], Arrays]:
        """What it says."""
        return {}, {"said": self.said}

    @classmethod
    def from_own_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same predictor."""
        return cls(tuple(settings["classes"]), arrays["said"])
