"""Every lane of a run beside the others, with intervals, with and without the rows that the audit marked.

Shapes: N test rows, n users with such rows, L lanes, R resamples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from pipeline.config import Scenario
from pipeline.evaluation.bootstrap import Estimate, estimate, holm, p_value, resampled_means
from pipeline.evaluation.gate import TARGET_ONLY
from pipeline.evaluation.metrics import METRICS, user_metrics
from pipeline.evaluation.slices import Slice

ALL, UNMARKED = "all rows", "without marked rows"
_FEWEST = 10  # users below which a slice gets no interval

FloatArray = NDArray[np.float64]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Validated:
    """What validation says of a lane: its metrics, and whose rows they are about."""

    metrics: dict[str, float]
    domain: str


class LaneInfo(_Frozen):
    """What a lane is, and what validation says of it."""

    name: str
    kind: Literal["strategy", "baseline"]
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
    stands: bool  # Holm's correction over all transfer gains of the table; False for other differences
    negative: bool  # a transfer gain whose upper bound is below zero


class SliceView(_Frozen):
    """The gated metric of each lane on some of the rows, and its difference to target-only."""

    by: str
    label: str
    rows: int
    users: int
    lanes: dict[str, Estimate]
    gains: dict[str, Estimate]


class View(_Frozen):
    """All lanes on one set of test rows."""

    rows: int
    users: int
    lanes: dict[str, dict[str, Estimate]]  # lane -> metric, such as "ndcg@10" -> estimate
    gains: tuple[Gain, ...]
    smallest_visible: float  # the median half-width of the differences to target-only
    slices: tuple[SliceView, ...]


class Comparison(_Frozen):
    """What the report tells, but for costs, which may differ between equal runs."""

    scenario: str
    title: str
    sources: tuple[str, ...]
    target: str
    seed: int
    target_share: float
    target_labels: bool
    metric: str
    cutoffs: tuple[int, ...]
    level: float
    resamples: int
    catalogue: int  # items that are ranked for each user
    marks: dict[str, dict[str, int]]  # domain -> kind -> marked rows, of all parts
    test_marks: dict[str, int]  # kind -> marked test rows of the target
    lanes: tuple[LaneInfo, ...]  # best validation metric first, oracles behind
    failed: tuple[str, ...]
    views: dict[str, View]  # ALL, and UNMARKED where any row is left


def gated_metric(scenario: Scenario) -> str:
    """Name the metric that chooses and is gated, such as `ndcg@10`."""
    return f"{scenario.task.metric}@{scenario.task.cutoffs[0]}"


def describe_lanes(scenario: Scenario, valid: Mapping[str, Validated]) -> tuple[LaneInfo, ...]:
    """Describe the lanes that have validation metrics, best first, oracles behind.

    A lane that uses a source has the same method on the target alone for its counterpart, unless that is an oracle.
    """
    found: list[LaneInfo] = []
    domains = {"target": (scenario.target,), "source": scenario.sources, "all": scenario.domains}
    lanes: list[tuple[str, Literal["strategy", "baseline"], str, str]]  # name, kind, domains, counterpart
    lanes = [(strategy.name, "strategy", strategy.domains, TARGET_ONLY) for strategy in scenario.strategies]
    lanes += [(baseline.name, "baseline", baseline.domains, baseline.method) for baseline in scenario.baselines]
    for name, kind, uses, own in lanes:
        if name in valid:
            has_own = uses != "target" and own in valid and own not in scenario.oracles
            found.append(
                LaneInfo(name=name, kind=kind, domains=domains[uses], counterpart=own if has_own else None,
                         oracle=name in scenario.oracles, valid=valid[name].metrics, valid_domain=valid[name].domain)
            )  # fmt: skip
    metric = gated_metric(scenario)
    return tuple(sorted(found, key=lambda lane: (lane.oracle, -lane.valid[metric], lane.name)))


def per_user(
    rows: pd.DataFrame, ranks: Mapping[str, FloatArray], cutoffs: Sequence[int], chosen: NDArray[np.bool_]
) -> dict[str, pd.DataFrame]:
    """Compute each lane's metrics of each user on the chosen rows [N]; all lanes have the same users."""
    return {lane: user_metrics(rows[chosen], ranks[lane][chosen], cutoffs) for lane in ranks}


def view(
    scenario: Scenario,
    lanes: Sequence[LaneInfo],
    rows: pd.DataFrame,
    ranks: Mapping[str, FloatArray],
    chosen: NDArray[np.bool_],
    slices: Sequence[Slice],
) -> View:
    """Estimate every metric of every lane on the chosen rows [N], the gains, and the slices."""
    cutoffs, metric = scenario.task.cutoffs, gated_metric(scenario)
    names = [lane.name for lane in lanes]
    users = per_user(rows, {name: ranks[name] for name in names}, cutoffs, chosen)
    columns = [f"{kind}@{cutoff}" for cutoff, kind in product(cutoffs, METRICS)]
    values = np.stack([users[name][columns].to_numpy() for name in names], axis=1)  # [n, L, M]
    n, level = len(values), 1 - scenario.gate.alpha
    flat = resampled_means(values.reshape(n, -1), scenario.gate.resamples, scenario.seed)
    means = flat.reshape(-1, len(names), len(columns))
    center = values.mean(axis=0)
    estimates = {
        name: {column: estimate(center[i, j], means[:, i, j], level) for j, column in enumerate(columns)}
        for i, name in enumerate(names)
    }
    j = columns.index(metric)
    gains = _gains(lanes, center[:, j], means[:, :, j], scenario.gate.alpha)
    halves = [(gain.difference.high - gain.difference.low) / 2 for gain in gains if gain.against == TARGET_ONLY]
    return View(
        rows=int(chosen.sum()),
        users=n,
        lanes=estimates,
        gains=gains,
        smallest_visible=round(float(np.median(halves)), 10) if halves else 0.0,
        slices=tuple(
            found
            for part in slices
            if (found := _slice(scenario, names, rows, ranks, (part, chosen & part.rows))) is not None
        ),
    )


def _gains(lanes: Sequence[LaneInfo], center: FloatArray, means: FloatArray, alpha: float) -> tuple[Gain, ...]:
    """Difference of each lane to target-only and to its own counterpart; `center` [L], `means` [R, L]."""
    place = {lane.name: i for i, lane in enumerate(lanes)}
    pairs = [(lane, TARGET_ONLY) for lane in lanes if lane.name != TARGET_ONLY and TARGET_ONLY in place]
    pairs += [(lane, lane.counterpart) for lane in lanes if lane.counterpart in place.keys() - {TARGET_ONLY}]
    found = []
    for lane, against in pairs:
        a, b = place[lane.name], place[against]
        differences = means[:, a] - means[:, b]
        difference = estimate(center[a] - center[b], differences, 1 - alpha)
        transfer = against == lane.counterpart
        found.append(
            Gain(lane=lane.name, against=against, transfer=transfer, difference=difference, stands=False,
                 p=round(p_value(differences), 6), negative=transfer and difference.high < 0)
        )  # fmt: skip
    transfers = [i for i, gain in enumerate(found) if gain.transfer]
    for i, stands in zip(transfers, holm([found[i].p for i in transfers], alpha), strict=True):
        found[i] = found[i].model_copy(update={"stands": stands})
    return tuple(found)


def _slice(
    scenario: Scenario,
    names: Sequence[str],
    rows: pd.DataFrame,
    ranks: Mapping[str, FloatArray],
    part: tuple[Slice, NDArray[np.bool_]],
) -> SliceView | None:
    """Estimate the gated metric on a slice; None where too few users are in it."""
    described, chosen = part
    metric, level = gated_metric(scenario), 1 - scenario.gate.alpha
    users = per_user(rows, {name: ranks[name] for name in names}, scenario.task.cutoffs[:1], chosen)
    values = np.stack([users[name][metric].to_numpy() for name in names], axis=1)
    if len(values) < _FEWEST:
        return None
    means = resampled_means(values, scenario.gate.resamples, scenario.seed)
    center = values.mean(axis=0)
    base = names.index(TARGET_ONLY) if TARGET_ONLY in names else None
    return SliceView(
        by=described.by, label=described.label, rows=int(chosen.sum()), users=len(values),
        lanes={name: estimate(center[i], means[:, i], level) for i, name in enumerate(names)},
        gains={
            name: estimate(center[i] - center[base], means[:, i] - means[:, base], level)
            for i, name in enumerate(names)
            if base is not None and i != base
        },
    )  # fmt: skip
