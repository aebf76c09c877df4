"""Two regressions on words that teach each other on rows without a label, one of them with a denoiser's help.

The first reads what `linear` reads, the second also what a denoiser makes of the frequent words; raw values are their
mean. A column of a word weighs more where the word tells classes apart: r = max_k |ln p(word | k) / p(word | others)|,
by counts of rows plus one. In round i of n the surest i/n of the rows without a label are learnt from as well, with
what both say of them, of each class its share among the labelled rows. The mean over the rounds serves: a single one
may have drifted.

Shapes: N rows, U of them without a label, P columns that `linear` reads, V of them of words, D words that the denoiser
reads, R values that it says, K classes or tags.

References:
    Wang and Manning, Baselines and bigrams: simple, good sentiment and topic classification, ACL 2012: the ratio.
    Chen, Weinberger and Blitzer, Co-training for domain adaptation, NIPS 2011: the surest rows, step by step.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from scipy import sparse
from scipy.special import log_softmax

from pipeline.models.denoiser import Denoiser, Hidden
from pipeline.models.estimators import Estimator, Parts
from pipeline.models.feature_values import Values, text_owners
from pipeline.models.linear import Design, solve
from pipeline.models.ranker import Arrays
from pipeline.models.sample import Sample
from pipeline.views import Features, FloatArray, IntArray

_BUCKETS, _WORDS = 1024, 1 << 18  # of hashed categories and words, as `linear` has them
_CERTAIN = 1e-12  # from where on a probability is as good as one


@dataclass(frozen=True, eq=False)
class Denoised:
    """The columns of `linear`, then what the denoiser says of the frequent words [D], places among those of [V]."""

    plain: Design
    frequent: IntArray
    denoiser: Denoiser

    @classmethod
    def fit(cls, sample: Sample, settings: dict[str, Any]) -> Self:
        """What rows say, with a label or without."""
        plain = Design.fit(sample, _BUCKETS, _WORDS)
        words = plain.vocabulary.read(sample.values.words)
        rows = np.diff(words.tocsc().indptr)
        frequent = np.argsort(-rows, kind="stable")[: settings["words"]].astype(np.int64)
        how = {name: settings[name] for name in ("noise", "layers", "dim")}
        return cls(plain, frequent, Denoiser.fit(words[:, frequent], **how))

    @property
    def words(self) -> int:
        """V."""
        return len(self.plain.vocabulary.met)

    def read(self, values: Values) -> tuple[sparse.csr_matrix, Hidden]:
        """(the columns of `linear`, CSR [N, P]; what the denoiser says [N, R])."""
        columns = self.plain.read(values)
        words = columns[:, columns.shape[1] - self.words :]
        return columns, self.denoiser.read(words[:, self.frequent])

    def arrays(self) -> Arrays:
        """All that it is."""
        layers = {f"layer_{place}": layer for place, layer in enumerate(self.denoiser.layers)}
        return {**self.plain.arrays(), "frequent": self.frequent, **layers}

    @classmethod
    def of(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same one."""
        layers = tuple(arrays[f"layer_{place}"] for place in range(settings["layers"]))
        plain = Design.of({"buckets": _BUCKETS, "words": _WORDS}, arrays)
        return cls(plain, arrays["frequent"], Denoiser(layers))


class MsdaEstimator(Estimator):
    """Columns of words and of a denoiser, times weights."""

    kind = "msda"

    def __init__(self, classes: tuple[str, ...], design: Denoised, weights: Arrays) -> None:
        """`weights`: `slope` [P + R, K] and `start` [K]; of a number K is 1."""
        self.classes, self.design = classes, design
        self.slope, self.start = weights["slope"], weights["start"]

    @classmethod
    def fit(cls, sample: Sample, settings: dict[str, Any], seed: int) -> Self:
        """Learn from the labelled rows, then, of classes, in rounds from the others as well."""
        del seed
        known = len(sample.values)
        values = Values.under([sample.values, *(Values.of(one) for one in sample.others)])
        design = Denoised.fit(replace(sample, values=values, weights=np.ones(len(values))), settings)
        plain, said = design.read(values)
        columns = sparse.csr_matrix(sparse.hstack([plain, sparse.csr_matrix(said)], format="csr"))
        labelled, others = columns[:known], columns[known:]
        together = _Together(design.words, plain.shape[1], settings["regularization"])
        weights = together.fit(labelled, sample)
        every = []
        classed = bool(sample.classes) and not sample.tagged
        rounds = settings["rounds"] if classed and others.shape[0] else 0
        for turn in range(1, rounds + 1):
            raw_UK = np.asarray(others @ weights["slope"] + weights["start"])
            places, told = surest(raw_UK, _shares(sample), others.shape[0] * turn // rounds)
            taught = replace(
                sample,
                answers=np.concatenate([sample.answers, told]),
                weights=np.concatenate([sample.weights, np.ones(len(told))]),
            )
            weights = together.fit(sparse.vstack([labelled, others[places]], format="csr"), taught)
            every.append(weights)
        mean = {name: np.mean([one[name] for one in every or [weights]], axis=0) for name in weights}
        fitted = cls(sample.classes, design, mean)
        fitted.tagged = sample.tagged
        return fitted

    def raw(self, features: Features) -> FloatArray:
        """Columns times slope, plus start: [N, K]."""
        columns, said = self.design.read(Values.of(features))
        plain = columns.shape[1]
        return np.asarray(columns @ self.slope[:plain] + said @ self.slope[plain:] + self.start, dtype=np.float64)

    def parts(self, features: Features, told_NK: FloatArray) -> Parts:
        """Each column times its weight; to a text or bag also what the denoiser would not say without it.

        Words have their own weights alone: the denoiser speaks of all of them together.
        """
        plain = self.design.plain.parts(features, self.slope[: -self.design.denoiser.size], told_NK)
        found, with_all = plain.features.copy(), self._helped(features)
        for place in text_owners(features.types):
            name = list(features.types)[place]
            without = self._helped(replace(features, table=features.table.assign(**{name: None})))
            found[:, place] += ((with_all - without) * told_NK).sum(axis=1)
        return Parts(found, plain.words)

    def _helped(self, features: Features) -> FloatArray:
        """What the denoiser says, times its weights: [N, K]."""
        _, said = self.design.read(Values.of(features))
        return np.asarray(said @ self.slope[-self.design.denoiser.size :], dtype=np.float64)

    def own_state(self) -> tuple[dict[str, Any], Arrays]:
        """Weights, and what makes the columns."""
        settings = {"layers": len(self.design.denoiser.layers)}
        return settings, {"slope": self.slope, "start": self.start, **self.design.arrays()}

    @classmethod
    def from_own_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same predictor."""
        weights = {name: arrays[name] for name in ("slope", "start")}
        return cls(tuple(settings["classes"]), Denoised.of(settings, arrays), weights)


@dataclass(frozen=True)
class _Together:
    """Both regressions: on the first P columns, of which the last V are of words, and on all."""

    words: int
    plain: int
    regularization: float

    def fit(self, columns: sparse.csr_matrix, sample: Sample) -> Arrays:
        """The mean of both as one `slope` and `start`."""
        weigh = np.ones(columns.shape[1])
        if sample.classes and not sample.tagged:
            own = slice(self.plain - self.words, self.plain)
            weigh[own] = telling(columns[:, own], sample.answers.astype(np.int64), len(sample.classes))
        weighed = sparse.csr_matrix(columns @ sparse.diags(weigh))
        alone, start = solve(weighed[:, : self.plain], sample, self.regularization)
        helped, other_start = solve(weighed, sample, self.regularization)
        helped[: self.plain] += alone
        return {"slope": helped * weigh[:, None] / 2, "start": (start + other_start) / 2}


def telling(words: sparse.csr_matrix, class_N: IntArray, classes: int) -> FloatArray:
    """How well each word tells one class from the others: [V] max_k |ln p(word | k) / p(word | others)|."""
    rows = np.arange(len(class_N))
    of_class = sparse.csr_matrix((np.ones(len(rows)), (class_N, rows)), shape=(classes, len(rows)))
    met_KV = np.asarray((of_class @ (words != 0).astype(np.float64)).todense())
    others_KV = met_KV.sum(axis=0) - met_KV
    ratio_KV = _logarithm_of_share(met_KV + 1) - _logarithm_of_share(others_KV + 1)
    return np.asarray(np.abs(ratio_KV).max(axis=0))


def _logarithm_of_share(counts_KV: FloatArray) -> FloatArray:
    return np.asarray(np.log(counts_KV) - np.log(counts_KV.sum(axis=1, keepdims=True)))


def _shares(sample: Sample) -> FloatArray:
    counts = np.bincount(sample.answers.astype(np.int64), sample.weights, minlength=len(sample.classes))
    return np.asarray(counts / counts.sum())


def surest(raw_UK: FloatArray, shares_K: FloatArray, count: int) -> tuple[IntArray, IntArray]:
    """The rows that are surest of a class, and that class.

    Args:
        raw_UK: Logarithms of probabilities, up to one constant a row.
        shares_K: Which part of the rows each class gets.
        count: How many rows are looked for; fewer come back where several classes want a row, which the surest gets.

    Returns:
        (places of rows [n], ascending; their classes [n]).
    """
    log_UK = log_softmax(raw_UK, axis=1)
    odds_UK = log_UK - np.log(np.maximum(1 - np.exp(log_UK), _CERTAIN))
    wanted = np.full(raw_UK.shape, -np.inf)
    for place, rows in enumerate(np.round(count * shares_K).astype(np.int64)):
        own = np.argsort(-odds_UK[:, place], kind="stable")[:rows]
        wanted[own, place] = odds_UK[own, place]
    places = np.flatnonzero(np.isfinite(wanted).any(axis=1))
    return places, wanted[places].argmax(axis=1)
