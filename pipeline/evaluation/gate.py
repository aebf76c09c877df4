"""The gate: a pure function from what is judged to a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from pipeline.config import Gate
from pipeline.evaluation.bootstrap import estimate, undefined
from pipeline.evaluation.statistics import Scores, resample
from pipeline.labels.words import Words

TARGET_ONLY = "target_only"
CHANCE = "chance"  # a scorer that knows nothing
CHAMPION = "champion"  # the champion's name beside the lanes'

Outcome = Literal["passed", "failed", "undecided"]
Role = Literal["target-only", "chance", "best baseline", "champion"]
Demand = Literal["better", "not worse"]
Word = Literal["passed", "rejected", "undecided"]


@dataclass(frozen=True)
class Terms:
    """By what is judged: the gate's settings, the gated metric, how people are told of it, the seed of resamples."""

    gate: Gate
    metric: str
    words: Words
    seed: int

    @property
    def level(self) -> float:
        """Of the intervals: 0.95 for 95 %."""
        return 1 - self.gate.alpha

    @property
    def sign(self) -> float:
        """1 where more of the metric is better, else -1."""
        return self.words.sign(self.metric)


@dataclass(frozen=True)
class Lane:
    """A candidate: its name, what it is, and its metric on the validation rows; or chance, which is none."""

    name: str
    kind: Literal["strategy", "baseline", "chance"]
    valid: float


@dataclass(frozen=True)
class ChampionScores:
    """The champion, scored again beside all lanes, on test rows without marks that its training data did not hold."""

    version: int
    package: str  # what it is: two versions of one package are the same model
    age_days: float
    scores: Scores


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
    units: int
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
    undefined: int  # resamples on which the metric is not defined; they are left out
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
    units: int  # with a test row that counts
    reason: str
    comparisons: tuple[Compared, ...]
    champion: Incumbent | None  # what served when this was judged
    approvable: bool  # a person may promote the candidate: the target has no labels and too few test rows tell


def decide(terms: Terms, lanes: Sequence[Lane], test: Scores, champion: ChampionScores | None) -> Verdict:
    """Judge the candidate that validation picked.

    A comparison passes where the lower bound is above what is required: zero where the candidate must be better than
    target-only, else -delta. A lower bound above zero settles it, however wide the interval is; "not worse" needs an
    interval that is not wider than delta on either side. A comparison fails where the upper bound is not above what is
    required, or where the interval is narrow enough and still does not pass. All else is undecided.

    Where the target is declared without labels there is no target-only. Every candidate must then be better than
    chance, and nothing is safe: what cannot be shown waits for a person.

    Args:
        terms: By what is judged.
        lanes: All candidates that succeeded, with target-only, or with chance where the target has no labels.
        test: The lanes on test rows without marks.
        champion: What serves now, or None.

    Returns:
        The verdict. Where nothing serves yet, a candidate that does not pass gives way to target-only or the best
        baseline, whichever is better on validation; an undecided candidate may be that itself.
    """
    candidate = _best(terms, [lane for lane in lanes if lane.kind != "chance"])
    unlabelled = any(lane.kind == "chance" for lane in lanes)
    must_win = candidate.kind == "strategy" and candidate.name != TARGET_ONLY
    comparisons = []
    for role, reference in _references(terms, lanes, candidate):
        wins = role == "chance" or (must_win and role == "target-only")
        demand: Demand = "better" if wins else "not worse"
        comparisons.append(_compare(terms, test, (candidate.name, reference.name), role, demand))
    if champion is not None:
        found = _compare(terms, champion.scores, (candidate.name, CHAMPION), "champion", "not worse")
        comparisons.append(found.model_copy(update={"reference": f"version {champion.version}"}))
    outcomes = {compared.outcome for compared in comparisons}
    verdict: Word = "rejected" if "failed" in outcomes else "undecided" if "undecided" in outcomes else "passed"
    reason = ""
    if verdict != "passed" and champion is not None and _gives_way(terms.gate, champion, comparisons):
        verdict = "passed"
        reason = (
            f"{candidate.name} is not worse than any reference, and the champion is {champion.age_days:.0f} days old, "
            f"more than the {terms.gate.max_age_days} after which it gives way to such a candidate."
        )
    lane: str | None = candidate.name
    if verdict != "passed":
        safe = _safe(terms, lanes, candidate, verdict) if champion is None and not unlabelled else []
        lane = _best(terms, safe).name if safe else None
    return Verdict(
        verdict=verdict, candidate=candidate.name, lane=lane, metric=terms.metric, level=terms.level, units=test.units,
        reason=reason or _reason(terms, verdict, (candidate.name, lane), comparisons), comparisons=tuple(comparisons),
        approvable=unlabelled and verdict == "undecided",
        champion=Incumbent(version=champion.version, package=champion.package) if champion else None,
    )  # fmt: skip


def _gives_way(gate: Gate, champion: ChampionScores, comparisons: Sequence[Compared]) -> bool:
    """Whether the champion is too old to keep out what is not worse; chance has to be beaten all the same."""
    proved = all(compared.outcome == "passed" for compared in comparisons if compared.role == "chance")
    return champion.age_days > gate.max_age_days and proved and all(compared.not_worse for compared in comparisons)


def _best(terms: Terms, lanes: Sequence[Lane]) -> Lane:
    return min(lanes, key=lambda lane: (-terms.sign * lane.valid, lane.name))


def _references(terms: Terms, lanes: Sequence[Lane], candidate: Lane) -> list[tuple[Role, Lane]]:
    """Target-only or chance, and the best baseline, but for the candidate itself."""
    found: list[tuple[Role, Lane]] = [("target-only", lane) for lane in lanes if lane.name == TARGET_ONLY]
    found += [("chance", lane) for lane in lanes if lane.kind == "chance"]
    if baselines := [lane for lane in lanes if lane.kind == "baseline"]:
        found.append(("best baseline", _best(terms, baselines)))
    return [(role, lane) for role, lane in found if lane != candidate]


def _safe(terms: Terms, lanes: Sequence[Lane], candidate: Lane, verdict: Word) -> list[Lane]:
    """Target-only and the best baseline; the candidate may be one of them, unless it was rejected."""
    safe = [lane for _, lane in _references(terms, lanes, candidate)]
    is_one = candidate.kind == "baseline" or candidate.name == TARGET_ONLY
    return [*safe, candidate] if is_one and verdict == "undecided" else safe


def _compare(terms: Terms, scores: Scores, pair: tuple[str, str], role: Role, demand: Demand) -> Compared:
    """Hold the first of two lanes against the second; with fewer than two units nothing can be said."""
    enough = scores.units >= 2
    candidate = reference = difference = low = high = 0.0
    left_out = 0
    if enough:
        metric = scores.metrics.index(terms.metric)
        a, b = resample({name: scores.lanes[name] for name in pair}, terms.gate.resamples, terms.seed).values()
        candidate, reference = float(a.value[metric]), float(b.value[metric])
        difference, drawn_R = terms.sign * (candidate - reference), terms.sign * (a.drawn - b.drawn)[:, metric]
        found, left_out = estimate(difference, drawn_R, terms.level), undefined(drawn_R)
        low, high = found.low, found.high
    delta = terms.gate.delta * reference
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
        role=role, reference=pair[1], units=scores.units, candidate_metric=round(candidate, 10),
        reference_metric=round(reference, 10), difference=round(difference, 10), low=low, high=high, demand=demand,
        required=round(required, 10), delta=round(delta, 10), smallest_visible=round(half, 10),
        smallest_visible_share=round(half / reference, 6) if reference > 0 else None, outcome=outcome,
        not_worse=enough and low > -delta, undefined=left_out,
    )  # fmt: skip


def _reason(terms: Terms, verdict: Word, lanes: tuple[str, str | None], comparisons: Sequence[Compared]) -> str:
    """Say in plain words what decided; `lanes` are the candidate and what the gate chose."""
    candidate, lane = lanes
    if verdict == "passed":
        if not comparisons:
            return f"{candidate} is the best on validation rows, and there is nothing to hold it against."
        against = ", ".join(f"{_name(compared)} ({_interval(terms, compared)})" for compared in comparisons)
        return f"{candidate} is the best on validation rows and, on test rows without marks, holds against {against}."
    wanted = "failed" if verdict == "rejected" else "undecided"
    deciding = [compared for compared in comparisons if compared.outcome == wanted]
    told = "; ".join(_why_not(terms, compared) for compared in deciding)
    instead = f" Nothing served yet, so the gate chose {lane}." if lane else ""
    return f"{candidate} is the best on validation rows, but {told}.{instead}"


def _why_not(terms: Terms, compared: Compared) -> str:
    if compared.units < 2:
        return f"there are not enough test rows to compare it with {_name(compared)}"
    demand = compared.demand if compared.demand == "better" else f"not worse by {terms.gate.delta:.0%}"
    if compared.outcome == "failed":
        return f"it had to be {demand} than {_name(compared)} and is not ({_interval(terms, compared)})"
    return (
        f"the test rows cannot tell whether it is {demand} than {_name(compared)} ({_interval(terms, compared)}; a "
        f"difference below {terms.words.number(compared.smallest_visible)}{terms.words.points} cannot be seen)"
    )


def _name(compared: Compared) -> str:
    if compared.role == "champion":
        return f"the champion, {compared.reference}"
    return f"the best baseline {compared.reference}" if compared.role == "best baseline" else compared.reference


def _interval(terms: Terms, compared: Compared) -> str:
    return terms.words.difference(compared.difference, compared.low, compared.high)
