"""The kind of label that is tags: a row has none, one or several of them.

Shapes: N rows of a view, K tags of its label. What is judged of a row are K probabilities and, as ones and zeros, which
tags are told.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pipeline.config import MultilabelTask
from pipeline.labels import tags as m
from pipeline.labels.answers import Answer, Answers
from pipeline.labels.class_kind import FEWEST, TEMPERATURE, THRESHOLD, checked
from pipeline.labels.classes import information
from pipeline.labels.curves import Curve, precision_and_recall, reliability
from pipeline.labels.effects import mean_effects
from pipeline.labels.example_words import tag_words
from pipeline.labels.settling import HALF, tag_temperature, tag_thresholds
from pipeline.labels.statistic import Recomputed
from pipeline.labels.timing import one_by_one
from pipeline.labels.words import Words
from pipeline.views import ClassEstimator, FloatArray, IntArray, Mask, TagLabel, View

# name -> metric from counts [R, N], whether a row has each tag, and one of: its probabilities, what is told
_BY_PROBABILITY = {"macro_auprc": m.macro_auprc, "macro_auroc": m.macro_auroc, "log_loss": m.log_loss}
_BY_WHAT_IS_TOLD = {"macro_f1": m.macro_f1, "micro_f1": m.micro_f1}


@dataclass(frozen=True)
class Tags:
    """Several tags a row, each by its probability."""

    task: MultilabelTask

    @property
    def words(self) -> Words:
        """Names, units and sentences."""
        return tag_words(self.task)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all metrics."""
        return (*_BY_PROBABILITY, *_BY_WHAT_IS_TOLD)

    @property
    def gated(self) -> str:
        """The task's metric."""
        return self.task.metric

    @property
    def watched(self) -> str:
        """The log loss, which every row moves."""
        return "log_loss"

    @property
    def fewest(self) -> int:
        """With fewer rows one of them decides the log loss."""
        return FEWEST

    def told(self, view: View) -> str:
        """How many rows and tags there are."""
        value = _label(view).value
        different = int(value.any(axis=0).sum())
        return f"{len(view):,} rows are judged; they have {int(value.sum()):,} tags, {different:,} of them different."

    def predict(self, predictor: ClassEstimator, view: View) -> FloatArray:
        """What is said of each row: [N, 2 K].

        A tag that the predictor does not know has the probability zero and is not told; what it says of a tag that the
        view does not have is left out.

        Raises:
            CrossliftError: the probabilities have another shape, or are none.
        """
        tags = len(_label(view).classes)
        said = np.zeros((len(view), 2 * tags))
        if not len(view):
            return said
        at, known = _places(predictor, view)
        own = checked(predictor, view)
        said[:, at] = own[:, known]
        said[:, tags + at] = predictor.decided(own)[:, known]
        return said

    def chance(self, view: View) -> FloatArray:
        """The share of each tag among the rows, for all of them; told are those that at least half of them have."""
        shares = _label(view).value.sum(axis=0) / max(len(view), 1)
        return np.tile(np.concatenate([shares, shares >= HALF]), (len(view), 1))

    def settle(self, fitted: Sequence[tuple[Any, View]]) -> dict[str, float | list[float]]:
        """A temperature by log loss, then the threshold of each tag for F1 of the probabilities that it makes.

        Of one predictor: a tag is told by its place among those that it knows.
        """
        [(predictor, view)] = fitted
        at, known = _places(predictor, view)
        has = np.zeros((len(view), len(predictor.classes)), dtype=np.bool_)
        has[:, known] = _label(view).value[:, at]
        if not len(view):
            return {TEMPERATURE: 1.0, THRESHOLD: [HALF] * len(predictor.classes)}
        chosen = {TEMPERATURE: tag_temperature(has, checked(predictor, view))}
        return {**chosen, THRESHOLD: tag_thresholds(has, checked(predictor.settled(chosen), view))}

    def statistic(self, view: View, predicted: FloatArray, chosen: Mask, metrics: Sequence[str]) -> Recomputed:
        """Metrics of the chosen rows; those of a unit are drawn together."""
        units, unit_of_row = np.unique(view.units[chosen], return_inverse=True)
        made = _made(_label(view).value[chosen], predicted[chosen])
        return Recomputed([made[name] for name in metrics], unit_of_row.astype(np.int64), len(units))

    def values(self, judged: Sequence[tuple[View, FloatArray]]) -> dict[str, float]:
        """Every metric over the rows of all views together; they have the same tags."""
        value = np.concatenate([_label(view).value for view, _ in judged])
        made = _made(value, np.concatenate([said for _, said in judged]))
        once = np.ones((1, len(value)))
        return {name: float(metric(once)[0]) for name, metric in made.items()}

    def positives(self, view: View, chosen: Mask) -> int:
        """Count the chosen rows that have a tag."""
        return int(_label(view).value[chosen].any(axis=1).sum())

    def curves(self, view: View, predicted: Mapping[str, FloatArray]) -> tuple[Curve, ...]:
        """Precision against recall, and reliability, of all rows and tags together."""
        value = _label(view).value
        if not value.any():
            return ()
        scores = {name: said[:, : value.shape[1]].ravel() for name, said in predicted.items()}
        made = precision_and_recall(value.ravel(), scores), *reliability(value.ravel(), scores)
        return tuple(one.model_copy(update={"title": f"{one.title} (all tags together)"}) for one in made)

    def truth(self, view: View) -> list[Answers]:
        """The tags of each row."""
        label = _label(view)
        return [_worded([label.classes[place] for place in np.flatnonzero(has)]) for has in label.value]

    def answers(self, predictor: ClassEstimator, view: View) -> list[Answers]:
        """The tags that are told of each row, the most probable first."""
        names, said = _label(view).classes, self.predict(predictor, view)
        found = []
        for probable, told in zip(said[:, : len(names)], said[:, len(names) :] > HALF, strict=True):
            order = [place for place in np.argsort(-probable, kind="stable") if told[place]]
            found.append(_worded([names[place] for place in order]))
        return found

    def effects(self, predictor: Any, view: View) -> dict[str, float]:
        """The mean absolute part of each feature."""
        return mean_effects(predictor, view)

    def information(self, view: View, predicted: FloatArray) -> float | None:
        """Between a row and whether it has a tag, the mean over the tags."""
        said_NK = predicted[:, : len(_label(view).classes)]
        each = [information(np.stack([1 - said_N, said_N], axis=1)) for said_N in said_NK.T]
        return float(np.mean(each)) if len(view) and each else None

    def latency(self, predictor: ClassEstimator, view: View) -> float | None:
        """Seconds for one row: the median over a few, after a first try."""
        return one_by_one(predictor.probabilities, view)


def _made(has_NK: Mask, said: FloatArray) -> dict[str, Callable[[FloatArray], FloatArray]]:
    """All metrics of some rows, from counts [R, N] to values [R]."""
    tags = has_NK.shape[1]
    said = said.reshape(len(has_NK), 2 * tags)  # what was kept without a row has lost its width
    probability, told = said[:, :tags], said[:, tags:] > HALF
    by_probability = {
        name: partial(one, has_NK=has_NK, probability_NK=probability) for name, one in _BY_PROBABILITY.items()
    }
    return {
        **by_probability,
        **{name: partial(one, has_NK=has_NK, told_NK=told) for name, one in _BY_WHAT_IS_TOLD.items()},
    }


def _worded(tags: Sequence[str]) -> Answers:
    return tuple(Answer(key=tag, text=tag) for tag in tags) or (Answer(key="", text="no tag"),)


def _places(predictor: ClassEstimator, view: View) -> tuple[IntArray, IntArray]:
    """The places among the view's tags, and among the predictor's, of those that both know."""
    wanted = {name: place for place, name in enumerate(_label(view).classes)}
    both = [(wanted[name], place) for place, name in enumerate(predictor.classes) if name in wanted]
    at, known = np.array(both, dtype=np.int64).reshape(-1, 2).T
    return at, known


def _label(view: View) -> TagLabel:
    assert isinstance(view.label, TagLabel)
    return view.label
