"""Which validation rows choose settings, epochs and lanes, and how a predictor is judged on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from pipeline import columns as c
from pipeline.config import BaselineSettings, FitSettings, PreparedSettings, TuneSettings
from pipeline.errors import DataError
from pipeline.labels.kind import LabelKind
from pipeline.rows.kind import Prepared
from pipeline.tasks.labels import build_label
from pipeline.views import ROW, UNIT, Chosen, FloatArray, Predictor, View, Views


@dataclass(frozen=True)
class Chooser:
    """Validation rows of one domain, which `prepared` has for its target."""

    label: LabelKind
    prepared: Prepared
    view: View

    @classmethod
    def of_source(cls, settings: FitSettings, sources: Prepared) -> Self:
        """The validation rows of the first source; marks say what a target's row is worth, so they do not count here.

        Raises:
            DataError: there is none, and the target has no labels that could choose instead.
        """
        view = sources.held_out(c.VALID)
        if not len(view) and not settings.target_labels:
            raise DataError(
                f"{sources.name}: there is no validation row, and {settings.target} has no labels that could "
                "choose instead; bring more rows of the source."
            )
        return cls(build_label(settings.task), sources, view)

    @classmethod
    def of_sources(cls, settings: FitSettings, sources: Prepared) -> tuple[Self, ...]:
        """One for each source's validation rows, that source in the target's place.

        Raises:
            DataError: as for `of_source`.
        """
        first, *others = sources.each_placed()
        found = cls.of_source(settings, first)
        return found, *(cls(found.label, one, one.held_out(c.VALID)) for one in others)

    @property
    def units(self) -> int:
        """How many units its metrics rest on."""
        return int(self.view.rows[UNIT].nunique())

    @property
    def domain(self) -> str:
        """Whose rows they are."""
        return self.view.domain

    @property
    def training(self) -> Views:
        """What may be learnt from while they choose."""
        return self.prepared.training({self.domain})

    def few(self, limit: int, total: int | None = None) -> Self:
        """Some of the rows, evenly spaced, so that every epoch is judged by the same ones.

        Args:
            limit: How many stay at most.
            total: Of how many, with those of other choosers; None: of its own.
        """
        step = max(1, -(-(len(self.view) if total is None else total) // limit))
        return replace(self, view=self.view.take(slice(None, None, step)))

    def predict(self, predictor: Predictor) -> tuple[View, FloatArray]:
        """What a predictor says of the rows."""
        return self.view, self.label.predict(predictor, self.view)

    def metrics(self, predictor: Predictor) -> dict[str, float]:
        """Every metric that the rows define; see `defined`."""
        return self.defined([self.predict(predictor)])

    def defined(self, judged: Sequence[tuple[View, FloatArray]]) -> dict[str, float]:
        """Every metric of what was said of these rows, of those that they define.

        Raises:
            DataError: the gated one is none of them.
        """
        found = self.label.values(judged)
        if np.isnan(found[self.label.gated]):
            rows = sum(len(view) for view, _ in judged)
            raise DataError(
                f"{self.domain}: {self.label.words.name(self.label.gated)} of the {rows} validation rows "
                "without marks is not defined, so nothing can be chosen by it: all may be of one class, or too few; "
                "bring more rows of the target, take a larger share or another draw, or state another split."
            )
        return {name: value for name, value in found.items() if not np.isnan(value)}

    def worth(self, metrics: Mapping[str, float]) -> float:
        """The one metric that chooses and is gated; higher is better."""
        return self._worth(metrics, self.label.gated)

    def watched(self, judged: Sequence[tuple[View, FloatArray]]) -> float:
        """The metric that is watched while a network is fitted, of all these rows together; higher is better."""
        return self._worth(self.label.values(judged), self.label.watched)

    def _worth(self, metrics: Mapping[str, float], name: str) -> float:
        return self.label.words.sign(name) * metrics[name]


@dataclass(frozen=True)
class Folds:
    """Choosers of one domain, each for the rows that one fit holds back: most often one, for the validation rows.

    Where validation rows are few, training rows choose with them: each fold of all while the others train, and what is
    chosen is what all folds together say.
    """

    each: tuple[Chooser, ...]

    @classmethod
    def of_target(cls, settings: PreparedSettings, prepared: Prepared, marks: Path) -> Self:
        """The target's folds, without rows that the audit marked.

        Raises:
            DataError: no row is left.
        """
        label, marked = build_label(settings.task), _marked(prepared, marks)
        every = [(fold, fold.held_out(c.VALID)) for fold in prepared.folds()]
        left = [(fold, view, np.flatnonzero(~view.rows[ROW].isin(marked).to_numpy())) for fold, view in every]
        if found := tuple(Chooser(label, fold, view.take(rows)) for fold, view, rows in left if len(rows)):
            return cls(found)
        rows = sum(len(view) for _, view in every)
        why = (
            f"no validation row is left that the audit did not mark ({rows} are marked)" if rows
            else "it has no validation row, and is left with too few units to choose in folds instead"
        )  # fmt: skip
        raise DataError(
            f"{prepared.name}: {why}, so nothing can be chosen; bring more rows of the target, take a larger share, or "
            "state another split."
        )

    @classmethod
    def of(cls, settings: TuneSettings | BaselineSettings, prepared: Prepared, marks: Path) -> Self:
        """The target's folds; the first source's validation rows where the lane may see no label of the target.

        Raises:
            DataError: no row is left that the audit did not mark.
        """
        if settings.target_labels or settings.oracle:
            return cls.of_target(settings, prepared, marks)
        found = Chooser.of_source(settings, prepared.of_sources())
        return cls((replace(found, view=found.prepared.stand_in(settings.bridges)),))

    @property
    def first(self) -> Chooser:
        """What all have in common stands in each."""
        return self.each[0]

    @property
    def units(self) -> int:
        """How many units the metrics rest on."""
        return sum(one.units for one in self.each)

    def few(self, limit: int) -> Self:
        """Some of the rows of each; see `Chooser.few`."""
        total = sum(len(one.view) for one in self.each)
        return replace(self, each=tuple(one.few(limit, total) for one in self.each))

    def metrics(self, predictors: Sequence[Predictor]) -> dict[str, float]:
        """Every metric of all rows together, each told by the predictor of its fold; see `Chooser.defined`."""
        return self.first.defined([one.predict(told) for one, told in zip(self.each, predictors, strict=True)])

    def score(self, predictors: Sequence[Predictor]) -> float:
        """The worth of what the predictors say."""
        return self.first.worth(self.metrics(predictors))

    def settle(self, predictors: Sequence[Predictor]) -> Chosen:
        """What is chosen last."""
        return self.first.label.settle([(told, one.view) for one, told in zip(self.each, predictors, strict=True)])

    def refuse_undefined(self) -> None:
        """Refuse rows by which no lane could be chosen, before any is fitted.

        Raises:
            DataError: the gated metric is not defined on them.
        """
        self.first.defined([(one.view, self.first.label.chance(one.view)) for one in self.each])


def _marked(prepared: Prepared, path: Path) -> "pd.Series[int]":
    """The rows of the target that the audit marked."""
    marks = pd.read_parquet(path)
    return marks.loc[marks["domain"] == prepared.name, "row"]
