"""Several labels of the same rows, judged as one kind: metrics of all but the first carry the label's name.

Shapes: R resamples, N rows of a view, M numbers of a row: those of each label beside each other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pipeline.data.mistakes import Costs
from pipeline.labels.answers import Answer, Answers
from pipeline.labels.curves import Curve
from pipeline.labels.kind import LabelKind
from pipeline.labels.several_words import of_label, several_words
from pipeline.labels.statistic import Recomputed
from pipeline.labels.words import Words
from pipeline.views import FloatArray, Mask, View

Values = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Several:
    """Labels of rows that stand for themselves; the first chooses and is gated, and every row has it.

    Args:
        kinds: What each is, by its name, the gated one first.
    """

    kinds: Mapping[str, LabelKind]

    @property
    def first(self) -> LabelKind:
        """The kind of the gated label."""
        return next(iter(self.kinds.values()))

    @property
    def words(self) -> Words:
        """Names, units and sentences."""
        return several_words({name: kind.words for name, kind in self.kinds.items()})

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those of the first label, then those of each other with its name: `recommended.auprc`."""
        return tuple(of_label(self.kinds, name, metric) for name, kind in self.kinds.items() for metric in kind.metrics)

    @property
    def gated(self) -> str:
        """The first label's."""
        return self.first.gated

    @property
    def watched(self) -> str:
        """The first label's."""
        return self.first.watched

    @property
    def fewest(self) -> int:
        """The first label's."""
        return self.first.fewest

    def told(self, view: View) -> str:
        """What is done with each label."""
        alone = {name: _known(view, name) for name in self.kinds}
        return " ".join(f"{name}: {kind.told(alone[name])}" for name, kind in self.kinds.items())

    def predict(self, predictor: Any, view: View) -> FloatArray:
        """What is said of each row: [N, M].

        Raises:
            CrossliftError: what the predictor says of a label cannot be judged.
        """
        return np.hstack(
            [_columns(kind.predict(predictor.of_label(name), view.of_label(name))) for name, kind in self.kinds.items()]
        )

    def chance(self, view: View) -> FloatArray:
        """What a scorer that knows nothing says of each label, as those rows are that have it; zero where none has."""
        found = []
        for name, kind in self.kinds.items():
            known = _known(view, name)
            said = _columns(kind.chance(known))
            found.append(np.tile(said[:1], (len(view), 1)) if len(known) else np.zeros((len(view), said.shape[1])))
        return np.hstack(found)

    def settle(self, fitted: Sequence[tuple[Any, View]]) -> dict[str, float | list[float] | Costs]:
        """What is chosen last for each label that a row has, under `label.what`."""
        found: dict[str, float | list[float] | Costs] = {}
        for name, kind in self.kinds.items():
            known = [(one.of_label(name), rows) for one, view in fitted if len(rows := _known(view, name))]
            last = kind.settle(known) if known else {}
            found |= {f"{name}.{what}": value for what, value in last.items()}
        return found

    def statistic(self, view: View, predicted: FloatArray, chosen: Mask, metrics: Sequence[str]) -> Recomputed:
        """Metrics of the chosen rows, of each label over those of them that have it; a unit's are drawn together."""
        units, unit_of_row = np.unique(view.units[chosen], return_inverse=True)
        made: dict[str, Values] = {}
        for name, said in self._parts(view, predicted).items():
            own = {of_label(self.kinds, name, metric): metric for metric in self.kinds[name].metrics}
            asked = {key: metric for key, metric in own.items() if key in metrics}
            known = chosen & view.of_label(name).known
            if not asked or not known.any():
                made |= dict.fromkeys(asked, _nothing)
                continue
            alone = self.kinds[name].statistic(view.of_label(name), said, known, tuple(asked.values()))
            assert isinstance(alone, Recomputed)
            made |= {key: partial(_over, known[chosen], one) for key, one in zip(asked, alone.metrics, strict=True)}
        return Recomputed([made[name] for name in metrics], unit_of_row.astype(np.int64), len(units))

    def values(self, judged: Sequence[tuple[View, FloatArray]]) -> dict[str, float]:
        """Every metric over the rows of all views together, of each label over those that have it."""
        parts = [(view, self._parts(view, said)) for view, said in judged]
        found: dict[str, float] = {}
        for name, kind in self.kinds.items():
            alone = [(_known(view, name), said[name][view.of_label(name).known]) for view, said in parts]
            there = any(len(view) for view, _ in alone)
            values = kind.values(alone) if there else dict.fromkeys(kind.metrics, np.nan)
            found |= {of_label(self.kinds, name, metric): value for metric, value in values.items()}
        return found

    def positives(self, view: View, chosen: Mask) -> int | None:
        """Those of the first label."""
        return self.first.positives(view, chosen)

    def curves(self, view: View, predicted: Mapping[str, FloatArray]) -> tuple[Curve, ...]:
        """The curves of each label, with its name."""
        lanes = {lane: self._parts(view, said) for lane, said in predicted.items()}
        found: list[Curve] = []
        for name, kind in self.kinds.items():
            known = view.of_label(name).known
            drawn = kind.curves(_known(view, name), {lane: said[name][known] for lane, said in lanes.items()})
            found += [one.model_copy(update={"title": f"{name}: {one.title}"}) for one in drawn]
        return tuple(found)

    def truth(self, view: View) -> list[Answers]:
        """What each row has of each label."""
        return _beside({name: kind.truth(view.of_label(name)) for name, kind in self.kinds.items()})

    def answers(self, predictor: Any, view: View) -> list[Answers]:
        """What is told of each label."""
        return _beside(
            {name: kind.answers(predictor.of_label(name), view.of_label(name)) for name, kind in self.kinds.items()}
        )

    def effects(self, predictor: Any, view: View) -> dict[str, float]:
        """By how much each feature moves what is told of the first label."""
        name, kind = next(iter(self.kinds.items()))
        return kind.effects(predictor.of_label(name), view)

    def information(self, view: View, predicted: FloatArray) -> float | None:
        """That of the first label."""
        name = next(iter(self.kinds))
        return self.first.information(view.of_label(name), self._parts(view, predicted)[name])

    def latency(self, predictor: Any, view: View) -> float | None:
        """Seconds for all labels of one row."""
        found = [kind.latency(predictor.of_label(name), view) for name, kind in self.kinds.items()]
        return sum(one for one in found if one is not None) if len(view) else None

    def _parts(self, view: View, predicted: FloatArray) -> dict[str, FloatArray]:
        """What is said of each label: [N] or [N, M] as its kind has it."""
        widths = {name: kind.chance(view.of_label(name).take(slice(0))).shape[1:] for name, kind in self.kinds.items()}
        ends = np.cumsum([one[0] if one else 1 for one in widths.values()])
        whole = predicted.reshape(len(view), int(ends[-1]))  # what was kept without a row has lost its width
        cut = np.split(whole, ends[:-1], axis=1)
        return {name: part if one else part[:, 0] for (name, one), part in zip(widths.items(), cut, strict=True)}


def _known(view: View, name: str) -> View:
    """The rows that have a label, with it alone."""
    alone = view.of_label(name)
    return alone.take(alone.known)


def _columns(said: FloatArray) -> FloatArray:
    return said[:, None] if said.ndim == 1 else said


def _over(known: Mask, metric: Values, counts_RN: FloatArray) -> FloatArray:
    return metric(counts_RN[:, known])


def _nothing(counts_RN: FloatArray) -> FloatArray:
    return np.full(len(counts_RN), np.nan)


def _beside(parts: Mapping[str, list[Answers]]) -> list[Answers]:
    """Answers of each row under each other, with the label's name."""
    named = [
        [tuple(Answer(key=f"{name}: {one.key}", text=f"{name}: {one.text}") for one in row) for row in rows]
        for name, rows in parts.items()
    ]
    return [sum(row, ()) for row in zip(*named, strict=True)]
