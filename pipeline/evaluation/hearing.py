"""One lane before the gate: what it is held against, and what came out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pipeline.evaluation.contrast import Compared, Demand, Drawn, Role, Rule
from pipeline.evaluation.statistics import Scores
from pipeline.evaluation.terms import CHAMPION, CHANCE, TARGET_ONLY, Terms

_ALONE: tuple[Role, ...] = ("target-only", "counterpart")  # what was learnt from the target alone

Word = Literal["passed", "rejected", "undecided"]


@dataclass(frozen=True)
class Lane:
    """A candidate: its name, what it is, and its metric on the validation rows; or chance, which is none."""

    name: str
    kind: Literal["strategy", "baseline", "blend", "chance"]
    valid: float
    transfer: bool = False  # it learnt from a source
    recipe: str = ""  # the lane with its settings: equal ones differ by the data alone
    counterpart: str | None = None  # the same method on the target alone; None: target-only stands in for it

    @property
    def must_beat(self) -> str | None:
        """What it has to be better than, and not only not worse: what a source brought is the difference to it."""
        if self.kind == "strategy":
            return TARGET_ONLY if self.name != TARGET_ONLY else None
        if self.kind == "blend":  # nothing stands in: target-only would show what blending brings
            return self.counterpart
        return (self.counterpart or TARGET_ONLY) if self.transfer else None


@dataclass(frozen=True)
class ChampionScores:
    """The champion, scored again beside all lanes, on test rows without marks that its training data did not hold."""

    version: int
    package: str  # what it is: two versions of one package are the same model
    age_days: float
    scores: Scores
    recipe: str = ""
    creep: float = 0.0  # what may have been lost since one was promoted as better than what served; at most 0
    new_rows: int | None = None  # test rows without marks that were none on its night; None: that is not at hand


@dataclass(frozen=True)
class Hearing:
    """What came out for one lane."""

    lane: Lane
    comparisons: tuple[Compared, ...]
    few: bool  # it learnt from a source, and the test rows are too few to promote any such lane
    champion: ChampionScores | None
    aged: bool  # the champion is so old that it gives way to what is not worse

    @property
    def word(self) -> Word:
        """What the gate says of the lane."""
        if self.suffices and not self.few and not self.creeps:
            return "passed"
        failed = not self.suffices and any(compared.outcome == "failed" for compared in self.comparisons)
        return "rejected" if failed else "undecided"

    @property
    def suffices(self) -> bool:
        """Whether what came out would do, were it not for too few rows or the sum over nights."""
        return self.holds or self.gives_way

    @property
    def holds(self) -> bool:
        """Whether it holds against all that it was held against, if only on weak evidence."""
        return self.weak or all(compared.outcome == "passed" for compared in self.comparisons)

    @property
    def creep(self) -> float:
        """What may have been lost with this lane since the last promotion as better: lower bounds, summed over nights.

        Zero where it is better than what serves, or where nothing does. A champion above the age limit ends the sum.
        """
        beside = [compared for compared in self.comparisons if compared.role == "champion"]
        if self.champion is None or beside[0].better:
            return 0.0
        may_lose = beside[0].with_margin.low - beside[0].margin
        return may_lose + (0.0 if self.aged else self.champion.creep)

    @property
    def creeps(self) -> bool:
        """Whether it would do for this night alone, but many such nights could add up to worse by the margin."""
        beside = [compared for compared in self.comparisons if compared.role == "champion"]
        return self.suffices and any(self.creep < -compared.margin for compared in beside)

    @property
    def weak(self) -> bool:
        """Whether it passes on weak evidence, which never stands in against what serves.

        It does where some reference is left of which the rows could not have shown that the lane is not worse, and the
        lane is better than target-only or its counterpart beyond doubt and in point not below any reference.
        """
        open_ones = [compared for compared in self.comparisons if compared.outcome == "undecided"]
        return (
            bool(open_ones)
            and all(compared.demand == "not worse" and compared.powerless for compared in open_ones)
            and all(compared.role != "champion" for compared in open_ones)
            and any(compared.role in _ALONE and compared.better for compared in self.comparisons)
            and all(compared.outcome != "failed" and compared.difference.value >= 0 for compared in self.comparisons)
        )

    @property
    def gives_way(self) -> bool:
        """Whether an old champion gives way to it; what a source brings has to be seen all the same, and chance beaten.

        The refit of what serves is what serves: it has to be no worse than anything.
        """
        roles = ("chance",) if of_refit(self.comparisons) else ("chance", *_ALONE)
        asked = [one for one in self.comparisons if one.demand == "better" and one.role in roles]
        proved = all(compared.outcome == "passed" for compared in asked)
        return self.aged and proved and all(compared.not_worse for compared in self.comparisons)


def of_refit(comparisons: Sequence[Compared]) -> bool:
    """Whether they are of the refit of what serves, which alone need not be better than that."""
    return any(compared.role == "champion" and compared.demand == "not worse" for compared in comparisons)


@dataclass(frozen=True)
class Court:
    """All that a lane is heard with; `lanes` holds chance where the target has no labels."""

    terms: Terms
    lanes: Sequence[Lane]
    test: Scores
    champion: ChampionScores | None

    @cached_property
    def drawn(self) -> Drawn:
        """All lanes on the test rows."""
        return Drawn.of(self.terms, self.test)

    @cached_property
    def drawn_beside(self) -> Drawn:
        """All lanes on the rows that the champion did not learn from."""
        assert self.champion is not None
        return Drawn.of(self.terms, self.champion.scores)

    def best(self, lanes: Sequence[Lane]) -> Lane:
        """Pick by validation."""
        return min(lanes, key=lambda lane: (-self.terms.sign * lane.valid, lane.name))

    @property
    def refit(self) -> Lane | None:
        """The champion's own recipe, fitted to tonight's data."""
        recipe = self.champion.recipe if self.champion else ""
        return next((lane for lane in self.lanes if recipe and lane.recipe == recipe), None)

    @property
    def best_baseline(self) -> Lane | None:
        """The one that validation picks."""
        baselines = [lane for lane in self.lanes if lane.kind == "baseline"]
        return self.best(baselines) if baselines else None

    def best_of_other_kind(self, candidate: Lane) -> Lane | None:
        """The best strategy where the candidate is a baseline, else the best baseline; validation picks."""
        if candidate.kind != "baseline":
            return self.best_baseline
        strategies = [lane for lane in self.lanes if lane.kind == "strategy"]
        return self.best(strategies) if strategies else None

    def references(self, candidate: Lane) -> list[tuple[Role, Lane]]:
        """Target-only, the counterpart, chance, the best baseline and the refit, but for itself; none twice."""
        found: list[tuple[Role, Lane]] = [("target-only", lane) for lane in self.lanes if lane.name == TARGET_ONLY]
        found += [("counterpart", lane) for lane in self.lanes if lane.name == candidate.must_beat]
        found += [("chance", lane) for lane in self.lanes if lane.kind == "chance"]
        if self.best_baseline:
            found.append(("best baseline", self.best_baseline))
        if self.refit:
            found.append(("refit", self.refit))
        roles: dict[str, tuple[Role, Lane]] = {}
        for role, lane in found:
            roles.setdefault(lane.name, (role, lane))
        return [(role, lane) for role, lane in roles.values() if lane != candidate]

    def hear(self, candidate: Lane) -> Hearing:
        """Hold a lane against its references, and against the champion on the rows that that did not learn from.

        The champion's own recipe replaces it where it is not worse; another has to be better, also than that recipe.
        """
        references, champion = self.references(candidate), self.champion
        names = [lane.name for role, lane in references if role != "chance"]
        anchors = self._anchors(candidate)
        rule = Rule(self.terms, self.drawn, names, anchors)
        comparisons = []
        for role, reference in references:
            wins = role == "chance" or reference.name == candidate.must_beat or reference == self.refit
            demand: Demand = "better" if wins else "not worse"
            comparisons.append(rule.compare(candidate.name, reference.name, role, demand))
        if champion is not None:
            beside = Rule(self.terms, self.drawn_beside, [*names, CHAMPION], anchors)
            demand = "not worse" if candidate == self.refit else "better"
            found = beside.compare(candidate.name, CHAMPION, "champion", demand)
            comparisons.append(found.model_copy(update={"reference": f"version {champion.version}"}))
        aged = champion is not None and champion.age_days > self.terms.gate.max_age_days
        return Hearing(candidate, tuple(comparisons), candidate.transfer and self.test.few, champion, aged)

    def _anchors(self, candidate: Lane) -> tuple[str, str]:
        """Two lanes whose difference says what the rows can show: target-only and the best baseline.

        The next best baseline stands in for the candidate; chance, then the candidate itself, only if nothing is left.
        """
        baselines = sorted(
            (lane for lane in self.lanes if lane.kind == "baseline"),
            key=lambda lane: (-self.terms.sign * lane.valid, lane.name),
        )
        known = [lane.name for lane in self.lanes if lane.name == TARGET_ONLY] + [lane.name for lane in baselines]
        first, second = [*(name for name in known if name != candidate.name), CHANCE, candidate.name][:2]
        return first, second
