"""Gradient boosting of trees (Ke et al., "LightGBM", 2017), kept as the library's own text.

Shapes: N rows, M numeric columns, F features, K classes or tags, T boosters: one, of tags one for each.
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
        self,
        classes: tuple[str, ...],
        boosters: "Sequence[Booster | None]",
        start: FloatArray,
        usual: FloatArray | None = None,
        tagged: bool = False,
    ) -> None:
        """`boosters` [T]: where one is None, `start` [T] is said of every row; `usual` [T, M] as `_usual` gives it."""
        self.classes, self.boosters, self.start, self.tagged = classes, tuple(boosters), start, tagged
        self.usual = np.full((len(self.boosters), 1), np.nan) if usual is None else usual

    @classmethod
    def fit(cls, sample: Sample, settings: dict[str, Any], seed: int) -> Self:
        """Grow `rounds` trees with the sizes of the settings; a leaf never asks for more than a quarter of the rows.

        Each tag has trees of its own, of all tags at most `TREES`; one that all rows have, or none, gets its share.
        """
        if not sample.tagged:
            usual_M = _usual(sample.values)
            return cls(sample.classes, (_grown(sample, settings, seed, usual_M),), np.zeros(1), usual_M[None])
        return cls._of_tags(sample, settings, seed, None)

    @classmethod
    def _of_tags(cls, sample: Sample, settings: dict[str, Any], seed: int, before: "Self | None") -> Self:
        own = {**settings, "rounds": max(1, min(settings["rounds"], TREES // len(sample.classes)))}
        boosters: list[Booster | None] = []
        start, usual = np.zeros(len(sample.classes)), np.empty((len(sample.classes), sample.values.numbers.shape[1]))
        for place in range(len(sample.classes)):
            one = sample.of_tag(place)
            trees = before.boosters[place] if before is not None and place < len(before.boosters) else None
            usual[place] = before.usual[place] if before is not None and trees is not None else _usual(one.values)
            boosters.append(_grown(one, own, seed, usual[place], trees) if one.varies else trees)
            start[place] = one.odds
        return cls(sample.classes, boosters, start, usual, tagged=True)

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
            grown = _grown(sample, settings, seed, start.usual[0], start.boosters[0])
            return cls(sample.classes, (grown,), np.zeros(1), start.usual)
        return cls._of_tags(sample, settings, seed, start)

    def raw(self, features: Features) -> FloatArray:
        """The sums of the trees: [N, K]; of two classes the first has 0."""
        rows = len(features.table)
        if not rows:
            return np.zeros((0, max(1, len(self.classes))))
        values = Values.of(features)
        parts = [
            np.full((rows, 1), start)
            if booster is None
            else np.asarray(
                booster.predict(_table(values, usual_M), raw_score=True, num_threads=1), dtype=np.float64
            ).reshape(rows, -1)
            for booster, start, usual_M in zip(self.boosters, self.start, self.usual, strict=True)
        ]
        sums = np.hstack(parts)
        return np.hstack([np.zeros_like(sums), sums]) if len(self.classes) == 2 and not self.tagged else sums

    def parts(self, features: Features, told_NK: FloatArray) -> Parts:
        """LightGBM's own contributions, the Shapley values of the trees (Lundberg and Lee, 2017)."""
        values, types = Values.of(features), features.types
        found = np.zeros((len(values), values.numbers.shape[1] + values.hashes.shape[1]))
        each = 1 if self.tagged or len(self.classes) <= 2 else len(self.classes)  # sums that one booster gives
        for place, booster in enumerate(self.boosters if len(values) else ()):
            if booster is not None:
                table = _table(values, self.usual[place])
                said = np.asarray(booster.predict(table, pred_contrib=True, num_threads=1), dtype=np.float64)
                weights = told_NK[:, -each:] if not self.tagged else told_NK[:, [place]]
                found += np.einsum("nkx,nk->nx", said.reshape(len(table), each, -1)[:, :, :-1], weights)
        return Parts(by_feature(found, np.concatenate(owners(types)), len(types)))

    def own_state(self) -> tuple[dict[str, Any], Arrays]:
        """The trees as texts, and what is said of every row where a tag has none."""
        texts = [None if booster is None else booster.model_to_string() for booster in self.boosters]
        return {"trees": texts if self.tagged else texts[0]}, {"start": self.start, "usual": self.usual}

    @classmethod
    def from_own_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same predictor."""
        from lightgbm import Booster

        trees = settings["trees"] if isinstance(settings["trees"], list) else [settings["trees"]]
        boosters = [None if text is None else Booster(model_str=text) for text in trees]
        start = arrays["start"] if isinstance(settings["trees"], list) else np.zeros(1)
        return cls(tuple(settings["classes"]), boosters, start, arrays.get("usual"))  # there is none in older packages


def _grown(
    sample: Sample, settings: dict[str, Any], seed: int, usual_M: FloatArray, before: "Booster | None" = None
) -> "Booster":
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
        _table(values, usual_M), sample.answers, weight=sample.weights,
        categorical_feature=categories, params={"verbosity": -1},
    )  # fmt: skip
    return lightgbm.train(parameters, rows, num_boost_round=settings["rounds"], init_model=before)


def _usual(values: Values) -> FloatArray:
    """[M] the median of each number that all rows have; NaN where one lacks it, of which trees know by themselves.

    Where no row lacks a number, trees read a missing one as zero, however far that is from all numbers.
    """
    whole = np.asarray(~np.isnan(values.numbers).any(axis=0))
    usual_M = np.full(len(whole), np.nan)
    usual_M[whole] = np.median(values.numbers[:, whole], axis=0)
    return usual_M


def _table(values: Values, usual_M: FloatArray) -> FloatArray:
    """Numbers, missing ones as they usually are or with their gaps, then one code for each category: [N, F]."""
    numbers = np.where(np.isnan(values.numbers), usual_M, values.numbers)
    return np.hstack([numbers, values.buckets(_CODES)])
