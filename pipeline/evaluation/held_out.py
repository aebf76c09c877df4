"""The target's test rows with all that is needed to judge them: made once, used for every lane and the champion.

Shapes: N test rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline import columns as c
from pipeline.config import JudgeSettings, names_of
from pipeline.errors import CrossliftError
from pipeline.evaluation.comparison import ALL, UNMARKED, Comparison, LaneInfo, Part, View, view
from pipeline.evaluation.statistics import Scores, resample
from pipeline.evaluation.terms import CHAMPION, Terms
from pipeline.labels.curves import Curve
from pipeline.labels.kind import LabelKind
from pipeline.rows.kind import Prepared, Served
from pipeline.tasks.labels import build_label
from pipeline.tasks.slices import slice_rows
from pipeline.views import ROW, FloatArray, Mask, Predictor, Slice
from pipeline.views import View as Rows

_FEW_DRAWS = 100  # that show whether a metric can be drawn at all


@dataclass(frozen=True)
class HeldOut:
    """Test rows and how they are judged.

    Args:
        scenario: What a verdict may read of it.
        label: The kind of label that is gated.
        prepared: The prepared domains.
        rows: [N] the target's test rows.
        marks: What the audit marked, columns domain, row, kind.
    """

    scenario: JudgeSettings
    label: LabelKind
    prepared: Prepared
    rows: Rows
    marks: pd.DataFrame

    @classmethod
    def of(cls, scenario: JudgeSettings, prepared: Prepared, marks: pd.DataFrame) -> "HeldOut":
        """Take the target's test rows.

        Raises:
            CrossliftError: there is none, though the target has labels.
        """
        rows = prepared.held_out(c.TEST)
        if not len(rows) and scenario.target_labels:
            raise CrossliftError(
                f"{scenario.target}: expected test rows that can be judged, got none; look at the scenario's split and "
                "at the quarantine of `validate`."
            )
        return cls(scenario, build_label(scenario.task), prepared, rows, marks)

    @property
    def terms(self) -> Terms:
        """By what the lanes are judged."""
        return Terms(self.scenario.gate, self.label.gated, self.label.words, self.scenario.seed)

    @property
    def unmarked(self) -> Mask:
        """Which rows [N] carry no mark of any kind: those that the gate counts."""
        return ~self.rows.rows[ROW].isin(self._marked).to_numpy()

    def predict(self, predictor: Predictor) -> FloatArray:
        """What one lane says of all rows: [N] or [N, M]."""
        return self.label.predict(predictor, self.rows)

    def chance(self) -> FloatArray:
        """What a scorer that knows nothing says of all rows: [N] or [N, M]."""
        return self.label.chance(self.rows)

    def time(self, predictor: Predictor) -> float | None:
        """Time one prediction, in seconds; None where there is nothing to predict."""
        return self.label.latency(predictor, self.rows)

    def scores(self, predicted: Mapping[str, FloatArray], *, marked: bool = False) -> Scores:
        """Make what the gate judges: the gated metric on unmarked rows, or on all of them."""
        return self._scores(predicted, self.unmarked | marked, (self.terms.metric,))

    def scores_beside(self, predicted: Mapping[str, FloatArray], served: Served) -> Scores:
        """Make the same with a lane `champion`, on the rows that it did not learn from.

        Args:
            predicted: What tonight's lanes say, [N] or [N, M].
            served: The champion.
        """
        allowed = self.unmarked & ~served.learnt.knows(self.prepared, self.rows)
        said = self.label.predict(served.on(self.prepared), self.rows.take(allowed))
        own = np.ones((len(self.rows), *said.shape[1:]))
        own[allowed] = said
        return self._scores({**predicted, CHAMPION: own}, allowed, (self.terms.metric,))

    def count_new(self, before: Prepared) -> int:
        """Count the unmarked rows that were no test rows of an earlier night."""
        told = before.named(before.held_out(c.TEST))
        return int((self.unmarked & ~self.prepared.named(self.rows).isin(told)).sum())

    def compare(self, predicted: Mapping[str, FloatArray], lanes: tuple[LaneInfo, ...]) -> Comparison:
        """Put all lanes side by side; lanes of the scenario that are not among `lanes` have failed."""
        scenario = self.scenario
        tested = self.marks[(self.marks["domain"] == scenario.target) & self.marks["row"].isin(self.rows.rows[ROW])]
        failed = set(names_of(scenario)) - {lane.name for lane in lanes}
        return Comparison(
            scenario=scenario.name, title=scenario.title, sources=scenario.teachers, target=scenario.target,
            seed=scenario.seed, target_share=scenario.target_share,
            stratified=scenario.thinning == "stratified", metric=self.terms.metric, watched=self.label.watched,
            metrics=self.label.metrics, level=self.terms.level, resamples=scenario.gate.resamples,
            judged=self.label.told(self.rows),
            marks={name: _by_kind(self.marks[self.marks["domain"] == name]) for name in scenario.domains},
            test_marks=_by_kind(tested), lanes=lanes,
            failed=tuple(name for name in names_of(scenario) if name in failed),
            target_labels=scenario.target_labels, views=self._views(predicted, lanes),
            curves=self._curves(predicted), information=self._information(predicted),
        )  # fmt: skip

    def _information(self, predicted: Mapping[str, FloatArray]) -> dict[str, float]:
        """What each lane's answers tell of the rows without marks, where its kind of label can say so."""
        rows = self.rows.take(self.unmarked)
        found = {name: self.label.information(rows, said[self.unmarked]) for name, said in predicted.items()}
        return {name: round(told, 10) for name, told in found.items() if told is not None}

    def _views(self, predicted: Mapping[str, FloatArray], lanes: tuple[LaneInfo, ...]) -> dict[str, View]:
        """All rows and the unmarked ones, as far as the gated metric is defined on them.

        Raises:
            CrossliftError: it is not defined on all rows, though the target has labels.
        """
        unmarked, every = self.unmarked, np.ones(len(self.rows), dtype=np.bool_)
        if not self._tells(predicted, every):
            if self.scenario.target_labels:
                raise CrossliftError(
                    f"{self.scenario.target}: {self.label.words.name(self.label.gated)} is not defined on the "
                    f"{len(self.rows):,} test rows, or on hardly any draw of them: a class has too few of them, or "
                    "none; take a larger share for the test, bring more rows, or gate another metric."
                )
            return {}
        slices = slice_rows(self.scenario.task, self.rows)
        views = {ALL: self._view(predicted, lanes, every, slices)}
        if unmarked.all():
            views[UNMARKED] = views[ALL]
        elif self._tells(predicted, unmarked):
            views[UNMARKED] = self._view(predicted, lanes, unmarked, slices)
        return views

    def _tells(self, predicted: Mapping[str, FloatArray], chosen: Mask) -> bool:
        """Whether the gated metric is defined on some of the rows, and on one of a few draws of their units."""
        if not predicted or not chosen.any():
            return False
        first = dict([next(iter(predicted.items()))])
        [found] = resample(
            self._scores(first, chosen, (self.terms.metric,)).lanes, _FEW_DRAWS, self.terms.seed
        ).values()
        return not np.isnan(found.value).any() and not np.isnan(found.drawn).all()

    def _curves(self, predicted: Mapping[str, FloatArray]) -> tuple[Curve, ...]:
        chosen = self.unmarked if self._tells(predicted, self.unmarked) else np.ones(len(self.rows), dtype=np.bool_)
        return self.label.curves(self.rows.take(chosen), {name: said[chosen] for name, said in predicted.items()})

    def _view(
        self,
        predicted: Mapping[str, FloatArray],
        lanes: tuple[LaneInfo, ...],
        chosen: Mask,
        slices: list[Slice],
    ) -> View:
        parts = [
            Part(part.by, part.label, self._scores(predicted, chosen & part.rows, (self.terms.metric,)))
            for part in slices
        ]
        return view(self.terms, lanes, self._scores(predicted, chosen, self.label.metrics), parts)

    @property
    def _marked(self) -> "pd.Series[int]":
        return self.marks.loc[self.marks["domain"] == self.scenario.target, "row"]

    def _scores(self, predicted: Mapping[str, FloatArray], chosen: Mask, metrics: tuple[str, ...]) -> Scores:
        """Make statistics of the chosen rows [N]."""
        lanes = {name: self.label.statistic(self.rows, said, chosen, metrics) for name, said in predicted.items()}
        return Scores(metrics, lanes, rows=int(chosen.sum()), positives=self.label.positives(self.rows, chosen))


def _by_kind(marks: pd.DataFrame) -> dict[str, int]:
    return {str(kind): int(count) for kind, count in marks.groupby("kind", observed=True).size().items()}
