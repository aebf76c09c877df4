"""Curves of what lanes say of the test rows: values that a report draws without knowing what they are about.

Shapes: N rows.
"""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Point = tuple[float, float]
FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

_POINTS = 60  # of a line, at most
_FEWEST = 50  # rows that groups are made of: of fewer a group would show what a row has
_GROUPS = 10
_DIGITS = 6


class Curve(BaseModel):
    """A figure with one line for each lane."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    note: str  # a sentence on how to read it
    axes: tuple[str, str]  # what stands along x and y
    lines: dict[str, Annotated[tuple[Point, ...], Field(min_length=1)]]  # lane -> its points from left to right
    diagonal: bool  # where x and y are the same is drawn as well


def precision_and_recall(positive_N: Mask, scores: Mapping[str, FloatArray]) -> Curve:
    """Precision against recall as the threshold falls from the highest score to the lowest."""
    return Curve(
        title="Precision against recall",
        note="Each point is a threshold: the share of positives that it finds, and how many of what it finds are so.",
        axes=("recall", "precision"),
        lines={name: _precisions(positive_N, score_N) for name, score_N in scores.items()},
        diagonal=False,
    )


def reliability(positive_N: Mask, scores: Mapping[str, FloatArray]) -> tuple[Curve, ...]:
    """Share of positives against probability, over ten groups of rows by their probability; none of few rows."""
    if len(positive_N) < _FEWEST:
        return ()
    made = Curve(
        title="Reliability: what is said to be probable, and how often it is so",
        note="Rows in ten groups of one size by their probability; on the diagonal a probability is what it says.",
        axes=("mean probability", "share of positives"),
        lines={name: _by_tenths(score_N, positive_N.astype(np.float64)) for name, score_N in scores.items()},
        diagonal=True,
    )
    return (made,)


def by_cost(positive_N: Mask, scores: Mapping[str, FloatArray], costs: tuple[float, float]) -> Curve:
    """What a row costs in the mean against the share of rows that are told yes, from none to all."""
    never, always = costs[1] * positive_N.mean(), costs[0] * (~positive_N).mean()
    return Curve(
        title="Cost of a row by the share that is told yes",
        note=f"A wrong yes costs {costs[0]:g}, a wrong no {costs[1]:g}. Never to say yes costs {never:.4g} a row, "
             f"always to say it {always:.4g}: the ends of each line. What a lane costs at the threshold that it chose "
             "on validation rows stands among all metrics.",
        axes=("share of rows told yes", "cost of a row"),
        lines={name: _costs(positive_N, score_N, costs) for name, score_N in scores.items()},
        diagonal=False,
    )  # fmt: skip


def by_expected_cost(lanes: Mapping[str, tuple[FloatArray, FloatArray]], always: tuple[str, float]) -> Curve:
    """What a row costs in the mean over the rows of least expected cost, from few of them to all.

    Args:
        lanes: What each row is expected to cost, and what it does, [N] both.
        always: The one class that is cheapest for all rows, and what a row costs then.

    References:
        El-Yaniv and Wiener, On the foundations of noise-free selective classification, JMLR 2010: risk and coverage.
    """
    return Curve(
        title="Cost of a row, the surest first",
        note=f"Always to say {always[0]} costs {always[1]:.4g} a row, less than any other class; a mistake whose cost "
             "is not stated costs 1. Rows stand in the order of what the lane expects them to cost: a point is the "
             "mean of all up to there, and the end of each line what the lane costs.",
        axes=("share of rows, the surest first", "cost of a row"),
        lines={name: _surest(expected_N, cost_N) for name, (expected_N, cost_N) in lanes.items()},
        diagonal=False,
    )  # fmt: skip


def actual_by_predicted(value_N: FloatArray, predicted: Mapping[str, FloatArray]) -> tuple[Curve, ...]:
    """What rows have against what is said of them, over ten groups of rows by the latter; none of few rows."""
    if len(value_N) < _FEWEST:
        return ()
    made = Curve(
        title="What is predicted, and what is so",
        note="Rows in ten groups of one size by what is predicted; on the diagonal it is so in the mean.",
        axes=("mean prediction", "mean value"),
        lines={name: _by_tenths(said_N, value_N) for name, said_N in predicted.items()},
        diagonal=True,
    )
    return (made,)


def _precisions(positive_N: Mask, score_N: FloatArray) -> tuple[Point, ...]:
    """Recall and precision at some of the distinct scores, evenly spaced by recall."""
    scores, place_N = np.unique(-score_N, return_inverse=True)
    told = np.cumsum(np.bincount(place_N, minlength=len(scores)))
    right = np.cumsum(np.bincount(place_N, positive_N, minlength=len(scores)))
    recall, precision = right / positive_N.sum(), right / told
    wanted = np.searchsorted(recall, np.linspace(recall[0], 1, _POINTS))
    return _points(recall, precision, np.unique(np.append(0, np.minimum(wanted, len(recall) - 1))))


def _costs(positive_N: Mask, score_N: FloatArray, costs: tuple[float, float]) -> tuple[Point, ...]:
    """Share of rows and cost at some of the distinct scores, evenly spaced by share, and where no row is told yes."""
    scores, place_N = np.unique(-score_N, return_inverse=True)
    told = np.append(0, np.cumsum(np.bincount(place_N, minlength=len(scores))))
    right = np.append(0, np.cumsum(np.bincount(place_N, positive_N, minlength=len(scores))))
    cost = (costs[0] * (told - right) + costs[1] * (positive_N.sum() - right)) / len(positive_N)
    share = told / len(positive_N)
    wanted = np.searchsorted(share, np.linspace(0, 1, _POINTS))
    return _points(share, cost, np.unique(np.minimum(wanted, len(share) - 1)))


def _surest(expected_N: FloatArray, cost_N: FloatArray) -> tuple[Point, ...]:
    """Share of rows and mean cost at some of the distinct expected costs, evenly spaced by share."""
    _, place_N = np.unique(expected_N, return_inverse=True)
    rows = np.cumsum(np.bincount(place_N))
    mean, share = np.cumsum(np.bincount(place_N, cost_N)) / rows, rows / len(cost_N)
    wanted = np.searchsorted(share, np.linspace(0, 1, _POINTS))
    return _points(share, mean, np.unique(np.minimum(wanted, len(share) - 1)))


def _by_tenths(along_N: FloatArray, up_N: FloatArray) -> tuple[Point, ...]:
    """Means of both over groups of rows; rows of one value stay in one group."""
    _, place_N = np.unique(along_N, return_inverse=True)
    size = np.bincount(place_N)
    group = ((np.cumsum(size) - size / 2) * _GROUPS / len(along_N)).astype(np.int64)[place_N]
    present = np.unique(group)
    rows = np.bincount(group)[present]
    along, up = (np.bincount(group, one)[present] / rows for one in (along_N, up_N))
    return _points(along, up, np.arange(len(present)))


def _points(x: FloatArray, y: FloatArray, places: NDArray[np.int64]) -> tuple[Point, ...]:
    return tuple((round(float(x[i]), _DIGITS), round(float(y[i]), _DIGITS)) for i in places)
