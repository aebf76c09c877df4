"""Quality against the share of target data: one point for each share that was run."""

from pydantic import BaseModel, ConfigDict

from pipeline.evaluation.bootstrap import Estimate
from pipeline.evaluation.comparison import ALL, UNMARKED, Comparison, LaneInfo, View
from pipeline.evaluation.terms import TARGET_ONLY


class Transfer(BaseModel):
    """A lane that uses the source beside the same method on the target alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lane: str
    value: Estimate
    counterpart: str
    counterpart_value: Estimate
    gain: Estimate


class CurvePoint(BaseModel):
    """What a run at one share of the target's training rows gave, on test rows without marks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float
    metric: str
    level: float
    units: int
    target_only: Estimate
    best: Transfer | None  # the lane that uses the source with the best validation metric
    baseline: Transfer | None  # the same among the baselines


def make_point(comparison: Comparison) -> CurvePoint:
    """Take the point of a run's curve from its comparison.

    Raises:
        KeyError: the comparison has no view; it always has one where there is a test row.
    """
    view = comparison.views.get(UNMARKED) or comparison.views[ALL]
    using = [lane for lane in comparison.lanes if lane.counterpart is not None]  # best validation metric first
    baselines = [lane for lane in using if lane.kind == "baseline"]
    return CurvePoint(
        share=comparison.target_share,
        metric=comparison.metric,
        level=comparison.level,
        units=view.units,
        target_only=view.lanes[TARGET_ONLY][comparison.metric],
        best=_transfer(using[0], view, comparison.metric) if using else None,
        baseline=_transfer(baselines[0], view, comparison.metric) if baselines else None,
    )


def _transfer(lane: LaneInfo, view: View, metric: str) -> Transfer:
    [gain] = [gain for gain in view.gains if gain.lane == lane.name and gain.transfer]
    return Transfer(
        lane=lane.name,
        value=view.lanes[lane.name][metric],
        counterpart=gain.against,
        counterpart_value=view.lanes[gain.against][metric],
        gain=gain.difference,
    )
