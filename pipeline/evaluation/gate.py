"""The gate: a pure function from metrics of each user to a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from pipeline.config import Gate
from pipeline.evaluation.bootstrap import estimate, resampled_means

TARGET_ONLY = "target_only"
CHANCE = "chance"  # a scorer that says the same for all items
CHAMPION = "champion"  # the column of the champion's metric beside the lanes'

Outcome = Literal["passed", "failed", "undecided"]
Role = Literal["target-only", "chance", "best baseline", "champion"]
Demand = Literal["better", "not worse"]
Word = Literal["passed", "rejected", "undecided"]


@dataclass(frozen=True)
class Lane:
    """A candidate: its name, what it is, and its metric on the validation rows; or chance, which is none."""

    name: str
    kind: Literal["strategy", "baseline", "chance"]
    valid: float


@dataclass(frozen=True)
class ChampionScores:
    """The champion, scored again: `metrics` has a line for each user and a column for each lane and `champion`,
    over test rows without marks that the champion's training data did not hold.
    """  # noqa: D205

    version: int
    package: str  # what it is: two versions of one package are the same model
    age_days: float
    metrics: pd.DataFrame


class Incumbent(BaseModel):
    """The champion that a verdict was made against."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    package: str


class Compared(BaseModel):
    """The candidate against one reference."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    reference: str
    users: int
    candidate_metric: float
    reference_metric: float
    difference: float
    low: float
    high: float
    demand: Demand
    required: float  # the lower bound must be above it
    delta: float  # the scenario's share of the reference's metric, as an absolute difference
    smallest_visible: float  # half the interval's width
    smallest_visible_share: float | None  # of the reference's metric; None where that is zero
    outcome: Outcome
    not_worse: bool


class Verdict(BaseModel):
    """What the gate says, why, and what of it could have been seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Word  # of the candidate
    candidate: str  # picked on validation rows
    lane: str | None  # what the gate chose: the candidate, or a safe lane where nothing served; None: nothing
    metric: str
    level: float  # of the intervals, 0.95 for 95 %
    users: int  # with a test row that counts
    reason: str
    comparisons: tuple[Compared, ...]
    champion: Incumbent | None  # what served when this was judged
    approvable: bool  # a person may promote the candidate: the target has no labels and too few test rows tell


def decide(
    gate: Gate, metric: str, lanes: Sequence[Lane], test: pd.DataFrame, champion: ChampionScores | None, seed: int
) -> Verdict:
    """Judge the candidate that validation picked.

    A comparison passes where the lower bound is above what is required: zero where the candidate must be better than
    target-only, else -delta. A lower bound above zero settles it, however wide the interval is; "not worse" needs an
    interval that is not wider than delta on either side. A comparison fails where the upper bound is not above what is
    required, or where the interval is narrow enough and still does not pass. All else is undecided.

    Where the target is declared without labels there is no target-only. Every candidate must then be better than
    chance, and nothing is safe: what cannot be shown waits for a person.

    Args:
        gate: delta, alpha, resamples and the age at which a champion gives way.
        metric: The metric's name, for the reader.
        lanes: All candidates that succeeded, with target-only, or with chance where the target has no labels.
        test: A line for each user with a test row without marks, a column for each lane: the metric of that user.
        champion: What serves now, or None.
        seed: Of the resamples.

    Returns:
        The verdict. Where nothing serves yet, a candidate that does not pass gives way to target-only or the best
        baseline, whichever is better on validation; an undecided candidate may be that itself.
    """
    candidate = _best([lane for lane in lanes if lane.kind != "chance"])
    unlabelled = any(lane.kind == "chance" for lane in lanes)
    must_win = candidate.kind == "strategy" and candidate.name != TARGET_ONLY
    comparisons = []
    for role, reference in _references(lanes, candidate):
        wins = role == "chance" or (must_win and role == "target-only")
        demand: Demand = "better" if wins else "not worse"
        comparisons.append(_compare(gate, test[[candidate.name, reference.name]], role, demand, seed))
    if champion is not None:
        pair = champion.metrics[[candidate.name, CHAMPION]].rename(columns={CHAMPION: f"version {champion.version}"})
        comparisons.append(_compare(gate, pair, "champion", "not worse", seed))
    outcomes = {compared.outcome for compared in comparisons}
    verdict: Word = "rejected" if "failed" in outcomes else "undecided" if "undecided" in outcomes else "passed"
    reason = ""
    if verdict != "passed" and champion is not None and _gives_way(gate, champion, comparisons):
        verdict = "passed"
        reason = (
            f"{candidate.name} is not worse than any reference, and the champion is {champion.age_days:.0f} days old, "
            f"more than the {gate.max_age_days} after which it gives way to such a candidate."
        )
    lane: str | None = candidate.name
    if verdict != "passed":
        safe = _safe(lanes, candidate, verdict) if champion is None and not unlabelled else []
        lane = _best(safe).name if safe else None
    return Verdict(
        verdict=verdict, candidate=candidate.name, lane=lane, metric=metric, level=1 - gate.alpha, users=len(test),
        reason=reason or _reason(gate, verdict, (candidate.name, lane), comparisons), comparisons=tuple(comparisons),
        approvable=unlabelled and verdict == "undecided",
        champion=Incumbent(version=champion.version, package=champion.package) if champion else None,
    )  # fmt: skip


def _gives_way(gate: Gate, champion: ChampionScores, comparisons: Sequence[Compared]) -> bool:
    """Whether the champion is too old to keep out what is not worse; chance has to be beaten all the same."""
    proved = all(compared.outcome == "passed" for compared in comparisons if compared.role == "chance")
    return champion.age_days > gate.max_age_days and proved and all(compared.not_worse for compared in comparisons)


def _best(lanes: Sequence[Lane]) -> Lane:
    return min(lanes, key=lambda lane: (-lane.valid, lane.name))


def _references(lanes: Sequence[Lane], candidate: Lane) -> list[tuple[Role, Lane]]:
    """Target-only or chance, and the best baseline, but for the candidate itself."""
    found: list[tuple[Role, Lane]] = [("target-only", lane) for lane in lanes if lane.name == TARGET_ONLY]
    found += [("chance", lane) for lane in lanes if lane.kind == "chance"]
    if baselines := [lane for lane in lanes if lane.kind == "baseline"]:
        found.append(("best baseline", _best(baselines)))
    return [(role, lane) for role, lane in found if lane != candidate]


def _safe(lanes: Sequence[Lane], candidate: Lane, verdict: Word) -> list[Lane]:
    """Target-only and the best baseline; the candidate may be one of them, unless it was rejected."""
    safe = [lane for _, lane in _references(lanes, candidate)]
    is_one = candidate.kind == "baseline" or candidate.name == TARGET_ONLY
    return [*safe, candidate] if is_one and verdict == "undecided" else safe


def _compare(gate: Gate, pair: pd.DataFrame, role: Role, demand: Demand, seed: int) -> Compared:
    """Hold the first of two columns against the second; with fewer than two users nothing can be said."""
    values = pair.to_numpy(dtype=np.float64)
    enough = len(values) >= 2
    candidate, reference = (float(mean) for mean in values.mean(axis=0)) if enough else (0.0, 0.0)
    low = high = 0.0
    if enough:
        means = resampled_means(values, gate.resamples, seed)
        found = estimate(candidate - reference, means[:, 0] - means[:, 1], 1 - gate.alpha)
        low, high = found.low, found.high
    difference, delta = candidate - reference, gate.delta * reference
    required = 0.0 if demand == "better" else -delta
    wide = max(difference - low, high - difference) > delta
    outcome: Outcome
    if not enough:
        outcome = "undecided"
    elif low > 0 or (low > required and not wide):
        outcome = "passed"
    elif high <= required or not wide:
        outcome = "failed"
    else:
        outcome = "undecided"
    half = (high - low) / 2
    return Compared(
        role=role, reference=str(pair.columns[1]), users=len(values), candidate_metric=round(candidate, 10),
        reference_metric=round(reference, 10), difference=round(difference, 10), low=low, high=high, demand=demand,
        required=round(required, 10), delta=round(delta, 10), smallest_visible=round(half, 10),
        smallest_visible_share=round(half / reference, 6) if reference > 0 else None, outcome=outcome,
        not_worse=enough and low > -delta,
    )  # fmt: skip


def _reason(gate: Gate, verdict: Word, lanes: tuple[str, str | None], comparisons: Sequence[Compared]) -> str:
    """Say in plain words what decided; `lanes` are the candidate and what the gate chose."""
    candidate, lane = lanes
    if verdict == "passed":
        if not comparisons:
            return f"{candidate} is the best on validation rows, and there is nothing to hold it against."
        against = ", ".join(f"{_name(compared)} ({_interval(compared)})" for compared in comparisons)
        return f"{candidate} is the best on validation rows and, on test rows without marks, holds against {against}."
    wanted = "failed" if verdict == "rejected" else "undecided"
    deciding = [compared for compared in comparisons if compared.outcome == wanted]
    told = "; ".join(_why_not(gate, compared) for compared in deciding)
    instead = f" Nothing served yet, so the gate chose {lane}." if lane else ""
    return f"{candidate} is the best on validation rows, but {told}.{instead}"


def _why_not(gate: Gate, compared: Compared) -> str:
    if compared.users < 2:
        return f"there are not enough test rows to compare it with {_name(compared)}"
    demand = compared.demand if compared.demand == "better" else f"not worse by {gate.delta:.0%}"
    if compared.outcome == "failed":
        return f"it had to be {demand} than {_name(compared)} and is not ({_interval(compared)})"
    return (
        f"the test rows cannot tell whether it is {demand} than {_name(compared)} ({_interval(compared)}; a difference "
        f"below {100 * compared.smallest_visible:.2f} points cannot be seen)"
    )


def _name(compared: Compared) -> str:
    if compared.role == "champion":
        return f"the champion, {compared.reference}"
    return f"the best baseline {compared.reference}" if compared.role == "best baseline" else compared.reference


def _interval(compared: Compared) -> str:
    difference, low, high = (100 * value for value in (compared.difference, compared.low, compared.high))
    return f"{difference:+.2f} points [{low:+.2f}, {high:+.2f}]"
