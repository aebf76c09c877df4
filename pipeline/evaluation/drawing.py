"""What figures are made of: SVG elements, scales, ticks, and labels that keep apart.

A figure is as wide as 480 units, so that on the page of a telephone, which shows them at three quarters, its text can
be read. Elements are built as a tree, so every label is escaped; colours come from the page's style sheet, so that a
figure follows its light and dark theme. Equal input gives equal text.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pipeline.evaluation.bootstrap import Estimate
from pipeline.labels.words import Words

WIDTH = 480
LETTER = 7.0  # units that a letter of the figures' text takes at most, on average over a word
LINE = 16.0  # from one line of text to the next
LEFT, RIGHT = 56, WIDTH - 14  # of a frame with a vertical axis


@dataclass(frozen=True)
class Scale:
    """From values to units."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)


def ticks(low: float, high: float) -> list[float]:
    """Round values that enclose a range, about five of them."""
    span = max(high - low, 1e-9)
    raw = span / 4
    power: float = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * i, 12) for i in range(first, max(last, first + 1) + 1)]


def tick(words: Words, value: float, step: float) -> str:
    """Write a value of an axis with as many digits as the steps need."""
    step *= words.scale
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    digits += round(step * 10**digits, 6) % 1 != 0  # 2.5 and the like need one more
    return f"{words.scale * value:z.{digits}f}" if value else "0"


def keep_apart(places: Sequence[float], low: float, high: float, apart: float = LINE) -> list[float]:
    """Move places that would lie on each other apart, in their order and between two ends where there is room."""
    result = list(places)
    order = sorted(range(len(places)), key=lambda i: (places[i], i))
    for i in order[:1]:
        result[i] = max(result[i], low)
    for above, below in pairwise(order):
        result[below] = max(result[below], result[above] + apart)
    for i in order[-1:]:
        result[i] = min(result[i], max(high, low + apart * (len(places) - 1)))
    for below, above in pairwise(reversed(order)):
        result[above] = min(result[above], result[below] - apart)
    return result


def cut(text: str, units: float) -> str:
    """The text as far as it fits into some units; what was cut is told by an ellipsis."""
    most = max(1, int(units / LETTER))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def svg(title: str, height: float) -> Element:
    """A figure with its title, for those who cannot see it."""
    size = {"viewBox": f"0 0 {WIDTH} {height:g}", "role": "img", "aria-label": title, "class": "figure"}
    figure = Element("svg", size)
    SubElement(figure, "title").text = title
    return figure


def written(figure: Element) -> str:
    """The figure as text."""
    indent(figure, space=" ")
    return tostring(figure, encoding="unicode")


def x_ticks(figure: Element, labels: Sequence[tuple[float, str]], top: float) -> None:
    """Write labels below an axis, in one row or two, from the right; one that would lie on another is left out."""
    free = [math.inf, math.inf]
    for place, label in sorted(labels, reverse=True):
        half = (len(label) * LETTER) / 2
        middle = min(max(place, half + 4), WIDTH - half - 4)
        row = next((row for row, left in enumerate(free) if middle + half + 6 <= left), None)
        if row is not None:
            text(figure, middle, top + LINE * row, label, "tick", "middle")
            free[row] = middle - half


def y_axis(figure: Element, words: Words, scale: Scale, values: Sequence[float], right: float = RIGHT) -> None:
    """Draw a vertical axis with its grid."""
    for value in values:
        line(figure, (LEFT, scale(value)), (right, scale(value)), "grid")
        text(figure, LEFT - 6, scale(value) + 4.5, tick(words, value, values[1] - values[0]), "tick", "end")


def legend(figure: Element, series: Sequence[tuple[str, str]]) -> float:
    """Name the series by label and kind, in as many rows as they need.

    Returns:
        Where the legend ends.
    """
    across, down = 8.0, 16.0
    for full, kind in series:
        label = cut(full, WIDTH - 40)
        wide = 1.2 * LETTER * len(label)  # metrics are written in capitals
        if across > 8 and across + 16 + wide > WIDTH:
            across, down = 8.0, down + LINE
        dot(figure, (across + 5, down), f"dot {kind}")
        text(figure, across + 15, down + 4.5, label, "small", "start")
        across += 32 + wide
    return down + LINE if series else 0.0


def whisker(figure: Element, scale: Scale, value: Estimate, height: float, kind: str) -> None:
    """Draw an estimate with its interval, lying."""
    line(figure, (scale(value.low), height), (scale(value.high), height), f"bar {kind}")
    dot(figure, (scale(value.value), height), f"dot {kind}")


def line(figure: Element, start: tuple[float, float], end: tuple[float, float], kind: str) -> None:
    """Draw a line."""
    ends = {"x1": f"{start[0]:g}", "y1": f"{start[1]:g}", "x2": f"{end[0]:g}", "y2": f"{end[1]:g}", "class": kind}
    SubElement(figure, "line", ends)


def path(figure: Element, points: Sequence[tuple[float, float]], kind: str) -> None:
    """Draw a line through points."""
    SubElement(figure, "polyline", {"points": " ".join(f"{x:g},{y:g}" for x, y in points), "class": f"line {kind}"})


def dot(figure: Element, place: tuple[float, float], kind: str, radius: float = 4.2) -> None:
    """Draw a dot."""
    SubElement(figure, "circle", {"cx": f"{place[0]:g}", "cy": f"{place[1]:g}", "r": f"{radius:g}", "class": kind})


def text(figure: Element, x: float, y: float, said: str, kind: str, anchor: str) -> None:
    """Write some words; `anchor` is the end that lies at the place."""
    place = {"x": f"{x:g}", "y": f"{y:g}", "class": kind, "text-anchor": anchor}
    SubElement(figure, "text", place).text = said
