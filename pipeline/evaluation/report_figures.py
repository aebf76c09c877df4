"""The figures of a report."""

from collections.abc import Sequence
from datetime import UTC, datetime

from pipeline.evaluation import figures
from pipeline.evaluation.bootstrap import Estimate
from pipeline.evaluation.comparison import UNMARKED
from pipeline.evaluation.learning import draw_learning
from pipeline.evaluation.report import LaneRow, Report, lane_rows
from pipeline.evaluation.terms import TARGET_ONLY
from pipeline.labels.words import Words

_NOTHING = Estimate(value=0.0, low=0.0, high=0.0)


def draw(report: Report, words: Words) -> dict[str, str]:
    """Draw all that there is something to draw of, by name; what there is nothing of is empty."""
    comparison, metric = report.comparison, words.name(report.comparison.metric)
    rows = lane_rows(report)
    clean = comparison.views.get(UNMARKED)
    candidate = report.verdict.candidate
    ordered = sorted(rows, key=lambda row: -(row.clean or row.every or _NOTHING).value)
    drawn = {
        "lanes": figures.forest(
            words,
            f"{metric} of each lane, with and without marked rows",
            [figures.ForestRow(row.info.name, (row.clean, row.every), row.info.name == candidate) for row in ordered],
            ("without marked rows", "all rows"),
        ),
        "cost": figures.scatter(
            words,
            f"{metric} against cost",
            [figures.Point(row.info.name, row.cpu_seconds, row.clean, row.info.kind) for row in rows if row.clean],
            ("CPU seconds, with the shared steps that a lane needs", f"{metric}{words.written}, without marked rows"),
        ),
        "curve": _curve(report, words),
        "nights": _nights(report, words),
        "learning": draw_learning(words, comparison.watched, report.learning, candidate),
        "gains": "",
        "slices": "",
    }
    shown = _shown(report)
    for place, one in enumerate(comparison.curves):
        traces = [figures.Trace(name, kind, one.lines[name]) for name, kind in shown if name in one.lines]
        drawn[f"curve {place}"] = figures.plot(words, one.title, traces, one.axes, diagonal=one.diagonal)
    if clean:
        gains = sorted((gain for gain in clean.gains if gain.transfer), key=lambda gain: -gain.difference.value)
        drawn["gains"] = figures.forest(
            words,
            f"What the source brings: difference in {metric}",
            [figures.ForestRow(f"{gain.lane}", (gain.difference,), gain.lane == candidate) for gain in gains],
            ("difference",),
            zero=True,
        )
        drawn["slices"] = _slices(report, words, rows)
    return drawn


def _shown(report: Report) -> list[tuple[str, str]]:
    """The lanes whose curves are drawn, each with a class of the style sheet.

    Those that the gate speaks of most, what it chose, and the source's model as it is: what do the labels change?
    """
    lanes, target = report.comparison.lanes, report.comparison.target
    baseline = next((one.name for one in lanes if one.kind == "baseline" and not one.oracle), None)
    before = next((one.name for one in lanes if one.kind == "strategy" and target not in one.domains), None)
    names = dict.fromkeys((report.verdict.candidate, TARGET_ONLY, report.verdict.lane, baseline, before))
    return list(zip((name for name in names if name), ("strong", "strategy", "s1", "s2"), strict=False))


def _slices(report: Report, words: Words, rows: list[LaneRow]) -> str:
    """Draw each slice: target-only beside the best lane that uses a source."""
    view = report.comparison.views[UNMARKED]
    best = next((row.info for row in rows if row.info.counterpart), None)
    if best is None:
        return ""
    against = best.counterpart or TARGET_ONLY
    lines: list[figures.ForestRow] = []
    for by in dict.fromkeys(part.by for part in view.slices):
        lines.append(figures.ForestRow(by, ()))
        lines += [
            figures.ForestRow(
                f"{part.label} ({part.units:,} {words.units})", (part.lanes[best.name], part.lanes[against])
            )
            for part in view.slices
            if part.by == by
        ]
    return figures.forest(words, f"{best.name} and {against} by slice", lines, (best.name, against))


def _curve(report: Report, words: Words) -> str:
    if len(report.curve) < 2:
        return ""
    with_best = [(point.share, point.best) for point in report.curve if point.best]
    lines = [
        figures.Line("best transfer", "strong", tuple((share, best.value) for share, best in with_best)),
        figures.Line("the same method, target alone", "s1",
                     tuple((share, best.counterpart_value) for share, best in with_best)),
        figures.Line("target-only model", "strategy", tuple((p.share, p.target_only) for p in report.curve)),
    ]  # fmt: skip
    if all(best.counterpart == TARGET_ONLY for _, best in with_best):
        del lines[1]
    labels = (
        "share of the target's training rows",
        f"{words.name(report.comparison.metric)}{words.written}, without marked rows",
    )
    return figures.curve(words, "Quality against the share of target data", lines, labels)


def _nights(report: Report, words: Words) -> str:
    """Draw the nights that were judged by the metric that is gated now, if there are two of them."""
    metric = report.comparison.metric
    nights = [night for night in report.nights if night.metric == metric]
    if len(nights) < 2:
        return ""

    promoted = tuple(float(at) for at, night in enumerate(nights) if night.promoted and night.candidate is not None)
    lines = [
        figures.Line("candidate", "strong", _placed([night.candidate for night in nights]), promoted),
        figures.Line("champion until then", "s1", _placed([night.champion for night in nights])),
        figures.Line("target-only", "strategy", _placed([night.target_only for night in nights])),
    ]
    days = [f"{datetime.fromtimestamp(night.ended, UTC):%d %b}" for night in nights]
    label = f"{words.name(metric)}{words.written}, without marked rows"
    return figures.by_night(words, "Quality by night", lines, days, label)


def _placed(values: Sequence[Estimate | None]) -> tuple[tuple[float, Estimate], ...]:
    return tuple((float(at), one) for at, one in enumerate(values) if one is not None)
