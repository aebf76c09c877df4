"""Gradient boosting of trees (Ke et al., "LightGBM", 2017), kept as the library's own text.

Shapes: N rows, F features, K classes or tags.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pipeline.errors import UserError
from pipeline.models.estimators import Estimator, Parts
from pipeline.models.feature_values import Values, by_feature, owners
from pipeline.models.ranker import Arrays
from pipeline.models.sample import Sample
from pipeline.views import Features, FloatArray

if TYPE_CHECKING:
    from lightgbm import Booster

_CODES = 4096  # of the values of one category; LightGBM lists the codes of a split bit by bit
TREES = 10_000  # of all tags together, at most: each gets fewer where they are many


class BoostingEstimator(Estimator):
    """A sum of trees for each class or tag, or for a number."""

    kind = "boosting"
    needs: tuple[str, ...] = ("lightgbm",)

    def __init__(
        self, classes: tuple[str, ...], boosters: "Sequence[Booster | None]", start: FloatArray, tagged: bool = False
    ) -> None:
        """`boosters`: one, of tags one for each; None: `start` [boosters] is said of every row."""
        self.classes, self.boosters, self.start, self.tagged = classes, tuple(boosters), start, tagged

    @classmethod
    def fit(cls, sample: Sample, settings: dict[str, Any], seed: int) -> Self:
        """Grow `rounds` trees with the sizes of the settings; a leaf never asks for more than a quarter of the rows.

        Each tag has trees of its own, of all tags at most `TREES`; one that all rows have, or none, gets its share.
        """
        if not sample.tagged:
            return cls(sample.classes, (_grown(sample, settings, seed),), np.zeros(1))
        return cls._of_tags(sample, settings, seed, ())

    @classmethod
    def _of_tags(cls, sample: Sample, settings: dict[str, Any], seed: int, before: "Sequence[Booster | None]") -> Self:
        own = {**settings, "rounds": max(1, min(settings["rounds"], TREES // len(sample.classes)))}
        boosters: list[Booster | None] = []
        start = np.zeros(len(sample.classes))
        for place in range(len(sample.classes)):
            one, trees = sample.of_tag(place), before[place] if place < len(before) else None
            boosters.append(_grown(one, own, seed, trees) if one.varies else trees)
            start[place] = one.odds
        return cls(sample.classes, boosters, start, tagged=True)

    @classmethod
    def fit_further(cls, start: Self, sample: Sample, settings: dict[str, Any], seed: int) -> Self:
        """Grow `rounds` more trees behind those that are there already, each on what all before it leave over.

        The classes or tags of `start` are the first of the sample's; a tag that it has no trees for gets its own.

        Raises:
            UserError: rows are of a class that it does not know.
        """
        if not sample.tagged:
            if new := sample.classes[len(start.classes) :]:
                raise UserError(
                    f"source_model: its trees tell {', '.join(start.classes)} apart and cannot learn {', '.join(new)} "
                    "beside them; leave out the baseline that continues them, or name a model that knows all."
                )
            return cls(sample.classes, (_grown(sample, settings, seed, start.boosters[0]),), np.zeros(1))
        return cls._of_tags(sample, settings, seed, start.boosters)

    def raw(self, features: Features) -> FloatArray:
        """The sums of the trees: [N, K]; of two classes the first has 0."""
        rows = len(features.table)
        if not rows:
            return np.zeros((0, max(1, len(self.classes))))
        table = _table(Values.of(features))
        parts = [
            np.full((rows, 1), start)
            if booster is None
            else np.asarray(booster.predict(table, raw_score=True, num_threads=1), dtype=np.float64).reshape(rows, -1)
            for booster, start in zip(self.boosters, self.start, strict=True)
        ]
        sums = np.hstack(parts)
        return np.hstack([np.zeros_like(sums), sums]) if len(self.classes) == 2 and not self.tagged else sums

    def parts(self, features: Features, told_NK: FloatArray) -> Parts:
        """LightGBM's own contributions, the Shapley values of the trees (Lundberg and Lee, 2017)."""
        table, types = _table(Values.of(features)), features.types
        found = np.zeros((len(table), table.shape[1]))
        each = 1 if self.tagged or len(self.classes) <= 2 else len(self.classes)  # sums that one booster gives
        for place, booster in enumerate(self.boosters if len(table) else ()):
            if booster is not None:
                said = np.asarray(booster.predict(table, pred_contrib=True, num_threads=1), dtype=np.float64)
                weights = told_NK[:, -each:] if not self.tagged else told_NK[:, [place]]
                found += np.einsum("nkx,nk->nx", said.reshape(len(table), each, -1)[:, :, :-1], weights)
        return Parts(by_feature(found, np.concatenate(owners(types)), len(types)))

    def own_state(self) -> tuple[dict[str, Any], Arrays]:
        """The trees as texts, and what is said of every row where a tag has none."""
        texts = [None if booster is None else booster.model_to_string() for booster in self.boosters]
        return {"trees": texts if self.tagged else texts[0]}, {"start": self.start}

    @classmethod
    def from_own_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same predictor."""
        from lightgbm import Booster

        trees = settings["trees"] if isinstance(settings["trees"], list) else [settings["trees"]]
        boosters = [None if text is None else Booster(model_str=text) for text in trees]
        start = arrays["start"] if isinstance(settings["trees"], list) else np.zeros(1)
        return cls(tuple(settings["classes"]), boosters, start)


def _grown(sample: Sample, settings: dict[str, Any], seed: int, before: "Booster | None" = None) -> "Booster":
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
    return lightgbm.train(parameters, rows, num_boost_round=settings["rounds"], init_model=before)


def _table(values: Values) -> FloatArray:
    """Numbers with their gaps, then one code for each category: [N, F]."""
    return np.hstack([values.numbers, values.buckets(_CODES)])
