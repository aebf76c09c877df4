"""Figures as SVG text: forest plots, cost against quality, quality against the share of target data, lanes' curves.

Elements are built as a tree, so every label is escaped; colours come from the page's style sheet, so that a figure
follows its light and dark theme. Equal input gives equal text.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pipeline.evaluation.bootstrap import Estimate
from pipeline.labels.words import Words

WIDTH = 760
_LABEL = 178  # space for the names on the left
_RIGHT = 96  # space for the numbers on the right
_ROW = 26


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
    kind: str  # class of the style sheet


@dataclass(frozen=True)
class Line:
    """A line with intervals, over shares in (0, 1]."""

    label: str
    kind: str
    points: tuple[tuple[float, Estimate], ...]


@dataclass(frozen=True)
class Trace:
    """A line without intervals, from left to right."""

    label: str
    kind: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)


def forest(words: Words, title: str, rows: Sequence[ForestRow], series: Sequence[str], zero: bool = False) -> str:
    """Draw a point with its interval for each row and series; `zero` draws the line of no difference.

    Numbers on the right are those of the first series.
    """
    present = [value for row in rows for value in row.values if value is not None]
    if not present:
        return ""
    lows, highs = [value.low for value in present], [value.high for value in present]
    ticks = _ticks(min([*lows, 0.0]), max([*highs, 0.0]))
    scale = _Scale(ticks[0], ticks[-1], _LABEL + 12, WIDTH - _RIGHT - 12)
    top = 34 if len(series) > 1 else 12
    bottom = top + _ROW * len(rows)
    svg = _svg(title, bottom + 34)
    _x_axis(svg, words, scale, ticks, (top, bottom))
    if zero:
        _line(svg, scale(0), top, scale(0), bottom, "zero")
    if len(series) > 1:
        _legend(svg, series)
    for i, row in enumerate(rows):
        middle = top + _ROW * i + _ROW / 2
        if not row.values:
            _text(svg, 8, middle + 6, row.label, "heading", "start")
            continue
        _text(svg, _LABEL, middle + 4, row.label, "name strong" if row.strong else "name", "end")
        for j, value in enumerate(row.values):
            if value is not None:
                offset = (j - (len(row.values) - 1) / 2) * 9
                _whisker(svg, scale, value, middle + offset, f"s{j}{' strong' if row.strong and j == 0 else ''}")
        if row.values[0] is not None:
            shown = words.number(row.values[0].value, "+" if zero else "")
            _text(svg, WIDTH - 8, middle + 4, shown, "number", "end")
    return _string(svg)


def scatter(words: Words, title: str, points: Sequence[Point], labels: tuple[str, str]) -> str:
    """Draw quality, with intervals, against cost on a logarithmic axis."""
    if not points:
        return ""
    height, left, top, bottom = 352, 62, 40, 302
    xs = [max(point.x, 0.01) for point in points]
    first, last = math.floor(math.log10(min(xs))), math.ceil(math.log10(max(xs)))
    last = max(last, first + 1)
    x = _Scale(first, last, left, WIDTH - 120)
    ticks = _ticks(min(0.0, *(point.y.low for point in points)), max(point.y.high for point in points))
    y = _Scale(ticks[0], ticks[-1], bottom, top)
    svg = _svg(title, height)
    _y_axis(svg, words, y, ticks, (left, WIDTH - 120))
    for power in range(first, last + 1):
        _line(svg, x(power), top, x(power), bottom, "grid")
        _text(svg, x(power), bottom + 18, f"{10.0**power:g}", "tick", "middle")
    _text(svg, (left + WIDTH - 120) / 2, bottom + 40, labels[0], "axis", "middle")
    places = _spread([y(point.y.value) for point in points])
    for point, place in zip(points, places, strict=True):
        across = x(math.log10(max(point.x, 0.01)))
        _line(svg, across, y(point.y.low), across, y(point.y.high), f"bar {point.kind}")
        _dot(svg, across, y(point.y.value), f"dot {point.kind}")
        _text(svg, across + 9, place + 4, point.label, "small", "start")
    _legend(svg, ("strategy", "baseline"), ("strategy", "s1"), across=WIDTH - 300)
    _text(svg, left - 34, 20, labels[1], "axis", "start")
    return _string(svg)


def curve(words: Words, title: str, lines: Sequence[Line], labels: tuple[str, str]) -> str:
    """Draw quality against the share of target data, with a band for each line's intervals."""
    estimates = [estimate for line in lines for _, estimate in line.points]
    if not estimates:
        return ""
    height, left, top, bottom, right = 380, 62, 40, 322, WIDTH - 24
    shares = sorted({share for line in lines for share, _ in line.points})
    x = _Scale(math.log10(min(shares[0], 0.9)), 0.0, left + 34, right - 34)
    ticks = _ticks(min(0.0, *(value.low for value in estimates)), max(value.high for value in estimates))
    y = _Scale(ticks[0], ticks[-1], bottom, top)
    svg = _svg(title, height)
    _y_axis(svg, words, y, ticks, (left, right))
    for share in shares:
        _text(svg, x(math.log10(share)), bottom + 18, f"{100 * share:g} %", "tick", "middle")
    _text(svg, (left + right) / 2, bottom + 42, labels[0], "axis", "middle")
    _legend(svg, [line.label for line in lines], [line.kind for line in lines], across=268)
    for i, line in enumerate(lines):
        shift = (i - (len(lines) - 1) / 2) * 6  # intervals of one share stand beside each other
        path = [(x(math.log10(share)) + shift, estimate) for share, estimate in line.points]
        if len(path) > 1:
            upper = [f"{across},{y(estimate.high)}" for across, estimate in path]
            lower = [f"{across},{y(estimate.low)}" for across, estimate in reversed(path)]
            SubElement(svg, "polygon", points=" ".join(upper + lower), attrib={"class": f"band {line.kind}"})
            points = " ".join(f"{across},{y(estimate.value)}" for across, estimate in path)
            SubElement(svg, "polyline", points=points, attrib={"class": f"line {line.kind}"})
        for across, estimate in path:
            _line(svg, across, y(estimate.low), across, y(estimate.high), f"bar {line.kind}")
            _dot(svg, across, y(estimate.value), f"dot {line.kind}")
    _text(svg, left - 34, 18, labels[1], "axis", "start")
    return _string(svg)


def plot(words: Words, title: str, traces: Sequence[Trace], labels: tuple[str, str], *, diagonal: bool) -> str:
    """Draw lines over an axis that begins where they do; `diagonal` draws where both axes say the same."""
    points = [point for trace in traces for point in trace.points]
    if not points:
        return ""
    height, left, top, bottom, right = 380, 62, 40, 322, WIDTH - 24
    across, up = ([point[axis] for point in points] for axis in (0, 1))
    ticks = _ticks(min(across), max(across)), _ticks(min([*up, 0.0]), max(up))
    x, y = _Scale(ticks[0][0], ticks[0][-1], left, right), _Scale(ticks[1][0], ticks[1][-1], bottom, top)
    svg = _svg(title, height)
    _y_axis(svg, words, y, ticks[1], (left, right))
    for tick in ticks[0]:
        _text(svg, x(tick), bottom + 18, _tick(words, tick, ticks[0][1] - ticks[0][0]), "tick", "middle")
    _text(svg, (left + right) / 2, bottom + 42, labels[0], "axis", "middle")
    if diagonal and (low := max(x.low, y.low)) < (high := min(x.high, y.high)):
        _line(svg, x(low), y(low), x(high), y(high), "zero")
    _legend(svg, [trace.label for trace in traces], [trace.kind for trace in traces], across=268)
    for trace in traces:
        path = " ".join(f"{x(point[0])},{y(point[1])}" for point in trace.points)
        SubElement(svg, "polyline", points=path, attrib={"class": f"line {trace.kind}"})
        for point in trace.points if diagonal or len(trace.points) == 1 else ():
            _dot(svg, x(point[0]), y(point[1]), f"dot {trace.kind}")
    _text(svg, left - 34, 18, labels[1], "axis", "start")
    return _string(svg)


def _ticks(low: float, high: float) -> list[float]:
    """Round values that enclose a range, about five of them."""
    span = max(high - low, 1e-9)
    raw = span / 4
    power: float = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * i, 12) for i in range(first, max(last, first + 1) + 1)]


def _tick(words: Words, value: float, step: float) -> str:
    """Write a value of an axis with as many digits as the steps need."""
    step *= words.scale
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    digits += round(step * 10**digits, 6) % 1 != 0  # 2.5 and the like need one more
    return f"{words.scale * value:z.{digits}f}" if value else "0"


def _spread(places: Sequence[float], apart: float = 13.0) -> list[float]:
    """Move labels that would lie on each other apart, downwards in the order of their places."""
    result = list(places)
    order = sorted(range(len(places)), key=lambda i: (places[i], i))
    for above, below in pairwise(order):
        result[below] = max(result[below], result[above] + apart)
    return result


def _svg(title: str, height: float) -> Element:
    size = {"viewBox": f"0 0 {WIDTH} {height:g}", "role": "img", "aria-label": title, "class": "figure"}
    svg = Element("svg", size)
    SubElement(svg, "title").text = title
    return svg


def _string(svg: Element) -> str:
    indent(svg, space=" ")
    return tostring(svg, encoding="unicode")


def _x_axis(svg: Element, words: Words, scale: _Scale, ticks: Sequence[float], span: tuple[float, float]) -> None:
    for tick in ticks:
        _line(svg, scale(tick), span[0], scale(tick), span[1], "grid")
        _text(svg, scale(tick), span[1] + 18, _tick(words, tick, ticks[1] - ticks[0]), "tick", "middle")
    if words.written:
        _text(svg, WIDTH - 8, span[1] + 18, words.written.strip(), "tick", "end")


def _y_axis(svg: Element, words: Words, scale: _Scale, ticks: Sequence[float], span: tuple[float, float]) -> None:
    for tick in ticks:
        _line(svg, span[0], scale(tick), span[1], scale(tick), "grid")
        _text(svg, span[0] - 8, scale(tick) + 4, _tick(words, tick, ticks[1] - ticks[0]), "tick", "end")


def _legend(
    svg: Element, series: Sequence[str], kinds: Sequence[str] = ("s0", "s1"), across: float = _LABEL + 12
) -> None:
    for kind, label in zip(kinds, series, strict=False):
        _dot(svg, across + 5, 16, f"dot {kind}")
        _text(svg, across + 15, 20, label, "small", "start")
        across += 32 + 6.2 * len(label)


def _whisker(svg: Element, scale: _Scale, value: Estimate, height: float, kind: str) -> None:
    _line(svg, scale(value.low), height, scale(value.high), height, f"bar {kind}")
    _dot(svg, scale(value.value), height, f"dot {kind}")


def _line(svg: Element, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
    ends = {"x1": f"{x1:g}", "y1": f"{y1:g}", "x2": f"{x2:g}", "y2": f"{y2:g}", "class": kind}
    SubElement(svg, "line", ends)


def _dot(svg: Element, x: float, y: float, kind: str) -> None:
    SubElement(svg, "circle", {"cx": f"{x:g}", "cy": f"{y:g}", "r": "4.2", "class": kind})


def _text(svg: Element, x: float, y: float, text: str, kind: str, anchor: str) -> None:
    place = {"x": f"{x:g}", "y": f"{y:g}", "class": kind, "text-anchor": anchor}
    SubElement(svg, "text", place).text = text
