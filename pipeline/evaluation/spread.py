"""How much hangs on the division of a small set: each lane over several splits of the same rows."""

from collections.abc import Sequence
from statistics import mean, stdev

from pydantic import BaseModel, ConfigDict

from pipeline.evaluation.bootstrap import Estimate
from pipeline.evaluation.comparison import ALL, UNMARKED, Comparison
from pipeline.evaluation.terms import TARGET_ONLY


class SplitPoint(BaseModel):
    """What a run on one split gave, in the gated metric, on test rows without marks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    draw: int
    metric: str
    lanes: dict[str, Estimate]


class Spread(BaseModel):
    """One lane over several splits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lane: str
    splits: int
    mean: float
    deviation: float  # of the splits (n - 1); it is no error of the mean, because splits share their rows
    worst: float
    best: float
    half_width: float  # of the interval over units, mean over splits
    ahead: int  # splits on which it is better than target-only


def make_split_point(comparison: Comparison, draw: int) -> SplitPoint:
    """Take what one split says from the comparison of its run."""
    view = comparison.views.get(UNMARKED) or comparison.views[ALL]
    metric = comparison.metric
    lanes = {name: values[metric] for name, values in view.lanes.items() if metric in values}
    return SplitPoint(draw=draw, metric=metric, lanes=lanes)


def incomplete(points: Sequence[SplitPoint]) -> tuple[str, ...]:
    """Lanes that some splits have and others do not, as where one failed: `spread` leaves them out."""
    return tuple(sorted({lane for point in points for lane in point.lanes if not all(lane in p.lanes for p in points)}))


def spread(points: Sequence[SplitPoint], sign: float) -> tuple[Spread, ...]:
    """Put together the lanes that every split has, the best mean first; nothing of fewer than two splits.

    Args:
        points: One a split.
        sign: 1, or -1 where less of the metric is better.
    """
    if len(points) < 2:
        return ()
    names = [name for name in points[0].lanes if all(name in point.lanes for point in points)]
    found = []
    for name in names:
        ours = [point.lanes[name] for point in points]
        values = [one.value for one in ours]
        beside = [point.lanes.get(TARGET_ONLY) for point in points]
        turned = [sign * value for value in values]
        found.append(
            Spread(
                lane=name, splits=len(values), mean=mean(values), deviation=stdev(values),
                worst=sign * min(turned), best=sign * max(turned),
                half_width=mean((one.high - one.low) / 2 for one in ours),
                ahead=sum(a > sign * b.value for a, b in zip(turned, beside, strict=True) if b),
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda one: (-sign * one.mean, one.lane)))
