"""Who gains and who loses by a source, and who is served without it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.evaluation.bootstrap import Estimate
from pipeline.evaluation.comparison import Comparison, LaneInfo, SliceView, View
from pipeline.evaluation.statistics import FEWEST_UNITS
from pipeline.results import Mixture


@dataclass(frozen=True)
class GroupGain:
    """What the source brings to some of the rows."""

    part: SliceView
    difference: Estimate

    @property
    def word(self) -> str:
        """Whether the units of the group gain or lose; each interval by itself, no correction for their number."""
        return "gain" if self.difference.low > 0 else "lose" if self.difference.high < 0 else "not shown"


@dataclass(frozen=True)
class BlendTold:
    """One blend beside the test.

    Args:
        mixture: How much each lane counts in each group.
        units: Of the test, by group; groups that are too small to be shown are left out.
        without: How many of these are served without any source; None: the blend uses none.
    """

    mixture: Mixture
    units: dict[str, int]
    without: int | None


def told_of_gains(
    comparison: Comparison, view: View | None, candidate: str, mixtures: Sequence[Mixture]
) -> dict[str, object]:
    """What the pages tell of gains and blends: the lane, its gains, and each blend."""
    lane = lane_of_gains(comparison.lanes, candidate)
    blends = blends_told(mixtures, comparison.lanes, view, comparison.target)
    return {"gaining": lane, "group_gains": gains_of(view, lane), "blends": blends}


def lane_of_gains(lanes: Sequence[LaneInfo], candidate: str) -> LaneInfo | None:
    """The lane whose gains are told: the candidate, else the best on validation rows that has a counterpart."""
    using = [lane for lane in lanes if lane.counterpart]
    return next((lane for lane in using if lane.name == candidate), using[0] if using else None)


def gains_of(view: View | None, lane: LaneInfo | None) -> tuple[GroupGain, ...]:
    """The gain of a lane against its counterpart, group by group; none where even all rows are too few to show it."""
    if view is None or lane is None or view.units < FEWEST_UNITS:
        return ()
    return tuple(GroupGain(part, part.by_source[lane.name]) for part in view.slices if lane.name in part.by_source)


def blends_told(
    mixtures: Sequence[Mixture], lanes: Sequence[LaneInfo], view: View | None, target: str
) -> tuple[BlendTold, ...]:
    """Put each blend's shares beside the test units of each group."""
    alone = {lane.name for lane in lanes if lane.domains == (target,)}
    return tuple(_told(mixture, alone, view) for mixture in mixtures)


def _told(mixture: Mixture, alone: set[str], view: View | None) -> BlendTold:
    units = {part.label: part.units for part in (view.slices if view else ()) if part.by == mixture.by}
    without = sum(units.get(name, 0) for name, share in mixture.groups if mixture.counting(share) <= alone)
    return BlendTold(mixture, units, None if alone.issuperset(mixture.of) else without)
