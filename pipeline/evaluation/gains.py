"""Who gains and who loses by a source, and who is served without it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from pipeline.evaluation.bootstrap import Estimate
from pipeline.evaluation.comparison import LaneInfo, SliceView, View


class Shares(BaseModel):
    """How much each of two lanes counts in a blend, by group of units; `by`: what divides them, as slices say it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lane: str
    by: str
    groups: dict[str, dict[str, float]]


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
class GroupShare:
    """How much each lane counts in a group, and how many units of the test are in it; None: too few to be shown."""

    label: str
    shares: dict[str, float]
    units: int | None


@dataclass(frozen=True)
class BlendTold:
    """One blend: its groups, and how many of the units that are shown are served without any source."""

    lane: str
    by: str
    groups: tuple[GroupShare, ...]
    units: int
    without: int | None  # None: it uses no source


def lane_of_gains(lanes: Sequence[LaneInfo], candidate: str) -> LaneInfo | None:
    """The lane whose gains are told: the candidate, else the best on validation rows that has a counterpart."""
    using = [lane for lane in lanes if lane.counterpart]
    return next((lane for lane in using if lane.name == candidate), using[0] if using else None)


def gains_of(view: View | None, lane: LaneInfo | None) -> tuple[GroupGain, ...]:
    """The gain of a lane against its counterpart, group by group."""
    if view is None or lane is None:
        return ()
    return tuple(GroupGain(part, part.by_source[lane.name]) for part in view.slices if lane.name in part.by_source)


def blends_told(
    blends: Sequence[Shares], lanes: Sequence[LaneInfo], view: View | None, target: str
) -> tuple[BlendTold, ...]:
    """Put each blend's shares beside the test units of each group."""
    alone = {lane.name for lane in lanes if lane.domains == (target,)}
    return tuple(_told(blend, alone, view) for blend in blends)


def _told(blend: Shares, alone: set[str], view: View | None) -> BlendTold:
    units = {part.label: part.units for part in (view.slices if view else ()) if part.by == blend.by}
    groups = tuple(GroupShare(label, shares, units.get(label)) for label, shares in blend.groups.items())
    without = sum(
        group.units or 0
        for group in groups
        if all(lane in alone for lane, share in group.shares.items() if share)
    )  # fmt: skip
    return BlendTold(blend.lane, blend.by, groups, sum(units.values()), None if blend.lane in alone else without)
