"""A candidate against one reference: the difference, the margin, and what the test rows can show at all.

Shapes: R resamples. Values are turned so that more is better.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from pipeline.evaluation.bootstrap import Estimate, estimate, undefined
from pipeline.evaluation.statistics import FloatArray, Scores, resample
from pipeline.evaluation.terms import CHANCE, Terms

Outcome = Literal["passed", "failed", "undecided"]
Role = Literal["target-only", "counterpart", "chance", "best baseline", "refit", "champion"]
Demand = Literal["better", "not worse"]

_DIGITS = 10
_NOTHING = Estimate(value=0.0, low=0.0, high=0.0)


class Compared(BaseModel):
    """The candidate against one reference."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    reference: str
    units: int
    enough: bool  # there are two units, and the metric is defined on them; else nothing is said
    candidate_metric: float
    reference_metric: float
    difference: Estimate  # better by so much
    demand: Demand
    margin: float  # "not worse" allows so much, the same for all references on these rows
    with_margin: Estimate  # the difference with the margin added, resampled as a whole
    visible: float  # what these rows can show: half the width of an interval, known before the candidate is looked at
    undefined: int  # resamples on which the metric is not defined; they are left out
    outcome: Outcome

    @property
    def better(self) -> bool:
        """Whether the candidate is better beyond doubt."""
        return self.difference.low > 0

    @property
    def not_worse(self) -> bool:
        """Whether the candidate is beyond doubt not worse by the margin."""
        return self.with_margin.low > 0

    @property
    def powerless(self) -> bool:
        """Whether these rows could not have shown a difference as small as the margin."""
        return self.visible > self.margin


@dataclass(frozen=True)
class Drawn:
    """The gated metric of every lane on some test rows: its value, and what it was on each resample [R]."""

    units: int
    value: dict[str, float]
    drawn: dict[str, FloatArray]

    @classmethod
    def of(cls, terms: Terms, scores: Scores) -> "Drawn":
        """Draw all lanes together; with fewer than two units there is nothing to draw."""
        if scores.units < 2:
            return cls(scores.units, {}, {})
        place = scores.metrics.index(terms.metric)
        found = resample(scores.lanes, terms.gate.resamples, terms.seed)
        return cls(
            scores.units,
            {name: float(terms.sign * one.value[place]) for name, one in found.items()},
            {name: terms.sign * one.drawn[:, place] for name, one in found.items()},
        )

    @property
    def tells(self) -> bool:
        """Whether there are units enough, and the metric is defined on them and on a draw of them."""
        undefined = any(np.isnan(value) for value in self.value.values())
        return bool(self.value) and not undefined and not any(np.isnan(drawn).all() for drawn in self.drawn.values())


@dataclass(frozen=True)
class Rule:
    """What is the same for all comparisons of a candidate on the same rows.

    Args:
        terms: By what is judged.
        rows: The lanes on these rows, with `chance` among them.
        references: All that the candidate is held against, but for chance.
        anchors: Two lanes whose difference says what the rows can show.
    """

    terms: Terms
    rows: Drawn
    references: Sequence[str]
    anchors: tuple[str, str]

    def compare(self, candidate: str, reference: str, role: Role, demand: Demand) -> Compared:
        """Hold a candidate against a reference.

        It passes where the lower bound is above zero: of the difference where it must be better, of the difference with
        the margin where it must not be worse. It fails where the upper bound is not, or where the interval is no wider
        than the margin on either side and it still did not pass. All else is undecided.
        """
        rows, sign = self.rows, self.terms.sign
        if not rows.tells:
            return Compared(role=role, reference=reference, units=rows.units, enough=False, candidate_metric=0.0,
                            reference_metric=0.0, difference=_NOTHING, demand=demand, margin=0.0, with_margin=_NOTHING,
                            visible=0.0, undefined=0, outcome="undecided")  # fmt: skip
        value = rows.value[candidate] - rows.value[reference]
        drawn_R = rows.drawn[candidate] - rows.drawn[reference]
        margin, margin_R = self._margin()
        difference = estimate(value, drawn_R, self.terms.level)
        with_margin = estimate(value + margin, drawn_R + margin_R, self.terms.level)
        decides = difference if demand == "better" else with_margin
        outcome: Outcome = "undecided"
        if decides.low > 0:
            outcome = "passed"
        elif decides.high <= 0 or _half(decides) <= margin:
            outcome = "failed"
        return Compared(
            role=role, reference=reference, units=rows.units, enough=True,
            candidate_metric=round(sign * rows.value[candidate], _DIGITS),
            reference_metric=round(sign * rows.value[reference], _DIGITS), difference=difference, demand=demand,
            margin=round(margin, _DIGITS), with_margin=with_margin, visible=round(self._visible(), _DIGITS),
            undefined=undefined(drawn_R + margin_R), outcome=outcome,
        )  # fmt: skip

    def _margin(self) -> tuple[float, FloatArray]:
        """The share `delta` of the skill of the best reference, and the same on each resample; the floor where less."""
        gate, rows = self.terms.gate, self.rows
        if self.references:
            best = max(self.references, key=lambda name: rows.value[name])
            margin = gate.delta * (rows.value[best] - rows.value[CHANCE])
            if margin > gate.floor:
                return margin, gate.delta * (rows.drawn[best] - rows.drawn[CHANCE])
        return gate.floor, np.full(gate.resamples, gate.floor)

    def _visible(self) -> float:
        a, b = self.anchors
        rows = self.rows
        return _half(estimate(rows.value[a] - rows.value[b], rows.drawn[a] - rows.drawn[b], self.terms.level))


def _half(found: Estimate) -> float:
    return (found.high - found.low) / 2
