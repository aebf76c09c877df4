"""Gradient boosting of trees (Ke et al., "LightGBM", 2017), kept as the library's own text.

Shapes: N rows, F features, K classes.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from pipeline.models.estimators import Estimator
from pipeline.models.feature_values import Values
from pipeline.models.ranker import Arrays
from pipeline.models.sample import Sample
from pipeline.views import Features, FloatArray

if TYPE_CHECKING:
    from lightgbm import Booster

_CODES = 4096  # of the values of one category; LightGBM lists the codes of a split bit by bit


class BoostingEstimator(Estimator):
    """A sum of trees for each class, or for a number."""

    kind = "boosting"
    needs: ClassVar[tuple[str, ...]] = ("lightgbm",)

    def __init__(self, classes: tuple[str, ...], booster: "Booster") -> None:
        self.classes, self.booster = classes, booster

    @classmethod
    def fit(cls, sample: Sample, settings: dict[str, Any], seed: int) -> Self:
        """Grow `rounds` trees with the sizes of the settings; a leaf never asks for more than a quarter of the rows."""
        import lightgbm

        values, kinds = sample.values, len(sample.classes)
        objective = {0: {"objective": "regression"}, 2: {"objective": "binary"}}
        parameters = {
            **objective.get(kinds, {"objective": "multiclass", "num_class": kinds}),
            "learning_rate": settings["learning_rate"],
            "num_leaves": settings["leaves"],
            "min_data_in_leaf": max(1, min(settings["smallest_leaf"], len(values) // 4)),
            "min_data_per_group": settings["smallest_leaf"],
            "num_threads": 1, "deterministic": True, "force_row_wise": True, "seed": seed, "verbosity": -1,
        }  # fmt: skip
        numbers = values.numbers.shape[1]
        categories = list(range(numbers, numbers + values.hashes.shape[1]))
        rows = lightgbm.Dataset(
            _table(values), sample.answers, weight=sample.weights,
            categorical_feature=categories, params={"verbosity": -1},
        )  # fmt: skip
        return cls(sample.classes, lightgbm.train(parameters, rows, num_boost_round=settings["rounds"]))

    def raw(self, features: Features) -> FloatArray:
        """The sums of the trees: [N, K]; of two classes the first has 0."""
        if not len(features.table):
            return np.zeros((0, max(1, len(self.classes))))
        summed = self.booster.predict(_table(Values.of(features)), raw_score=True, num_threads=1)
        sums = np.asarray(summed, dtype=np.float64).reshape(len(features.table), -1)
        return np.hstack([np.zeros_like(sums), sums]) if len(self.classes) == 2 else sums

    def own_state(self) -> tuple[dict[str, Any], Arrays]:
        """The trees as text; safetensors wants an array, so it gets an empty one."""
        return {"trees": self.booster.model_to_string()}, {"none": np.zeros(0)}

    @classmethod
    def from_own_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same predictor."""
        from lightgbm import Booster

        del arrays
        return cls(tuple(settings["classes"]), Booster(model_str=settings["trees"]))


def _table(values: Values) -> FloatArray:
    """Numbers with their gaps, then one code for each category: [N, F]."""
    return np.hstack([values.numbers, values.buckets(_CODES)])
