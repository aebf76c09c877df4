"""Figures as SVG text: forest plots, cost against quality, quality by share and by night, lanes' curves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from pipeline.evaluation import drawing as d
from pipeline.evaluation.bootstrap import Estimate
from pipeline.labels.words import Words

_HEIGHT = 240  # of a frame
_NAMES = 150  # for names beside a frame
_MARKS = {"strategy": "strategy", "baseline": "s1", "blend": "s2"}  # what a lane is -> class of the style sheet


@dataclass(frozen=True)
class ForestRow:
    """A named line of a forest plot: one estimate for each series, the first is the main one; a heading has none."""

    label: str
    values: tuple[Estimate | None, ...]
    strong: bool = False  # drawn in the accent colour


@dataclass(frozen=True)
class Point:
    """A point of a scatter plot."""

    label: str
    x: float
    y: Estimate
    kind: str  # what the lane is


@dataclass(frozen=True)
class Line:
    """A line with intervals; points in `ringed` stand out."""

    label: str
    kind: str
    points: tuple[tuple[float, Estimate], ...]
    ringed: tuple[float, ...] = ()


@dataclass(frozen=True)
class Trace:
    """A line without intervals, from left to right."""

    label: str
    kind: str
    points: tuple[tuple[float, float], ...]


def forest(words: Words, title: str, rows: Sequence[ForestRow], series: Sequence[str], zero: bool = False) -> str:
    """Draw a point with its interval for each row and series, below its name; `zero` draws the line of no difference.

    Numbers on the right are those of the first series.
    """
    present = [value for row in rows for value in row.values if value is not None]
    if not present:
        return ""
    values = d.ticks(min([0.0, *(one.low for one in present)]), max([0.0, *(one.high for one in present)]))
    scale = d.Scale(values[0], values[-1], 6, d.WIDTH - 6)
    heights = [26.0 if not row.values else 24.0 + 9 * len(row.values) for row in rows]
    places = [34 * (len(series) > 1) + sum(heights[:i]) for i in range(len(rows) + 1)]
    svg = d.svg(title, places[-1] + 44)
    if len(series) > 1:
        d.legend(svg, [(label, f"s{i}") for i, label in enumerate(series)])
    step = values[1] - values[0]
    for value in values:
        d.line(svg, (scale(value), places[0]), (scale(value), places[-1] + 6), "grid")
    if zero:
        d.line(svg, (scale(0), places[0]), (scale(0), places[-1] + 6), "zero")
    d.x_ticks(svg, [(scale(value), d.tick(words, value, step)) for value in values], places[-1] + 22)
    if words.written:
        d.text(svg, d.WIDTH - 8, places[-1] + 38, words.written.strip(), "tick", "end")
    for row, top in zip(rows, places, strict=False):
        if not row.values:
            d.text(svg, 12, top + 19, d.cut(row.label, d.WIDTH - 20), "heading", "start")
            continue
        kind = "name strong" if row.strong else "name"
        d.text(svg, 12, top + 14, d.cut(row.label, d.WIDTH - 90), kind, "start")
        for j, one in enumerate(row.values):
            if one is not None:
                d.whisker(svg, scale, one, top + 23 + 9 * j, f"s{j}{' strong' if row.strong and j == 0 else ''}")
        if row.values[0] is not None:
            shown = words.number(row.values[0].value, "+" if zero else "")
            d.text(svg, d.WIDTH - 12, top + 14, shown, "number", "end")
    return d.written(svg)


def scatter(words: Words, title: str, points: Sequence[Point], labels: tuple[str, str]) -> str:
    """Draw quality, with intervals, against cost on a logarithmic axis; the names stand apart, at the right."""
    if not points:
        return ""
    right, names = d.WIDTH - _NAMES - 20, d.WIDTH - _NAMES
    xs = [math.log10(max(point.x, 0.01)) for point in points]
    first, last = math.floor(min(xs)), math.ceil(max(xs))
    last = max(last, first + 1)
    kinds = dict.fromkeys(point.kind for point in points)
    height = max(_HEIGHT, d.LINE * len(points))
    svg, top, bottom = _frame(title, [(kind, _MARKS[kind]) for kind in kinds], labels, height)
    values = d.ticks(min(0.0, *(point.y.low for point in points)), max(point.y.high for point in points))
    x, y = d.Scale(first, last, d.LEFT + 8, right - 8), d.Scale(values[0], values[-1], bottom, top)
    d.y_axis(svg, words, y, values, right)
    for power in range(first, last + 1):
        d.line(svg, (x(power), top), (x(power), bottom), "grid")
    d.x_ticks(svg, [(x(power), f"{10.0**power:g}") for power in range(first, last + 1)], bottom + 18)
    places = d.keep_apart([y(point.y.value) for point in points], top, bottom)
    for point, across, place in zip(points, map(x, xs), places, strict=True):
        d.line(svg, (across, y(point.y.value)), (names - 4, place), "leader")
        d.line(svg, (across, y(point.y.low)), (across, y(point.y.high)), f"bar {_MARKS[point.kind]}")
        d.dot(svg, (across, y(point.y.value)), f"dot {_MARKS[point.kind]}")
        d.text(svg, names, place + 4.5, d.cut(point.label, _NAMES - d.LETTER), "small", "start")
    return d.written(svg)


def curve(words: Words, title: str, lines: Sequence[Line], labels: tuple[str, str]) -> str:
    """Draw quality against the share of target data, on a logarithmic axis, with a band for each line's intervals."""
    shares = sorted({share for line in lines for share, _ in line.points})
    if not shares:
        return ""
    x = d.Scale(math.log10(min(shares[0], 0.9)), 0.0, d.LEFT + 24, d.RIGHT - 24)
    places = {share: x(math.log10(share)) for share in shares}
    return _banded(words, title, lines, labels, {share: (places[share], f"{100 * share:g} %") for share in shares})


def by_night(words: Words, title: str, lines: Sequence[Line], nights: Sequence[str], label: str) -> str:
    """Draw quality by night: the points of the lines are at the numbers of the nights, which are named."""
    x = d.Scale(0, max(len(nights) - 1, 1), d.LEFT + 24, d.RIGHT - 24)
    places = {float(place): (x(place), night) for place, night in enumerate(nights)}
    return _banded(words, title, lines, ("night", label), places)


def plot(words: Words, title: str, traces: Sequence[Trace], labels: tuple[str, str], *, diagonal: bool) -> str:
    """Draw lines over an axis that begins where they do; `diagonal` draws where both axes say the same."""
    points = [point for trace in traces for point in trace.points]
    if not points:
        return ""
    across, up = ([point[axis] for point in points] for axis in (0, 1))
    xs, ys = d.ticks(min(across), max(across)), d.ticks(min([*up, 0.0]), max(up))
    svg, top, bottom = _frame(title, [(trace.label, trace.kind) for trace in traces], labels)
    x, y = d.Scale(xs[0], xs[-1], d.LEFT, d.RIGHT), d.Scale(ys[0], ys[-1], bottom, top)
    d.y_axis(svg, words, y, ys)
    d.x_ticks(svg, [(x(value), d.tick(words, value, xs[1] - xs[0])) for value in xs], bottom + 18)
    if diagonal and (low := max(x.low, y.low)) < (high := min(x.high, y.high)):
        d.line(svg, (x(low), y(low)), (x(high), y(high)), "zero")
    for trace in traces:
        d.path(svg, [(x(point[0]), y(point[1])) for point in trace.points], trace.kind)
        for point in trace.points if diagonal or len(trace.points) == 1 else ():
            d.dot(svg, (x(point[0]), y(point[1])), f"dot {trace.kind}")
    return d.written(svg)


def _banded(
    words: Words, title: str, lines: Sequence[Line], labels: tuple[str, str], places: dict[float, tuple[float, str]]
) -> str:
    """Draw lines with a band of their intervals over named places."""
    estimates = [estimate for line in lines for _, estimate in line.points]
    if not estimates:
        return ""
    lines = [line for line in lines if line.points]
    svg, top, bottom = _frame(title, [(line.label, line.kind) for line in lines], labels)
    values = d.ticks(min(0.0, *(value.low for value in estimates)), max(value.high for value in estimates))
    y = d.Scale(values[0], values[-1], bottom, top)
    d.y_axis(svg, words, y, values)
    d.x_ticks(svg, list(places.values()), bottom + 18)
    for i, line in enumerate(lines):
        shift = (i - (len(lines) - 1) / 2) * 6  # intervals of one place stand beside each other
        path = [(places[at][0] + shift, estimate) for at, estimate in line.points]
        if len(path) > 1:
            edge = [(across, y(one.high)) for across, one in path]
            edge += [(across, y(one.low)) for across, one in reversed(path)]
            points = " ".join(f"{across:g},{down:g}" for across, down in edge)
            SubElement(svg, "polygon", {"points": points, "class": f"band {line.kind}"})
            d.path(svg, [(across, y(one.value)) for across, one in path], line.kind)
        for (at, _), (across, one) in zip(line.points, path, strict=True):
            d.line(svg, (across, y(one.low)), (across, y(one.high)), f"bar {line.kind}")
            d.dot(svg, (across, y(one.value)), f"dot {line.kind}")
            if at in line.ringed:
                d.dot(svg, (across, y(one.value)), f"ring {line.kind}", radius=7.5)
    return d.written(svg)


def _frame(
    title: str, series: Sequence[tuple[str, str]], labels: tuple[str, str], inner: float = _HEIGHT
) -> tuple[Element, float, float]:
    """Begin a figure with a legend and the names of both axes; gives where its frame begins and ends."""
    svg = d.svg(title, 0)
    top = d.legend(svg, series) + 26
    bottom = top + inner
    svg.set("viewBox", f"0 0 {d.WIDTH} {bottom + 62:g}")
    d.text(svg, 12, top - 12, d.cut(labels[1], d.WIDTH - 16), "axis", "start")
    d.text(svg, d.WIDTH / 2, bottom + 54, d.cut(labels[0], d.WIDTH - 16), "axis", "middle")
    return svg, top, bottom
