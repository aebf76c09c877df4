"""The gate: a pure function from what is judged to a verdict."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel, ConfigDict

from pipeline.evaluation.bootstrap import Estimate, estimate
from pipeline.evaluation.contrast import Compared
from pipeline.evaluation.hearing import ChampionScores, Court, Hearing, Lane, Word, of_refit
from pipeline.evaluation.reasons import why
from pipeline.evaluation.statistics import Scores
from pipeline.evaluation.terms import CHAMPION, TARGET_ONLY, Terms


class Incumbent(BaseModel):
    """The champion that a verdict was made against."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    package: str
    new_rows: int | None  # test rows without marks that were none on its night; None: that is not at hand
    scored: Estimate | None = None  # the gated metric on rows that it did not learn from; None: they do not tell


class Verdict(BaseModel):
    """What the gate says, why, and what of it could have been seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Word  # of the candidate
    weak: bool  # what is chosen passed, but the rows could not have shown a difference as small as the margin
    candidate: str  # picked on validation rows
    lane: str | None  # what the gate chose: the candidate, else the refit of the champion's recipe, or where nothing
    # served the best of the other kind or a safe lane; None: nothing
    creep: float  # of what is chosen: what may have been lost since the last promotion as better, summed over nights
    metric: str
    level: float  # of the intervals, 0.95 for 95 %
    units: int  # with a test row that counts
    positives: int | None  # test rows of the class that is looked for; None where the label kind has none
    reason: str
    comparisons: tuple[Compared, ...]
    renewal: tuple[Compared, ...]  # of the refit or the best of the other kind, heard where the candidate did not pass
    champion: Incumbent | None  # what served when this was judged
    second: str | None = None  # of `renewal`; None: nobody was heard, or a best baseline before this was written
    approvable: bool  # a person may promote the candidate: the target has no labels and too few test rows tell

    @property
    def renews(self) -> bool:
        """Whether the one heard where the candidate did not pass is the refit of what serves."""
        return of_refit(self.renewal)


def decide(terms: Terms, lanes: Sequence[Lane], test: Scores, champion: ChampionScores | None) -> Verdict:
    """Judge the candidate that validation picked.

    A strategy must be better than target-only, a baseline that learnt from a source better than the same method on the
    target alone, and each not worse than every other reference; `Rule.compare` tells when a comparison passes. One that
    failed rejects the candidate; else one that is undecided makes the verdict undecided, unless the candidate passes on
    weak evidence. With too few test rows nothing that learnt from a source passes.

    Over nights: the champion's own recipe, fitted to tonight's data, replaces it where it is not worse, also where
    validation picked another lane that does not pass. Another recipe replaces it only where it is better than the
    champion and than that refit, unless the champion is too old. What may have been lost since the last promotion as
    better, the lower bounds, is summed, and nothing passes that lets the sum fall below minus the margin.

    Where the candidate does not pass, the best lane of the other kind is heard before that refit, at half the error, if
    it learnt from a source: a baseline after a strategy or a blend, a strategy after a baseline.

    Where the target is declared without labels there is no target-only. Every candidate must then be better than
    chance, and nothing is safe: what cannot be shown waits for a person.

    Args:
        terms: By what is judged.
        lanes: All candidates that succeeded, with target-only, or with chance where the target has no labels.
        test: The lanes and chance on test rows without marks.
        champion: What serves now, or None.

    Returns:
        The verdict. Where nothing serves yet, a candidate that does not pass gives way to the best lane of the other
        kind, if that learnt from a source and passes itself; else to target-only, the best baseline or the best blend
        of the target alone, whichever is better on validation; an undecided candidate may be that itself.
    """
    court = Court(terms, lanes, test, champion)
    candidate = court.best([lane for lane in lanes if lane.kind != "chance"])
    unlabelled = any(lane.kind == "chance" for lane in lanes)
    heard = court.hear(candidate)
    passed = heard.word == "passed"
    second = None if passed else _second(court, candidate, unlabelled=unlabelled)
    chosen = heard if passed else second if second and second.word == "passed" else None
    lane = chosen.lane.name if chosen else None
    if chosen is None and champion is None and not unlabelled:
        lane = _safe(court, heard)
    return Verdict(
        verdict=heard.word, weak=chosen is not None and chosen.weak, candidate=candidate.name, lane=lane,
        creep=round(chosen.creep, 10) if chosen else 0.0, metric=terms.metric, level=terms.level, units=test.units,
        positives=test.positives, reason=why(terms, heard, second, lane), comparisons=heard.comparisons,
        renewal=second.comparisons if second else (), second=second.lane.name if second else None,
        approvable=unlabelled and heard.word == "undecided",
        champion=_incumbent(court, champion) if champion else None,
    )  # fmt: skip


def _incumbent(court: Court, champion: ChampionScores) -> Incumbent:
    rows, sign, scored = court.drawn_beside, court.terms.sign, None
    if rows.tells:
        scored = estimate(sign * rows.value[CHAMPION], sign * rows.drawn[CHAMPION], court.terms.level)
    return Incumbent(version=champion.version, package=champion.package, new_rows=champion.new_rows, scored=scored)


def _second(court: Court, candidate: Lane, *, unlabelled: bool) -> Hearing | None:
    """Hear who else may serve: the best lane of the other kind, if it has a source, and else the champion's refit.

    The former is a second way to become the champion, so it has to hold at half the error. Of a target without labels
    it is not heard: what cannot be shown there waits for a person.
    """
    refit, other = court.refit, court.best_of_other_kind(candidate)
    if other and other.transfer and other != refit and not unlabelled:
        gate = court.terms.gate
        strict = replace(court.terms, gate=gate.model_copy(update={"alpha": gate.alpha / 2}))
        heard = replace(court, terms=strict).hear(other)
        if heard.word == "passed" or refit in (None, candidate):
            return heard
    return court.hear(refit) if refit and refit != candidate else None


def _safe(court: Court, heard: Hearing) -> str | None:
    """Pick target-only, or the best baseline or blend without a source; the candidate unless it was rejected."""
    lanes = [lane for lane in court.lanes if not lane.transfer]
    safe = [lane for lane in lanes if lane.name == TARGET_ONLY]
    groups = [[lane for lane in lanes if lane.kind == kind] for kind in ("baseline", "blend")]
    safe += [court.best(group) for group in groups if group]
    if heard.word == "rejected":
        safe = [lane for lane in safe if lane != heard.lane]
    return court.best(safe).name if safe else None
