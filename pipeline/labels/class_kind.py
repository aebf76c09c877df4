"""The kinds of label that are classes: one of two, of which one is looked for, or one of several.

Shapes: R resamples, N rows of a view, K classes of its label. What is judged of a row are K probabilities and the place
of the class that is told, -1 where the view has no such class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pipeline.config import BinaryTask, Costs, MulticlassTask
from pipeline.data.mistakes import Costs as MistakeCosts
from pipeline.data.mistakes import cost_matrix, dearer_if_rare
from pipeline.errors import CrossliftError
from pipeline.labels import classes as m
from pipeline.labels.answers import Answer, Answers
from pipeline.labels.class_metrics import SEVERAL, TWO_CLASSES, Judged, Metric, judged_of
from pipeline.labels.curves import Curve, by_cost, by_expected_cost, precision_and_recall, reliability
from pipeline.labels.effects import mean_effects
from pipeline.labels.example_words import class_words, two_class_words
from pipeline.labels.settling import HALF, cheapest, rarity, temperature, threshold
from pipeline.labels.statistic import Recomputed
from pipeline.labels.timing import one_by_one
from pipeline.labels.words import Words
from pipeline.views import FEATURES, Chosen, ClassEstimator, ClassLabel, FloatArray, Mask, View

TEMPERATURE, THRESHOLD, COSTS = "temperature", "threshold", "costs"  # what `settle` says
BALANCED, RARITY = "balanced_accuracy", "rarity"  # a metric; to what power of a class's share mistakes about it cost
FEWEST = 20  # with fewer rows one of them decides the log loss
_ROUNDING = 1e-6  # by which a probability may leave its range


@dataclass(frozen=True)
class Classes:
    """One of several classes, by its probability."""

    task: BinaryTask | MulticlassTask

    @property
    def costs(self) -> MistakeCosts:
        """Of mistakes between several classes; none: the most probable one is told."""
        return self.task.costs if isinstance(self.task, MulticlassTask) else {}

    @property
    def made(self) -> Mapping[str, Metric]:
        """Metrics by name; what a row costs where mistakes have a cost."""
        return {**SEVERAL, "cost": self._cost} if self.costs else SEVERAL

    @property
    def words(self) -> Words:
        """Names, units and sentences."""
        assert isinstance(self.task, MulticlassTask)
        return class_words(self.task)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all metrics."""
        return tuple(self.made)

    @property
    def gated(self) -> str:
        """The task's metric."""
        return self.task.metric

    @property
    def watched(self) -> str:
        """The log loss, which every row moves: the metrics of a ranking jump where few rows are of a class."""
        return "log_loss"

    @property
    def fewest(self) -> int:
        """See `FEWEST`."""
        return FEWEST

    def told(self, view: View) -> str:
        """How many rows and classes there are."""
        return f"{len(view):,} rows of {len(np.unique(_label(view).value)):,} classes are judged."

    def predict(self, predictor: ClassEstimator, view: View) -> FloatArray:
        """What is said of each row: [N, K + 1].

        A class that the predictor does not know has the probability zero; what it gives to a class that the view does
        not have is left out.

        Raises:
            CrossliftError: the probabilities have another shape, or are none.
        """
        wanted = {name: place for place, name in enumerate(_label(view).classes)}
        said = np.zeros((len(view), len(wanted) + 1))
        if not len(view):
            return said
        known = np.array([wanted.get(name, -1) for name in predictor.classes], dtype=np.int64)
        own = checked(predictor, view)
        said[:, known[known >= 0]] = own[:, known >= 0]
        said[:, -1] = known[predictor.decided(own)]
        return said

    def chance(self, view: View) -> FloatArray:
        """The share of each class among the rows, for all of them, and the most frequent class, or the cheapest."""
        label = _label(view)
        shares = np.bincount(label.value, minlength=len(label.classes)) / max(len(view), 1)
        worth = -shares @ cost_matrix(label.classes, self.costs) if self.costs else shares
        told = worth.argmax() if len(shares) else -1
        return np.tile(np.append(shares, told), (len(view), 1))

    def settle(self, fitted: Sequence[tuple[Any, View]]) -> Chosen:
        """A temperature, by the log loss of rows whose class their predictor knows; beside it costs, if any.

        Where balanced accuracy is gated and mistakes have no costs of their own, those about a rare class cost more: a
        rare class is then told more often, and the probabilities stay.
        """
        found: dict[str, Any] = {TEMPERATURE: _temperature(fitted)}
        if self.costs:
            return {**found, COSTS: self.costs}
        if self.gated != BALANCED:
            return found
        class_N = np.concatenate([_label(view).value for _, view in fitted])
        said_NK = np.concatenate([self.predict(one.settled(found), view)[:, :-1] for one, view in fitted])
        if not (power := rarity(class_N, said_NK)):
            return found
        counts = np.bincount(class_N, minlength=said_NK.shape[1]) + 1
        shares = dict(zip(_label(fitted[0][1]).classes, counts / counts.sum(), strict=True))
        return {**found, RARITY: power, COSTS: dearer_if_rare(shares, power)}

    def statistic(self, view: View, predicted: FloatArray, chosen: Mask, metrics: Sequence[str]) -> Recomputed:
        """Metrics of the chosen rows; those of a unit are drawn together."""
        units, unit_of_row = np.unique(view.units[chosen], return_inverse=True)
        rows = judged_of(_label(view).value[chosen], predicted[chosen], _label(view).classes)
        made = [partial(_of, self.made[name], rows) for name in metrics]
        return Recomputed(made, unit_of_row.astype(np.int64), len(units))

    def values(self, judged: Sequence[tuple[View, FloatArray]]) -> dict[str, float]:
        """Every metric over the rows of all views together; they have the same classes."""
        value = np.concatenate([_label(view).value for view, _ in judged])
        rows = judged_of(value, np.concatenate([said for _, said in judged]), _label(judged[0][0]).classes)
        once = np.ones((1, len(value)))
        return {name: float(metric(once, rows)[0]) for name, metric in self.made.items()}

    def positives(self, view: View, chosen: Mask) -> int | None:
        """None: no class is looked for more than another."""
        del view, chosen
        return None

    def curves(self, view: View, predicted: Mapping[str, FloatArray]) -> tuple[Curve, ...]:
        """What the surest rows cost; none where mistakes have no cost."""
        label = _label(view)
        if not self.costs or not len(view):
            return ()
        cost_KK = cost_matrix(label.classes, self.costs)
        judged = {name: judged_of(label.value, said, label.classes) for name, said in predicted.items()}
        lanes = {
            name: (
                m.expected_costs(rows.probability_NK, rows.told_N, cost_KK),
                m.told_costs(rows.class_N, rows.told_N, cost_KK),
            )
            for name, rows in judged.items()
        }
        always_K = cost_KK[label.value].mean(axis=0)
        best = int(always_K.argmin())
        return (by_expected_cost(lanes, (label.classes[best], float(always_K[best]))),)

    def truth(self, view: View) -> list[Answers]:
        """The class of each row."""
        label = _label(view)
        names = [label.classes[place] if place >= 0 else "not known" for place in label.value]
        return [(Answer(key=name, text=name),) for name in names]

    def answers(self, predictor: ClassEstimator, view: View) -> list[Answers]:
        """The class that is told of each row, with a probability."""
        names = (*_label(view).classes, "another class")  # the last where the view has no such class: place -1
        said = self.predict(predictor, view)
        told = [names[int(place)] for place in said[:, -1]]
        return [(Answer(key=name, text=self._worded(name, names, row)),) for name, row in zip(told, said, strict=True)]

    def _worded(self, told: str, names: Sequence[str], said: FloatArray) -> str:
        place = names.index(told)
        return f"{told} ({100 * said[place]:.1f} %)" if place < len(names) - 1 else told

    def effects(self, predictor: Any, view: View) -> dict[str, float]:
        """The mean absolute part of each feature."""
        return mean_effects(predictor, view)

    def information(self, view: View, predicted: FloatArray) -> float | None:
        """Between a row and its class."""
        del view
        return m.information(predicted[:, :-1]) if len(predicted) else None

    def latency(self, predictor: ClassEstimator, view: View) -> float | None:
        """Seconds for one row: the median over a few, after a first try."""
        return one_by_one(predictor.probabilities, view)

    def _cost(self, counts_RN: FloatArray, rows: Judged) -> FloatArray:
        cost_KK = cost_matrix(rows.classes, self.costs)
        return m.cost_of_classes(counts_RN, rows.class_N, rows.told_N, cost_KK)


@dataclass(frozen=True)
class TwoClasses(Classes):
    """One of two classes; the second is looked for."""

    task: BinaryTask

    @property
    def made(self) -> Mapping[str, Metric]:
        """Metrics by name; what a row costs where mistakes have a cost."""
        if self.task.costs is None:
            return TWO_CLASSES
        both = _both(self.task.costs)
        return {**TWO_CLASSES, "cost": lambda counts, rows: m.cost(counts, rows.positive, rows.found, both)}

    @property
    def words(self) -> Words:
        """Names, units and sentences."""
        return two_class_words(self.task)

    def told(self, view: View) -> str:
        """How many rows there are, and how many of them are of the class that is looked for."""
        label, positives = _label(view), self.positives(view, np.ones(len(view), dtype=bool))
        return f"{len(view):,} rows are judged; {label.name} is {label.classes[1]} in {positives:,} of them."

    def settle(self, fitted: Sequence[tuple[Any, View]]) -> dict[str, float]:
        """A temperature by log loss, then the threshold for F1, or for cost, of the probabilities that it makes."""
        chosen = {TEMPERATURE: _temperature(fitted), THRESHOLD: HALF}
        positive_N = np.concatenate([_label(view).value == 1 for _, view in fitted])
        score_N = np.concatenate([self.predict(one.settled(chosen), view)[:, 1] for one, view in fitted])
        costs = self.task.costs
        if costs is None:
            return {**chosen, THRESHOLD: threshold(positive_N, score_N)}
        return {**chosen, THRESHOLD: cheapest(positive_N, score_N, _both(costs), costs.threshold)}

    def positives(self, view: View, chosen: Mask) -> int:
        """Count the chosen rows of the class that is looked for."""
        return int((_label(view).value[chosen] == 1).sum())

    def _worded(self, told: str, names: Sequence[str], said: FloatArray) -> str:
        return f"{told} ({100 * said[1]:.1f} % {names[1]})"  # beside a threshold of its own

    def curves(self, view: View, predicted: Mapping[str, FloatArray]) -> tuple[Curve, ...]:
        """Precision against recall, and how often what is said to be probable is so."""
        positive, scores = _label(view).value == 1, {name: said[:, 1] for name, said in predicted.items()}
        if not positive.any():
            return ()
        drawn = (precision_and_recall(positive, scores), *reliability(positive, scores))
        return drawn if self.task.costs is None else (*drawn, by_cost(positive, scores, _both(self.task.costs)))


def _both(costs: Costs) -> tuple[float, float]:
    return costs.false_positive, costs.false_negative


def _of(metric: Metric, rows: Judged, counts_RN: FloatArray) -> FloatArray:
    return metric(counts_RN, rows)


def checked(predictor: ClassEstimator, view: View) -> FloatArray:
    """The probabilities [N, classes or tags of the predictor].

    Raises:
        CrossliftError: they have another shape, or are none.
    """
    said = np.asarray(predictor.probabilities(view.fields[FEATURES]), dtype=np.float64)
    expected = (len(view), len(predictor.classes))
    if said.shape != expected:
        raise CrossliftError(f"probabilities: expected the shape {expected} (rows, classes), got {said.shape}.")
    wrong = np.flatnonzero(~((said >= -_ROUNDING) & (said <= 1 + _ROUNDING)).all(axis=1))
    if len(wrong):
        raise CrossliftError(
            f"probabilities: {len(wrong)} of {len(said)} rows have one that is not between 0 and 1, the first is row "
            f"{wrong[0]}; the model did not converge. Lower training.learning_rate, or look at the lane's training "
            "curve."
        )
    return said


def _label(view: View) -> ClassLabel:
    assert isinstance(view.label, ClassLabel)
    return view.label


def _temperature(fitted: Sequence[tuple[ClassEstimator, View]]) -> float:
    """Of the rows of each predictor whose class it knows, over all classes that any predictor knows."""
    place = {name: at for at, name in enumerate(dict.fromkeys(name for one, _ in fitted for name in one.classes))}
    class_N, probability_NK = [np.empty(0, np.int64)], [np.empty((0, max(len(place), 1)))]
    for predictor, view in fitted:
        label, own = _label(view), set(predictor.classes)
        known = np.array([place[name] if name in own else -1 for name in label.classes], dtype=np.int64)[label.value]
        if not (known >= 0).any():
            continue
        said = np.zeros(((known >= 0).sum(), len(place)))
        said[:, [place[name] for name in predictor.classes]] = checked(predictor, view.take(known >= 0))
        class_N.append(known[known >= 0])
        probability_NK.append(said)
    return temperature(np.concatenate(class_N), np.concatenate(probability_NK))
