"""Logistic and ridge regression, kept as arrays.

Shapes: N rows, M numeric columns, B buckets of words, V of them met, F columns of the design, K classes or tags,
E numbers of the vectors of all texts and pictures of a row.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy import sparse

from pipeline.models.encoded import Readers, needs_of, readers_from, states_of, vector_owners, widths
from pipeline.models.estimators import Estimator, Parts
from pipeline.models.feature_values import Values, by_feature, owners, text_owners
from pipeline.models.ranker import Arrays
from pipeline.models.sample import Sample
from pipeline.models.words import Words, idf, rows_with, weighted
from pipeline.views import Features, FloatArray, IntArray, Mask

_SKEWED = 2.0  # beyond it the logarithm is taken
_FAR = 8.0  # standard deviations; nothing counts as farther away
_STEPS = 500


@dataclass(frozen=True, eq=False)
class Scaling:
    """How numeric columns [M] are brought to one scale; what is missing reads as the median, and a column says so.

    Args:
        logarithm: Whether sign(x) ln(1 + |x|) is read in the place of x.
        median: Of the known values.
        mean: After imputing.
        deviation: After imputing; one where there is none.
        gaps: Whether any training value is missing.
    """

    logarithm: Mask
    median: FloatArray
    mean: FloatArray
    deviation: FloatArray
    gaps: Mask

    @classmethod
    def fit(cls, numbers_NM: FloatArray, weights_N: FloatArray) -> Self:
        """What the rows say, each as often as it weighs."""
        columns = [_column(numbers, weights_N) for numbers in numbers_NM.T]
        logarithm, median, mean, deviation = np.array(columns).reshape(-1, 4).T
        return cls(logarithm > 0, median, mean, deviation, np.asarray(np.isnan(numbers_NM).any(axis=0)))

    def read(self, numbers_NM: FloatArray) -> FloatArray:
        """Scaled columns, then one for each column with gaps, 1 where the value is missing."""
        missing = np.isnan(numbers_NM)
        filled = np.where(missing, self.median, _bent(numbers_NM, self.logarithm))
        scaled = np.clip((filled - self.mean) / self.deviation, -_FAR, _FAR)
        return np.hstack([scaled, missing[:, self.gaps]])

    def arrays(self) -> Arrays:
        """All that it is."""
        return dict(vars(self))


def _column(numbers_N: FloatArray, weights_N: FloatArray) -> tuple[float, float, float, float]:
    known = ~np.isnan(numbers_N)
    if not known.any():
        return 0.0, 0.0, 0.0, 1.0
    values, weights = numbers_N[known], weights_N[known]
    with np.errstate(over="ignore", invalid="ignore"):  # a spread beyond what can be cubed counts as skewed
        centred = values - np.average(values, weights=weights)
        spread = np.average(centred**2, weights=weights) ** 0.5
        skewed = bool(spread > 0 and not abs(np.average((centred / spread) ** 3, weights=weights)) <= _SKEWED)
    values = _bent(values, np.array(skewed))
    order = np.argsort(values, kind="stable")
    summed = np.cumsum(weights[order])
    middle = [np.searchsorted(summed, summed[-1] / 2, side=side) for side in ("left", "right")]
    median = float(values[order][middle].mean())
    filled = np.full(len(numbers_N), median)
    filled[known] = values
    mean = float(np.average(filled, weights=weights_N))
    deviation = float(np.average((filled - mean) ** 2, weights=weights_N) ** 0.5)
    return float(skewed), median, mean, deviation if deviation > 1e-12 * max(1.0, abs(mean)) else 1.0


def _bent(numbers: FloatArray, logarithm: Mask) -> FloatArray:
    return np.where(logarithm, np.sign(numbers) * np.log1p(np.abs(numbers)), numbers)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Which words of texts have a weight: those that training rows have, so that a model is no larger than that.

    Args:
        buckets: How many there are, B.
        met: [V] those that training rows have, ascending.
        idf: [V] what each says by being rare.
    """

    buckets: int
    met: IntArray
    idf: FloatArray

    @classmethod
    def fit(cls, words: Words, weights_N: FloatArray, buckets: int) -> Self:
        """What training rows have, each as often as it weighs."""
        rows_B = rows_with(words, weights_N, buckets)
        met = np.flatnonzero(rows_B)
        return cls(buckets, met, idf(float(weights_N.sum()), rows_B[met]))

    def read(self, words: Words) -> sparse.csr_matrix:
        """The weights of the words that are known: [N, V]."""
        idf_B = np.zeros(self.buckets)
        idf_B[self.met] = self.idf
        return weighted(words, idf_B)[:, self.met]

    def parts(self, text: sparse.csr_matrix, slope_VK: FloatArray, told_NK: FloatArray) -> sparse.csr_matrix:
        """What each word of one text adds by its weights: [N, B]."""
        read = self.read((text,))
        owner = np.repeat(np.arange(len(told_NK)), np.diff(read.indptr))
        added = read.data * (slope_VK[read.indices] * told_NK[owner]).sum(axis=1)
        return sparse.csr_matrix((added, self.met[read.indices], read.indptr), shape=(len(told_NK), self.buckets))


@dataclass(frozen=True, eq=False)
class Design:
    """How features become columns: scaled numbers, buckets of all categories, words of texts, what they mean."""

    scaling: Scaling
    buckets: int
    vocabulary: Vocabulary
    readers: Readers

    @classmethod
    def fit(cls, sample: Sample, buckets: int, words: int) -> Self:
        """What the rows say."""
        scaling = Scaling.fit(sample.values.numbers, sample.weights)
        return cls(scaling, buckets, Vocabulary.fit(sample.values.words, sample.weights, words), sample.readers)

    def read(self, values: Values) -> sparse.csr_matrix:
        """CSR [N, F]."""
        places = values.buckets(self.buckets)
        rows, categories = places.shape
        starts = np.arange(rows + 1) * categories
        hashed = sparse.csr_matrix((np.ones(places.size), places.ravel(), starts), shape=(rows, self.buckets))
        hashed.sum_duplicates()
        texts = [self.vocabulary.read(values.words)] if values.words else []
        vectors = [sparse.csr_matrix(values.vectors.astype(np.float64))] if values.vectors.shape[1] else []
        parts = [sparse.csr_matrix(self.scaling.read(values.numbers)), hashed, *texts, *vectors]
        return sparse.csr_matrix(sparse.hstack(parts, format="csr"))

    def parts(self, features: Features, slope: FloatArray, told_NK: FloatArray) -> Parts:
        """What each feature and word adds by the weights of its columns, a number beside its mean, all else from 0."""
        values, types = Values.of(features, self.readers), features.types
        scaled_NX, buckets_NC = self.scaling.read(values.numbers), values.buckets(self.buckets)
        numeric, categories = owners(types)
        columns, words = scaled_NX.shape[1], scaled_NX.shape[1] + self.buckets
        numbers = scaled_NX * (told_NK @ slope[:columns].T)
        chosen = np.einsum("nck,nk->nc", slope[columns + buckets_NC], told_NK)
        said = tuple(self.vocabulary.parts(one, slope[words:], told_NK) for one in values.words)
        texts = [np.asarray(one.sum(axis=1)) for one in said]
        meant = self._meant(values, slope, told_NK, widths(types, self.readers))
        of_texts = (text_owners(types), vector_owners(types, self.readers))
        whose = np.concatenate([numeric, numeric[self.scaling.gaps], categories, *of_texts])
        return Parts(by_feature(np.hstack([numbers, chosen, *texts, meant]), whose, len(types)), said)

    def _meant(self, values: Values, slope: FloatArray, told_NK: FloatArray, wide: list[int]) -> FloatArray:
        """What the vector of each text and picture adds; their numbers, so many of each, are the last columns."""
        added = values.vectors * (told_NK @ slope[len(slope) - sum(wide) :].T)
        return np.asarray(np.add.reduceat(added, np.cumsum([0, *wide[:-1]]), axis=1) if wide else added, np.float64)

    def arrays(self) -> Arrays:
        """All that it is but how many buckets there are; of words nothing where there are no texts."""
        vocabulary = {"met": self.vocabulary.met, "idf": self.vocabulary.idf} if len(self.vocabulary.met) else {}
        return {**self.scaling.arrays(), **vocabulary}

    @classmethod
    def of(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same one."""
        scaling = Scaling(**{name: arrays[name] for name in Scaling.__dataclass_fields__})
        met, weights = arrays.get("met", np.zeros(0, dtype=np.int64)), arrays.get("idf", np.zeros(0))
        readers = readers_from(settings)
        return cls(scaling, settings["buckets"], Vocabulary(settings.get("words", 1), met, weights), readers)


class LinearEstimator(Estimator):
    """Scaled numbers, hashed categories, words of texts and what they mean, times weights."""

    kind = "linear"

    def __init__(self, classes: tuple[str, ...], design: Design, weights: Arrays) -> None:
        """`weights`: `slope` [F, K] and `start` [K]; of a number K is 1."""
        self.classes, self.design = classes, design
        self.slope, self.start = weights["slope"], weights["start"]
        self.needs = needs_of(design.readers)

    @classmethod
    def fit(cls, sample: Sample, *, buckets: int, words: int, regularization: float) -> Self:
        """Minimise the summed loss (of a number half the squared error) + regularization / 2 * squared length."""
        design = Design.fit(sample, buckets, words)
        slope, start = solve(design.read(sample.values), sample, regularization)
        fitted = cls(sample.classes, design, {"slope": slope, "start": start})
        fitted.tagged = sample.tagged
        return fitted

    @property
    def readers(self) -> Readers:
        """Those of its design."""
        return self.design.readers

    def raw(self, features: Features) -> FloatArray:
        """Design times slope, plus start: [N, K]."""
        return np.asarray(
            self.design.read(Values.of(features, self.design.readers)) @ self.slope + self.start, dtype=np.float64
        )

    def parts(self, features: Features, told_NK: FloatArray) -> Parts:
        """Each column times its weight, exactly."""
        return self.design.parts(features, self.slope, told_NK)

    def own_state(self) -> tuple[dict[str, Any], Arrays]:
        """Weights and scaling."""
        design = self.design
        settings: dict[str, Any] = {"buckets": design.buckets, "words": design.vocabulary.buckets}
        settings |= states_of(design.readers)
        return settings, {"slope": self.slope, "start": self.start, **design.arrays()}

    @classmethod
    def from_own_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same predictor."""
        weights = {name: arrays[name] for name in ("slope", "start")}
        return cls(tuple(settings["classes"]), Design.of(settings, arrays), weights)


def solve(design: sparse.csr_matrix, sample: Sample, regularization: float) -> tuple[FloatArray, FloatArray]:
    """The weights of columns [N, F]: (slope [F, K], start [K])."""
    how = _tags if sample.tagged else _logistic if sample.classes else _ridge
    return how(design, sample, regularization)


def _logistic(design: sparse.csr_matrix, sample: Sample, regularization: float) -> tuple[FloatArray, FloatArray]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / regularization, max_iter=_STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # validation judges what was reached
        model.fit(design, sample.answers, sample.weights)
    slope, start = model.coef_.T, model.intercept_
    if len(sample.classes) == 2:  # one column of odds, in favour of the second class
        slope, start = np.hstack([np.zeros_like(slope), slope]), np.append(0.0, start)
    return np.ascontiguousarray(slope), start


def _tags(design: sparse.csr_matrix, sample: Sample, regularization: float) -> tuple[FloatArray, FloatArray]:
    """A regression of its own for each tag; one that all rows have, or none, gets its share."""
    tags = range(len(sample.classes))
    slope, start = np.zeros((design.shape[1], len(tags))), np.zeros(len(tags))
    for place in tags:
        one = sample.of_tag(place)
        if one.varies:
            both, starts = _logistic(design[~np.isnan(sample.answers[:, place])], one, regularization)
            slope[:, place], start[place] = both[:, 1], starts[1]
        else:
            start[place] = one.odds
    return slope, start


def _ridge(design: sparse.csr_matrix, sample: Sample, regularization: float) -> tuple[FloatArray, FloatArray]:
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=regularization, solver="sparse_cg", tol=1e-8)
    model.fit(design, sample.answers, sample.weights)
    return model.coef_[:, None].copy(), np.array([model.intercept_])
