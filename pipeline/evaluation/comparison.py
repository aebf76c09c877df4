"""Every lane of a run beside the others, with intervals, with and without the rows that the audit marked.

Shapes: L lanes, M metrics, R resamples. Differences are written so that more is better.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from pipeline.config import JudgeSettings, alone_of, domains_of, names_of
from pipeline.evaluation.bootstrap import Estimate, estimate, holm, p_value, undefined
from pipeline.evaluation.statistics import Resampled, Scores, resample
from pipeline.evaluation.terms import TARGET_ONLY, Terms
from pipeline.labels.curves import Curve
from pipeline.results import Mixture

Kind = Literal["strategy", "baseline", "blend"]

ALL, UNMARKED = "all rows", "without marked rows"
_FEWEST = 10  # units below which a slice gets no interval


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Validated:
    """What validation says of a lane: its metrics and whose rows they are about, of a blend also its shares."""

    metrics: dict[str, float]
    domain: str
    mixture: Mixture | None = None


class LaneInfo(_Frozen):
    """What a lane is, and what validation says of it."""

    name: str
    kind: Kind
    domains: tuple[str, ...]
    counterpart: str | None  # the same method on the target alone; None where the lane does not use a source
    oracle: bool  # trained on labels that the target is declared not to have: shown, never chosen or promoted
    valid: dict[str, float]
    valid_domain: str  # whose validation rows `valid` is about


class Gain(_Frozen):
    """The difference of two lanes in the gated metric."""

    lane: str
    against: str
    transfer: bool  # the lane is held against its own counterpart, so the difference is what the source brought
    difference: Estimate
    p: float
    stands: bool  # by Holm's correction over all transfer gains of the table, unless the rows are too few to say so
    negative: bool  # a transfer gain whose upper bound is below zero


class SliceView(_Frozen):
    """The gated metric of each lane on some of the rows, and its difference to target-only."""

    by: str
    label: str
    rows: int
    units: int
    undefined: int  # resamples on which it is not defined; they are left out
    lanes: dict[str, Estimate]
    gains: dict[str, Estimate]
    by_source: dict[str, Estimate] = {}  # of each lane that has one, its difference to its counterpart


class View(_Frozen):
    """All lanes on one set of test rows."""

    rows: int
    units: int
    lanes: dict[str, dict[str, Estimate]]  # lane -> metric, such as "ndcg@10" -> estimate
    gains: tuple[Gain, ...]
    smallest_visible: float  # the median half-width of the differences to target-only
    undefined: dict[str, int]  # metric -> resamples on which it is not defined; they are left out
    slices: tuple[SliceView, ...]


class Comparison(_Frozen):
    """What the report tells, but for costs, which may differ between equal runs."""

    scenario: str
    title: str
    sources: tuple[str, ...]
    target: str
    seed: int
    target_share: float
    stratified: bool = False  # each class kept that share of its rows
    target_labels: bool
    metric: str
    metrics: tuple[str, ...]
    level: float
    resamples: int
    judged: str  # a sentence of the label kind: what was done with each unit
    marks: dict[str, dict[str, int]]  # domain -> kind -> marked rows, of all parts
    test_marks: dict[str, int]  # kind -> marked test rows of the target
    lanes: tuple[LaneInfo, ...]  # best validation metric first, oracles behind
    failed: tuple[str, ...]
    views: dict[str, View]  # ALL, and UNMARKED where enough rows are left to tell
    watched: str = ""  # the metric by epoch; empty in what an older version wrote
    information: dict[str, float] = {}  # lane -> how much its answers tell the rows apart; no label says it
    effects: dict[str, dict[str, float]] = {}  # lane -> feature -> by how much it moves what is told, in the mean
    curves: tuple[Curve, ...] = ()  # of all lanes, on rows without marks where enough are left


def describe_lanes(scenario: JudgeSettings, terms: Terms, valid: Mapping[str, Validated]) -> tuple[LaneInfo, ...]:
    """Describe the lanes that have validation metrics, the best in the gated one first, oracles behind.

    A lane that uses a source has the same method on the target alone for its counterpart, unless that is an oracle. A
    blend whose shares leave out every lane that learnt from a source is one of the target alone.
    """
    found: list[LaneInfo] = []
    domains = {"target": (scenario.target,), "source": scenario.teachers, "all": (*scenario.teachers, scenario.target)}
    kinds: dict[str, Kind] = dict.fromkeys(names_of(scenario), "strategy")
    kinds |= {one.name: "baseline" for one in scenario.baselines}
    kinds |= {one.name: "blend" for one in scenario.blends}
    uses, alone = domains_of(scenario), alone_of(scenario)
    for name, kind in kinds.items():
        if name in valid:
            own, mixture = alone[name], valid[name].mixture
            if mixture and all(uses[one] == "target" for _, share in mixture.groups for one in mixture.counting(share)):
                uses[name] = "target"
            has_own = uses[name] != "target" and own in valid and own not in scenario.oracles
            found.append(
                LaneInfo(name=name, kind=kind, domains=domains[uses[name]], counterpart=own if has_own else None,
                         oracle=name in scenario.oracles, valid=valid[name].metrics, valid_domain=valid[name].domain)
            )  # fmt: skip
    return tuple(sorted(found, key=lambda lane: (lane.oracle, -terms.sign * lane.valid[terms.metric], lane.name)))


@dataclass(frozen=True)
class Part:
    """Some of the test rows: what divides them, the group's name, and what is judged on them."""

    by: str
    label: str
    scores: Scores


def view(terms: Terms, lanes: Sequence[LaneInfo], scores: Scores, parts: Sequence[Part]) -> View:
    """Estimate every metric of every lane, the gains in the gated one, and the latter in parts of the rows.

    A metric that is not defined on these rows, or on no resample of them, is left out; the gated one must be defined.
    """
    names, metrics = [lane.name for lane in lanes], scores.metrics
    found = resample({name: scores.lanes[name] for name in names}, terms.gate.resamples, terms.seed)
    left_out = {metric: undefined(found[names[0]].drawn[:, j]) for j, metric in enumerate(metrics)}
    gains = _gains(terms, lanes, found, metrics.index(terms.metric), few=scores.few)
    halves = [(gain.difference.high - gain.difference.low) / 2 for gain in gains if gain.against == TARGET_ONLY]
    return View(
        rows=scores.rows,
        units=scores.units,
        lanes={
            name: {
                metric: _value(terms, found[name], j)
                for j, metric in enumerate(metrics)
                if left_out[metric] < terms.gate.resamples and not np.isnan(found[name].value[j])
            }
            for name in names
        },
        gains=gains,
        smallest_visible=round(float(np.median(halves)), 10) if halves else 0.0,
        undefined={metric: count for metric, count in left_out.items() if count},
        slices=tuple(told for part in parts if (told := _slice(terms, lanes, part)) is not None),
    )


def _value(terms: Terms, found: Resampled, metric: int) -> Estimate:
    return estimate(found.value[metric], found.drawn[:, metric], terms.level)


def _difference(terms: Terms, a: Resampled, b: Resampled, metric: int) -> Estimate:
    return estimate(
        terms.sign * (a.value[metric] - b.value[metric]),
        terms.sign * (a.drawn[:, metric] - b.drawn[:, metric]),
        terms.level,
    )


def _gains(
    terms: Terms, lanes: Sequence[LaneInfo], resampled: Mapping[str, Resampled], metric: int, *, few: bool
) -> tuple[Gain, ...]:
    """Difference of each lane to target-only and to its own counterpart, in one metric; of few rows none stands."""
    pairs = [(lane, TARGET_ONLY) for lane in lanes if lane.name != TARGET_ONLY and TARGET_ONLY in resampled]
    pairs += [(lane, lane.counterpart) for lane in lanes if lane.counterpart in resampled.keys() - {TARGET_ONLY}]
    found = []
    for lane, against in pairs:
        a, b = resampled[lane.name], resampled[against]
        difference = _difference(terms, a, b, metric)
        transfer = against == lane.counterpart
        found.append(
            Gain(lane=lane.name, against=against, transfer=transfer, difference=difference, stands=False,
                 p=round(p_value(a.drawn[:, metric] - b.drawn[:, metric]), 6),
                 negative=transfer and difference.high < 0)
        )  # fmt: skip
    transfers = [i for i, gain in enumerate(found) if gain.transfer]
    for i, stands in zip(transfers, holm([found[i].p for i in transfers], terms.gate.alpha), strict=True):
        found[i] = found[i].model_copy(update={"stands": stands and not few})
    return tuple(found)


def _slice(terms: Terms, lanes: Sequence[LaneInfo], part: Part) -> SliceView | None:
    """Estimate the gated metric on some of the rows; None where too few units are in it, or it is not defined."""
    scores, names = part.scores, [lane.name for lane in lanes]
    if scores.units < _FEWEST:
        return None
    metric = scores.metrics.index(terms.metric)
    found = resample({name: scores.lanes[name] for name in names}, terms.gate.resamples, terms.seed)
    first = found[names[0]]
    if np.isnan(first.value[metric]) or np.isnan(first.drawn[:, metric]).all():
        return None
    return SliceView(
        by=part.by, label=part.label, rows=scores.rows, units=scores.units,
        undefined=undefined(first.drawn[:, metric]),
        lanes={name: _value(terms, found[name], metric) for name in names},
        gains={
            name: _difference(terms, found[name], found[TARGET_ONLY], metric)
            for name in names
            if TARGET_ONLY in found and name != TARGET_ONLY
        },
        by_source={
            lane.name: _difference(terms, found[lane.name], found[lane.counterpart], metric)
            for lane in lanes
            if lane.counterpart in found
        },
    )  # fmt: skip
