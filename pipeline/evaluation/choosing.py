"""Which validation rows choose settings, epochs and lanes, and how a predictor is judged on them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from pipeline import columns as c
from pipeline.config import Scenario
from pipeline.errors import DataError
from pipeline.labels.kind import LabelKind
from pipeline.rows.kind import Prepared
from pipeline.views import ROW, UNIT, FloatArray, Predictor, View, Views


@dataclass(frozen=True)
class Chooser:
    """Validation rows of one domain, which `prepared` has for its target."""

    scenario: Scenario
    label: LabelKind
    prepared: Prepared
    view: View

    @classmethod
    def of(cls, scenario: Scenario, label: LabelKind, prepared: Prepared, lane: str, marks: pd.DataFrame) -> Self:
        """The target's validation rows; the first source's where the target has no labels that the lane may see.

        Raises:
            DataError: no row is left that the audit did not mark.
        """
        if scenario.target_labels or lane in scenario.oracles:
            return cls(scenario, label, prepared, _unmarked(prepared, marks))
        found = cls.of_source(scenario, label, prepared.of_sources())
        return replace(found, view=found.prepared.stand_in(scenario.bridges))

    @classmethod
    def of_source(cls, scenario: Scenario, label: LabelKind, sources: Prepared) -> Self:
        """The validation rows of the first source; marks say what a target's row is worth, so they do not count here.

        Raises:
            DataError: there is none, and the target has no labels that could choose instead.
        """
        view = sources.held_out(c.VALID)
        if not len(view) and not scenario.target_labels:
            raise DataError(
                f"{sources.name}: there is no validation row, and {scenario.target} has no labels that could "
                "choose instead: each user with four or more training rows gives one; bring more rows of the source."
            )
        return cls(scenario, label, sources, view)

    @classmethod
    def of_sources(cls, scenario: Scenario, label: LabelKind, sources: Prepared) -> tuple[Self, ...]:
        """One for each source's validation rows, that source in the target's place.

        Raises:
            DataError: as for `of_source`.
        """
        first, *others = sources.each_placed()
        found = cls.of_source(scenario, label, first)
        return found, *(cls(scenario, label, one, one.held_out(c.VALID)) for one in others)

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

    def few(self, total: int | None = None) -> Self:
        """Some of the rows, evenly spaced, so that every epoch is judged by the same ones.

        Args:
            total: How many rows there are, with those of other choosers; of them `training.valid_users` stay at most.
        """
        step = max(1, -(-(len(self.view) if total is None else total) // self.scenario.training.valid_users))
        return replace(self, view=self.view.take(slice(None, None, step)))

    def predict(self, predictor: Predictor) -> tuple[View, FloatArray]:
        """What a predictor says of the rows."""
        return self.view, self.label.predict(predictor, self.view)

    def metrics(self, predictor: Predictor) -> dict[str, float]:
        """Every metric."""
        return self.label.values([self.predict(predictor)])

    def score(self, predictor: Predictor) -> float:
        """The one metric that chooses and is gated."""
        return self.metrics(predictor)[self.label.gated]


def score_together(choosers: Sequence[Chooser], predictors: Sequence[Any]) -> float:
    """The metric that chooses over the rows of several choosers, each with its own predictor."""
    judged = [chooser.predict(predictor) for chooser, predictor in zip(choosers, predictors, strict=True)]
    return choosers[0].label.values(judged)[choosers[0].label.gated]


def _unmarked(prepared: Prepared, marks: pd.DataFrame) -> View:
    """The target's validation rows that the audit did not mark."""
    view = prepared.held_out(c.VALID)
    marked = marks.loc[marks["domain"] == prepared.name, "row"]
    unmarked = np.flatnonzero(~view.rows[ROW].isin(marked).to_numpy())
    if not len(unmarked):
        raise DataError(
            f"{prepared.name}: no validation row is left that the audit did not mark ({len(view)} are marked), "
            "so nothing can be chosen; bring more rows of the target, take a larger share, or state another split."
        )
    return view.take(unmarked)
