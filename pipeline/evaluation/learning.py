"""How each lane learnt: the loss and the watched metric by epoch, as small pictures beside each other."""

import csv
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from xml.etree.ElementTree import Element

from pydantic import BaseModel, ConfigDict

from pipeline.evaluation import drawing as d
from pipeline.labels.words import Words

_LOSS, _PENALTY, _METRIC = "train/", "train/penalty", "valid/metric"  # keys of a lane's curves
_WIDE, _APART, _HIGH = 218, 28, 132  # of one picture
_TOP, _BOTTOM = 46, 106  # of its frame

Points = tuple[tuple[int, float], ...]  # (epoch from 1, value)


class Learning(BaseModel):
    """One lane by epoch.

    `loss` is the mean of the losses of the domains that it learns from, without the method's penalty; `metric` is
    empty, and `best` 0, where no metric was watched.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lane: str
    loss: Points
    metric: Points
    best: int  # the first epoch with the best metric


def read_learning(path: Path, lane: str, sign: float) -> Learning | None:
    """Read a lane's curves of epoch, step, key, value; None where it has no epoch.

    Args:
        path: The CSV.
        lane: Its lane.
        sign: 1, or -1 where less of the watched metric is better: the file holds it turned, so that more is better.
    """
    losses: dict[int, list[float]] = defaultdict(list)
    watched: dict[int, float] = {}  # higher is better
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            epoch, value = int(row["epoch"]) + 1, float(row["value"] or "nan")
            if not math.isfinite(value):
                continue
            if row["key"] == _METRIC:
                watched[epoch] = value
            elif row["key"].startswith(_LOSS) and row["key"] != _PENALTY:
                losses[epoch].append(value)
    loss = tuple((epoch, mean(values)) for epoch, values in sorted(losses.items()))
    if not loss and not watched:
        return None
    best = max(sorted(watched), key=lambda epoch: watched[epoch], default=0)
    metric = tuple((epoch, sign * value) for epoch, value in sorted(watched.items()))
    return Learning(lane=lane, loss=loss, metric=metric, best=best)


def draw_learning(words: Words, metric: str, lanes: Sequence[Learning], candidate: str) -> str:
    """Draw two pictures a row. The metric has one scale in all of them, each loss its own."""
    if not lanes:
        return ""
    values = [value for lane in lanes for _, value in lane.metric]
    figure = d.svg("How each lane learnt, by epoch", 28 + _HIGH * math.ceil(len(lanes) / 2))
    d.legend(figure, [(words.name(metric), "strategy"), ("loss", "s1")])
    for place, lane in enumerate(lanes):
        corner = (8.0 + (_WIDE + _APART) * (place % 2), 28.0 + _HIGH * (place // 2))
        kind = "strong" if lane.lane == candidate else "strategy"
        _panel(figure, words, lane, corner, (min(values, default=0.0), max(values, default=1.0)), kind)
    return d.written(figure)


def _panel(
    figure: Element, words: Words, lane: Learning, corner: tuple[float, float], span: tuple[float, float], kind: str
) -> None:
    left, top = corner
    d.text(figure, left, top + 14, d.cut(lane.lane, _WIDE - 62), f"name {kind}", "start")
    last = max(epoch for epoch, _ in (*lane.loss, *lane.metric))
    x = d.Scale(1, max(last, 2), left + 6, left + _WIDE - 6)
    for down in (_TOP, _BOTTOM):
        d.line(figure, (left, top + down), (left + _WIDE, top + down), "grid")
    if lane.loss:
        told = f"loss {lane.loss[0][1]:.3g} to {lane.loss[-1][1]:.3g}"
        d.text(figure, left, top + 32, told, "small", "start")
        _line(figure, x, lane.loss, _scale([value for _, value in lane.loss], top), "s1")
    if lane.metric:
        best = next(point for point in lane.metric if point[0] == lane.best)
        y = _scale(span, top)
        _line(figure, x, lane.metric, y, kind)
        d.dot(figure, (x(best[0]), y(best[1])), f"dot {kind}")
        d.text(figure, left + _WIDE, top + 14, words.number(best[1]), "number", "end")
        d.text(figure, left + _WIDE, top + 32, f"best: {best[0]} of {last}", "small", "end")
    d.text(figure, left, top + 122, "1", "tick", "start")
    d.text(figure, left + _WIDE, top + 122, f"{last}", "tick", "end")


def _scale(values: Sequence[float] | tuple[float, float], top: float) -> d.Scale:
    low, high = min(values), max(values)
    room = (high - low) or abs(high) or 1.0
    return d.Scale(low, low + room, top + _BOTTOM - 6, top + _TOP + 6)


def _line(figure: Element, x: d.Scale, points: Points, y: d.Scale, kind: str) -> None:
    places = [(x(epoch), y(value)) for epoch, value in points]
    if len(places) == 1:
        d.dot(figure, places[0], f"dot {kind}", radius=2.5)
    d.path(figure, places, kind)
