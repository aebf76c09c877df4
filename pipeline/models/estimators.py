"""What every predictor of a class, of tags or of a number shares, and the one that does not look.

Shapes: N rows, K classes or tags.
"""

import copy
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy import sparse
from scipy.special import expit

from pipeline.data.mistakes import Costs, cost_matrix
from pipeline.models.encoded import Readers
from pipeline.models.ranker import Arrays, Saved
from pipeline.models.sample import Sample
from pipeline.views import Chosen, Features, FloatArray, IntArray

TEMPERATURE, THRESHOLD, COSTS = "temperature", "threshold", "costs"  # what is settled last
TAGGED = "tagged"


@dataclass(frozen=True, eq=False)
class Parts:
    """What made an answer.

    Args:
        features: [N, F] what each feature adds, in their order.
        words: Of each text and bag what each word adds to that, [N, buckets]; none where words are not told apart.
    """

    features: FloatArray
    words: tuple[sparse.csr_matrix, ...] = ()


class Estimator(Saved):
    """Predicts one of some classes, or which of some tags, or a number where it has none.

    p = softmax(raw / temperature); of two classes the second is told where its p is at least the threshold, of more the
    most probable, or the one of least expected cost where mistakes have costs. Of tags p = sigmoid(raw / temperature),
    and each is told where its p is at least its own threshold.

    References:
        Elkan, The foundations of cost-sensitive learning, IJCAI 2001, equation 1: the least expected cost.
    """

    classes: tuple[str, ...]
    tagged: bool = False  # whether a row may have any number of them at once
    temperature: float = 1.0
    threshold: float | list[float] = 0.5  # of tags a list, once they are chosen
    costs: Costs | None = None  # of mistakes between several classes

    @abstractmethod
    def raw(self, features: Features) -> FloatArray:
        """Logarithms of probabilities [N, K], up to one constant a row; of tags log odds, of a number itself [N, 1]."""

    def probabilities(self, features: Features) -> FloatArray:
        """[N, K] of each class or tag that it knows; of classes rows sum to one."""
        return self._probabilities(self.raw(features) / self.temperature)

    def _probabilities(self, raw_NK: FloatArray) -> FloatArray:
        if self.tagged:
            return np.asarray(expit(raw_NK), dtype=np.float64)
        odds_NK = np.exp(raw_NK - raw_NK.max(axis=1, keepdims=True))
        return np.asarray(odds_NK / odds_NK.sum(axis=1, keepdims=True), dtype=np.float64)

    def decided(self, probabilities_NK: FloatArray) -> IntArray:
        """Which class is told: [N] places among those that it knows; of tags [N, K] ones and zeros."""
        if self.tagged:
            return (probabilities_NK >= np.asarray(self.threshold)).astype(np.int64)
        if self.costs:
            return np.asarray((probabilities_NK @ cost_matrix(self.classes, self.costs)).argmin(axis=1), dtype=np.int64)
        told = probabilities_NK[:, 1] >= self.threshold if len(self.classes) == 2 else probabilities_NK.argmax(axis=1)
        return np.asarray(told, dtype=np.int64)

    def values(self, features: Features) -> FloatArray:
        """The number of each row: [N]."""
        return self.raw(features)[:, 0]

    def explained(self, features: Features) -> Parts:
        """What each feature, and word, adds to what is told, beside what is said where none says anything.

        Of two classes to the log odds of the second, of more to the logarithm of the told one beside the mean of all,
        of tags to the log odds of the most probable one, of a number to the number; temperature is left out.
        """
        return self.parts(features, self._told(features))

    def _told(self, features: Features) -> FloatArray:
        """What of `raw` is explained: [N, K]."""
        raw_NK = self.raw(features)
        rows, kinds = raw_NK.shape
        told_NK = np.zeros((rows, kinds))
        if not self.classes or self.tagged:
            told_NK[np.arange(rows), raw_NK.argmax(axis=1)] = 1.0
            return told_NK
        if kinds == 2:
            return np.tile([-1.0, 1.0], (rows, 1))
        told_NK[np.arange(rows), self.decided(self._probabilities(raw_NK / self.temperature))] = 1.0
        told_NK -= 1 / kinds
        return told_NK

    @abstractmethod
    def parts(self, features: Features, told_NK: FloatArray) -> Parts:
        """What each feature, and word, adds to the sum of `raw` times `told_NK`."""

    def settled(self, chosen: Chosen) -> Self:
        """A copy with a temperature, a threshold, or one for each tag, and costs, as far as they are given."""
        settled = copy.copy(self)
        settled._settle({**self._last, **chosen})
        return settled

    def unsettled(self) -> Self:
        """A copy as it was before anything was chosen last."""
        fresh = copy.copy(self)
        fresh._settle({TEMPERATURE: 1.0, THRESHOLD: 0.5})
        return fresh

    def of_label(self, name: str) -> Self:
        """What predicts that label: itself."""
        del name
        return self

    @property
    def readers(self) -> Readers:
        """What reads texts, beside their words, and pictures: none, unless a kind says otherwise."""
        return ()

    @property
    def _last(self) -> dict[str, float | list[float] | Costs | None]:
        return {TEMPERATURE: self.temperature, THRESHOLD: self.threshold, COSTS: self.costs}

    def _settle(self, last: Mapping[str, Any]) -> None:
        self.temperature, threshold = float(last[TEMPERATURE]), last[THRESHOLD]
        if isinstance(threshold, list) and len(threshold) != len(self.classes):
            raise ValueError(f"expected {len(self.classes)} thresholds, got {len(threshold)}")
        self.threshold = [float(one) for one in threshold] if isinstance(threshold, list) else float(threshold)
        self.costs = last.get(COSTS)  # models of earlier versions have none

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """What all have, and what a kind adds."""
        own, arrays = self.own_state()
        return {**own, "classes": list(self.classes), TAGGED: self.tagged, **self._last}, arrays

    @classmethod
    def from_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same predictor."""
        made = cls.from_own_state(settings, arrays)
        made.tagged = bool(settings.get(TAGGED))
        made._settle(settings)
        return made

    @abstractmethod
    def own_state(self) -> tuple[dict[str, Any], Arrays]:
        """Settings as plain JSON values, and arrays, beside those that all have."""

    @classmethod
    @abstractmethod
    def from_own_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The predictor that `state` described; the settings are all of them."""


class ConstantEstimator(Estimator):
    """Says the same of every row: the shares of the classes or tags, or the mean."""

    kind = "constant"

    def __init__(self, classes: tuple[str, ...], said: FloatArray, tagged: bool = False) -> None:
        """`said`: logarithms of the shares [K], of tags of their odds, or the mean [1]."""
        self.classes, self.said, self.tagged = classes, said, tagged

    @classmethod
    def fit(cls, sample: Sample) -> Self:
        """Weighted shares or mean."""
        if not sample.classes:
            return cls((), np.array([np.average(sample.answers, weights=sample.weights)]))
        if sample.tagged:
            return cls(sample.classes, np.array([sample.of_tag(k).odds for k in range(len(sample.classes))]), True)
        sums = np.bincount(sample.answers.astype(np.int64), sample.weights, minlength=len(sample.classes))
        return cls(sample.classes, np.log(sums / sums.sum()))

    def raw(self, features: Features) -> FloatArray:
        """The same for all: [N, K]."""
        return np.tile(self.said, (len(features.table), 1))

    def parts(self, features: Features, told_NK: FloatArray) -> Parts:
        """Nothing."""
        return Parts(np.zeros((len(told_NK), len(features.types))))

    def own_state(self) -> tuple[dict[str, Any], Arrays]:
        """What it says."""
        return {}, {"said": self.said}

    @classmethod
    def from_own_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same predictor."""
        return cls(tuple(settings["classes"]), arrays["said"])
