"""How often each class was met with each value of one category.

    p(k | v) = (n_vk + prior * p(k)) / (n_v + prior)

n are weighted rows, p(k) the share of class k in all of them, which is also what is said of a value that no row had.
By the kind of the last event that is a Markov chain of the first order.

Shapes: N rows, V values that were met, K classes.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.models.estimators import Estimator, Parts
from pipeline.models.feature_values import Values
from pipeline.models.ranker import Arrays
from pipeline.models.sample import Sample
from pipeline.views import Features, FloatArray


class FrequencyEstimator(Estimator):
    """Says of a row what was met with its value."""

    kind = "frequency"

    def __init__(self, classes: tuple[str, ...], by: str, met: NDArray[np.uint64], said: FloatArray) -> None:
        """`met`: [V] hashes, sorted; `said`: logarithms of the shares [V + 1, K], the last of unknown values."""
        self.classes, self.by, self.met, self.said = classes, by, met, said

    @classmethod
    def fit(cls, sample: Sample, settings: dict[str, Any], seed: int) -> Self:
        """Count, and add `prior` rows of the mean to each value."""
        del seed
        by, prior = settings["by"] or sample.categories[0], settings["prior"]
        hashes = sample.values.hashes[:, sample.categories.index(by)]
        values, place = np.unique(hashes, return_inverse=True)
        counts = np.zeros((len(values), len(sample.classes)))
        np.add.at(counts, (place, sample.answers.astype(np.int64)), sample.weights)
        shares = counts.sum(axis=0) / counts.sum()
        said = (counts + prior * shares) / (counts.sum(axis=1, keepdims=True) + prior)
        return cls(sample.classes, by, values, np.log(np.vstack([said, shares])))

    def raw(self, features: Features) -> FloatArray:
        """Logarithms of the shares: [N, K]."""
        hashes = Values.of(features).hashes[:, features.of("category").index(self.by)]
        place = np.minimum(np.searchsorted(self.met, hashes), len(self.met) - 1)
        return self.said[np.where(self.met[place] == hashes, place, len(self.met))]

    def parts(self, features: Features, told_NK: FloatArray) -> Parts:
        """All that is said beside the mean comes from the one category."""
        found = np.zeros((len(told_NK), len(features.types)))
        found[:, list(features.types).index(self.by)] = ((self.raw(features) - self.said[-1]) * told_NK).sum(axis=1)
        return Parts(found)

    def own_state(self) -> tuple[dict[str, Any], Arrays]:
        """What was counted."""
        return {"by": self.by}, {"met": self.met, "said": self.said}

    @classmethod
    def from_own_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same predictor."""
        return cls(tuple(settings["classes"]), settings["by"], arrays["met"], arrays["said"])
