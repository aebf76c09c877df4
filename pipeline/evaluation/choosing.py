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
from pipeline.views import ROW, UNIT, FloatArray, Predictor, View, Views


@dataclass(frozen=True)
class Chooser:
    """Validation rows of one domain, which `prepared` has for its target."""

    label: LabelKind
    prepared: Prepared
    view: View

    @classmethod
    def of_target(cls, settings: PreparedSettings, prepared: Prepared, marks: Path) -> Self:
        """The target's validation rows that the audit did not mark.

        Raises:
            DataError: no row is left.
        """
        return cls(build_label(settings.task), prepared, _unmarked(prepared, marks))

    @classmethod
    def of(cls, settings: TuneSettings | BaselineSettings, prepared: Prepared, marks: Path) -> Self:
        """The target's validation rows; the first source's where the target has no labels that the lane may see.

        Raises:
            DataError: no row is left that the audit did not mark.
        """
        if settings.target_labels or settings.oracle:
            return cls.of_target(settings, prepared, marks)
        found = cls.of_source(settings, prepared.of_sources())
        return replace(found, view=found.prepared.stand_in(settings.bridges))

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
        """Every metric that the rows define; see `judged`."""
        return self.judged(self.predict(predictor)[1])

    def judged(self, said: FloatArray) -> dict[str, float]:
        """Every metric of what was said of the rows, of those that they define.

        Raises:
            DataError: the gated one is none of them.
        """
        found = self._defined(said)
        return {name: value for name, value in found.items() if not np.isnan(value)}

    def refuse_undefined(self) -> None:
        """Refuse rows by which no lane could be chosen, before any is fitted.

        Raises:
            DataError: the gated metric is not defined on them.
        """
        self._defined(self.label.chance(self.view))

    def _defined(self, said: FloatArray) -> dict[str, float]:
        """Every metric of what was said of the rows; the gated one is defined."""
        found = self.label.values([(self.view, said)])
        if np.isnan(found[self.label.gated]):
            raise DataError(
                f"{self.domain}: {self.label.words.name(self.label.gated)} of the {len(self.view)} validation rows "
                "without marks is not defined, so nothing can be chosen by it: all may be of one class, or too few; "
                "bring more rows of the target, take a larger share or another draw, or state another split."
            )
        return found

    def score(self, predictor: Predictor) -> float:
        """The worth of what a predictor says."""
        return self.worth(self.metrics(predictor))

    def worth(self, metrics: Mapping[str, float]) -> float:
        """The one metric that chooses and is gated; higher is better."""
        return self._worth(metrics, self.label.gated)

    def watched(self, judged: Sequence[tuple[View, FloatArray]]) -> float:
        """The metric that is watched while a network is fitted, of all these rows together; higher is better."""
        return self._worth(self.label.values(judged), self.label.watched)

    def _worth(self, metrics: Mapping[str, float], name: str) -> float:
        return self.label.words.sign(name) * metrics[name]


def _unmarked(prepared: Prepared, path: Path) -> View:
    """The target's validation rows that the audit did not mark."""
    view, marks = prepared.held_out(c.VALID), pd.read_parquet(path)
    marked = marks.loc[marks["domain"] == prepared.name, "row"]
    unmarked = np.flatnonzero(~view.rows[ROW].isin(marked).to_numpy())
    if not len(unmarked):
        raise DataError(
            f"{prepared.name}: no validation row is left that the audit did not mark ({len(view)} are marked), "
            "so nothing can be chosen; bring more rows of the target, take a larger share, or state another split."
        )
    return view.take(unmarked)
