"""How unusual a row is, beside those that are not what is looked for: an isolation forest and a linear auto-encoder.

Both learn what usual rows look like from the rows of the first of two classes alone. What is unusual becomes a
probability by one slope and one start, fitted to the labels of the same rows; more unusual is never less probable.

Shapes: N rows, M numeric columns, C categories, D columns of the design, T trees, K nodes of all trees.

References:
    Liu, Ting and Zhou, Isolation forest, ICDM 2008.
    Baldi and Hornik, Neural networks and principal component analysis, 1989: the best linear auto-encoder is the
    projection on the first principal components, which closed form gives exactly.
"""

import copy
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from pipeline.models.estimators import Estimator, Parts
from pipeline.models.feature_values import Values, owners
from pipeline.models.linear import Scaling
from pipeline.models.ranker import Arrays
from pipeline.models.sample import Sample
from pipeline.views import Features, FloatArray, IntArray

_BUCKETS = 1024  # of the values of each category
_FAR = 8.0  # standard deviations; nothing counts as farther away


@dataclass(frozen=True, eq=False)
class Usual:
    """Numbers on one scale, and of each category how rare its value is: what usual rows have is near zero.

    Args:
        scaling: Of the numbers.
        rarity: [C, buckets] minus the logarithm of the share of rows with a value, in standard deviations.
    """

    scaling: Scaling
    rarity: FloatArray

    @classmethod
    def fit(cls, values: Values, weights_N: FloatArray) -> Self:
        """What the rows say, each as often as it weighs; a value that none has counts as one in a row more."""
        places = values.buckets(_BUCKETS)
        rarity = np.zeros((places.shape[1], _BUCKETS))
        for at, place_N in enumerate(places.T):
            counts = np.bincount(place_N, weights_N, minlength=_BUCKETS)
            told = -np.log((counts + 1) / (counts.sum() + 1))
            mean = np.average(told[place_N], weights=weights_N)
            deviation = np.average((told[place_N] - mean) ** 2, weights=weights_N) ** 0.5
            rarity[at] = np.clip((told - mean) / (deviation if deviation > 1e-9 else 1.0), -_FAR, _FAR)
        return cls(Scaling.fit(values.numbers, weights_N), rarity)

    def read(self, values: Values) -> FloatArray:
        """The design: [N, D]."""
        places = values.buckets(_BUCKETS)
        rare = [self.rarity[at][place_N] for at, place_N in enumerate(places.T)]
        return np.column_stack([self.scaling.read(values.numbers), *rare])

    def arrays(self) -> Arrays:
        """All that it is."""
        return {**self.scaling.arrays(), "rarity": self.rarity}

    @classmethod
    def of(cls, arrays: Arrays) -> Self:
        """The same again."""
        return cls(Scaling(**{name: arrays[name] for name in Scaling.__dataclass_fields__}), arrays["rarity"])


class AnomalyEstimator(Estimator):
    """One of two classes by how unusual a row is."""

    usual: Usual
    line: FloatArray  # mean and deviation of what is unusual, then slope and start of the log odds

    @abstractmethod
    def unusual(self, design: FloatArray) -> FloatArray:
        """How unusual each row [N] is; more is more."""

    def raw(self, features: Features) -> FloatArray:
        """Log odds in favour of the second class: [N, 2], the first has 0."""
        odds = self._log_odds(self.usual.read(Values.of(features)))
        return np.column_stack([np.zeros_like(odds), odds])

    def _log_odds(self, design: FloatArray) -> FloatArray:
        mean, deviation, slope, start = self.line
        far = np.clip((self.unusual(design) - mean) / deviation, -_FAR, _FAR)
        return np.asarray(slope * far + start, dtype=np.float64)

    def parts(self, features: Features, told_NK: FloatArray) -> Parts:
        """How much less would be said if a feature were as usual, each alone, so that nothing adds up."""
        design, odds = self.usual.read(Values.of(features)), told_NK[:, -1]
        numeric, categories = owners(features.types)
        owner = np.concatenate([numeric, numeric[self.usual.scaling.gaps], categories])
        before = self._log_odds(design)
        less = [before - self._log_odds(np.where(owner == at, 0.0, design)) for at in range(len(features.types))]
        return Parts(np.column_stack(less) * odds[:, None])

    def own_state(self) -> tuple[dict[str, Any], Arrays]:
        """What is usual, the line, and what a kind knows."""
        return {}, {**self.usual.arrays(), "line": self.line, **self.known()}

    @abstractmethod
    def known(self) -> Arrays:
        """What the kind has learnt."""

    def on_a_line(self, sample: Sample) -> Self:
        """A copy whose log odds follow the labels of a sample."""
        from sklearn.linear_model import LogisticRegression

        score = self.unusual(self.usual.read(sample.values))
        mean = np.average(score, weights=sample.weights)
        spread = float(np.average((score - mean) ** 2, weights=sample.weights) ** 0.5)
        deviation = spread if spread > 1e-12 else 1.0
        far = np.clip((score - mean) / deviation, -_FAR, _FAR)[:, None]
        model = LogisticRegression().fit(far, sample.answers, sample.weights)
        slope, start = float(model.coef_[0, 0]), float(model.intercept_[0])
        fitted = copy.copy(self)
        fitted.line = np.array([mean, deviation, slope, start] if slope > 0 else [mean, deviation, 0.0, sample.odds])
        return fitted


def _usual_rows(sample: Sample) -> tuple[Usual, FloatArray, FloatArray]:
    """What rows of the first class are like, their design [N, D] and their weights [N]."""
    first = sample.answers == 0
    values = sample.values.take(first)
    usual = Usual.fit(values, sample.weights[first])
    return usual, usual.read(values), sample.weights[first]


class IsolationEstimator(AnomalyEstimator):
    """Rows that a few random cuts set apart are unusual; the trees of scikit-learn, kept as arrays."""

    kind = "isolation_forest"

    def __init__(self, classes: tuple[str, ...], usual: Usual, line: FloatArray, trees: Arrays) -> None:
        """`trees`: of each node [K] `feature`, `cut`, `below`, `above` and `length`; of each tree [T] its `root`."""
        self.classes, self.usual, self.line, self.trees = classes, usual, line, trees

    @classmethod
    def fit(cls, sample: Sample, settings: dict[str, Any], seed: int) -> Self:
        """Grow trees on so many rows of the first class each."""
        from sklearn.ensemble import IsolationForest

        usual, design, weights = _usual_rows(sample)
        rows = min(settings["rows"], len(design))
        forest = IsolationForest(n_estimators=settings["trees"], max_samples=rows, random_state=seed, n_jobs=1)
        forest.fit(design, sample_weight=weights)
        grown = [_nodes(one.tree_) for one in forest.estimators_]
        starts = np.cumsum([0, *(len(one["feature"]) for one in grown)])
        for one, start in zip(grown, starts[:-1], strict=True):
            one["below"] += start
            one["above"] += start
        trees = {name: np.concatenate([one[name] for one in grown]) for name in grown[0]}
        trees |= {"root": starts[:-1].astype(np.int64), "usually": _path(np.array([rows]))}
        return cls(sample.classes, usual, np.array([0.0, 1.0, 0.0, 0.0]), trees).on_a_line(sample)

    def unusual(self, design: FloatArray) -> FloatArray:
        """2 ** -(mean length of the paths / the length that is usual): [N] in (0, 1)."""
        trees, read = self.trees, design.astype(np.float32)  # as the trees were grown
        rows = np.arange(len(read))
        total = np.zeros(len(read))
        for root in trees["root"]:
            node = np.full(len(read), root)
            while (inner := trees["below"][node] != node).any():
                goes_below = read[rows, trees["feature"][node]] <= trees["cut"][node]
                node = np.where(inner, np.where(goes_below, trees["below"][node], trees["above"][node]), node)
            total += trees["length"][node]
        usually = float(trees["usually"][0]) or 1.0  # zero where a tree had one row
        return np.asarray(2.0 ** -(total / len(trees["root"]) / usually), dtype=np.float64)

    def known(self) -> Arrays:
        """The trees."""
        return {f"trees.{name}": one for name, one in self.trees.items()}

    @classmethod
    def from_own_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same predictor."""
        names = ("feature", "cut", "below", "above", "length", "root", "usually")
        trees = {name: arrays[f"trees.{name}"] for name in names}
        return cls(tuple(settings["classes"]), Usual.of(arrays), arrays["line"], trees)


def _nodes(tree: Any) -> Arrays:
    """A tree of scikit-learn: where a node leads to, a leaf to itself, and the length of a path that ends there."""
    count = tree.node_count
    leaf, depth = tree.children_left < 0, np.zeros(count)
    for node in range(count):  # parents come first
        if not leaf[node]:
            depth[[tree.children_left[node], tree.children_right[node]]] = depth[node] + 1
    own = np.arange(count)
    return {
        "feature": np.where(leaf, 0, tree.feature).astype(np.int64),
        "cut": np.where(leaf, 0.0, tree.threshold),
        "below": np.where(leaf, own, tree.children_left).astype(np.int64),
        "above": np.where(leaf, own, tree.children_right).astype(np.int64),
        "length": depth + _path(tree.n_node_samples),
    }


def _path(rows: IntArray) -> FloatArray:
    """The mean length of a path in a tree of so many rows that are told apart at random."""
    found = np.where(rows == 2, 1.0, 0.0)
    many = rows > 2
    found[many] = 2 * (np.log(rows[many] - 1.0) + np.euler_gamma) - 2 * (rows[many] - 1.0) / rows[many]
    return found


class AutoEncoderEstimator(AnomalyEstimator):
    """Rows that a few numbers do not bring back are unusual: a linear auto-encoder, in closed form."""

    kind = "auto_encoder"

    def __init__(self, classes: tuple[str, ...], usual: Usual, line: FloatArray, code: Arrays) -> None:
        """`code`: `centre` [D], and the `axes` [A, D] on which rows are brought back."""
        self.classes, self.usual, self.line, self.code = classes, usual, line, code

    @classmethod
    def fit(cls, sample: Sample, settings: dict[str, Any], seed: int) -> Self:
        """Principal components of the rows of the first class, at most half as many as there are columns."""
        del seed
        usual, design, weights = _usual_rows(sample)
        centre = np.average(design, axis=0, weights=weights)
        covariance = (design - centre).T @ ((design - centre) * weights[:, None]) / weights.sum()
        axes = np.linalg.eigh(covariance)[1][:, ::-1].T[: min(settings["axes"], design.shape[1] // 2)]
        code = {"centre": centre, "axes": np.ascontiguousarray(axes)}
        return cls(sample.classes, usual, np.array([0.0, 1.0, 0.0, 0.0]), code).on_a_line(sample)

    def unusual(self, design: FloatArray) -> FloatArray:
        """ln(1 + squared distance between a row and what comes back): [N]."""
        centred, axes = design - self.code["centre"], self.code["axes"]
        left = centred - centred @ axes.T @ axes
        return np.log1p(np.asarray((left**2).sum(axis=1), dtype=np.float64))

    def known(self) -> Arrays:
        """Centre and axes."""
        return dict(self.code)

    @classmethod
    def from_own_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same predictor."""
        code = {name: arrays[name] for name in ("centre", "axes")}
        return cls(tuple(settings["classes"]), Usual.of(arrays), arrays["line"], code)
