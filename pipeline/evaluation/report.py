"""The report of a run: one self-contained page, and the same as Markdown and JSON."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict

from pipeline.evaluation import figures
from pipeline.evaluation.bootstrap import Estimate
from pipeline.evaluation.comparison import ALL, UNMARKED, Comparison, Gain, LaneInfo
from pipeline.evaluation.curve import CurvePoint
from pipeline.evaluation.gate import Verdict
from pipeline.evaluation.spread import SplitPoint, incomplete, spread
from pipeline.evaluation.terms import TARGET_ONLY
from pipeline.labels.words import Words
from pipeline.results import Cost, Finding, Outcome


class StepCost(BaseModel):
    """What one step or lane cost when it was computed, and the shared steps that it needed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    name: str
    cost: Cost
    needs: tuple[tuple[str, str], ...] = ()


class Report(BaseModel):
    """All that a report tells."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    comparison: Comparison
    verdict: Verdict
    outcome: Outcome | None  # None: not known yet
    curve: tuple[CurvePoint, ...]
    shares: tuple[float, ...]  # that the scenario wants on the curve
    splits: tuple[SplitPoint, ...] = ()
    repeats: int = 1  # splits over which the scenario wants the spread
    costs: tuple[StepCost, ...]
    latencies: dict[str, float]  # lane -> seconds of one prediction
    findings: tuple[Finding, ...] = ()  # what is to be known before any number


Word = Literal["helps", "hurts", "not shown", "oracle", ""]


@dataclass(frozen=True)
class LaneRow:
    """A line of the main table; `clean` is on rows without marks, `gain` against the lane's own counterpart there."""

    info: LaneInfo
    valid: float
    clean: Estimate | None
    every: Estimate | None
    gain: Gain | None
    word: Word
    cpu_seconds: float
    latency_ms: float | None


def write_report(folder: Path, report: Report, words: Words) -> None:
    """Write `report.html`, `report.md` and `report.json`; equal reports give equal bytes."""
    for name, text in (
        ("report.html", render_html(report, words)),
        ("report.md", render_markdown(report, words)),
        ("report.json", report.model_dump_json(indent=1)),
    ):
        (folder / name).write_text(text, encoding="utf-8")


def render_html(report: Report, words: Words) -> str:
    """Render the page: style and figures inside, every value escaped, nothing loaded from anywhere."""
    drawn = {name: Markup(svg) for name, svg in _figures(report, words).items()}  # noqa: S704  built as a tree, escaped there
    return environment(words).get_template("report.html").render(**_context(report, words), figures=drawn)


def render_markdown(report: Report, words: Words) -> str:
    """Render the same tables as Markdown."""
    return environment(words).get_template("report_markdown.html").render(**_context(report, words))


def lane_rows(report: Report) -> list[LaneRow]:
    """Put together each lane's line, best validation metric first."""
    comparison = report.comparison
    clean, every = comparison.views.get(UNMARKED), comparison.views.get(ALL)
    rows = []
    for lane in comparison.lanes:
        gains = clean.gains if clean else ()
        gain = next((gain for gain in gains if gain.lane == lane.name and gain.transfer), None)
        latency = report.latencies.get(lane.name)
        rows.append(
            LaneRow(
                info=lane,
                valid=lane.valid[comparison.metric],
                clean=clean.lanes[lane.name][comparison.metric] if clean else None,
                every=every.lanes[lane.name][comparison.metric] if every else None,
                gain=gain,
                word="oracle" if lane.oracle else _word(gain),
                cpu_seconds=_cpu(report, lane.name),
                latency_ms=None if latency is None else 1000 * latency,
            )
        )
    return rows


def _word(gain: Gain | None) -> Word:
    if gain is None:
        return ""
    if gain.negative:
        return "hurts"
    return "helps" if gain.stands and gain.difference.low > 0 else "not shown"


def _cpu(report: Report, lane: str) -> float:
    """CPU seconds of a lane with the shared steps that it needed."""
    costs = {(cost.step, cost.name): cost for cost in report.costs}
    own = [cost for cost in report.costs if cost.name == lane and cost.step in ("finetune_target", "fit_baseline")]
    steps = {(cost.step, cost.name) for cost in own} | {need for cost in own for need in cost.needs}
    return sum(costs[step].cost.cpu_seconds for step in sorted(steps) if step in costs)


def _context(report: Report, words: Words) -> dict[str, object]:
    comparison = report.comparison
    clean = comparison.views.get(UNMARKED)
    done = [point.share for point in report.curve]
    return {
        "report": report,
        "comparison": comparison,
        "verdict": report.verdict,
        "words": words,
        "metric": words.name(comparison.metric),
        "rows": lane_rows(report),
        "clean": clean,
        "every": comparison.views.get(ALL),
        "missing_shares": [share for share in report.shares if share not in done],
        "spread": spread(report.splits, words.sign(comparison.metric)),
        "incomplete": incomplete(report.splits),
        "metric_names": {metric: words.name(metric) for metric in comparison.metrics},
        "failed_gains": [gain for gain in clean.gains if gain.negative] if clean else [],
        "target_only": TARGET_ONLY,
        "curves": comparison.curves,
        "sources_chosen": sorted({lane.valid_domain for lane in comparison.lanes if not lane.oracle}),
    }


def _figures(report: Report, words: Words) -> dict[str, str]:
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
            [
                figures.Point(
                    row.info.name, row.cpu_seconds, row.clean, "strategy" if row.info.kind == "strategy" else "s1"
                )
                for row in rows
                if row.clean
            ],
            ("CPU seconds, with the shared steps that a lane needs", f"{metric}{words.written}, without marked rows"),
        ),
        "curve": _curve(report, words),
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
    """The lanes whose curves are drawn, each with a class of the style sheet: those that the gate speaks of most."""
    baseline = next((one.name for one in report.comparison.lanes if one.kind == "baseline" and not one.oracle), None)
    names = dict.fromkeys((report.verdict.candidate, TARGET_ONLY, baseline))
    return list(zip((name for name in names if name), ("strong", "strategy", "s1"), strict=False))


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


_NOTHING = Estimate(value=0.0, low=0.0, high=0.0)


def environment(words: Words) -> Environment:
    """Make templates that write numbers in the words of the label kind."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip

    def plus(value: float) -> str:
        return words.number(value, "+")

    def ci(one: Estimate) -> str:
        return f"{words.number(one.low)} to {words.number(one.high)}"

    def ci_plus(one: Estimate) -> str:
        return f"{plus(one.low)} to {plus(one.high)}"

    def signed(one: Estimate) -> str:
        return f"{plus(one.value)} [{plus(one.low)}, {plus(one.high)}]"

    environment.filters |= {"number": words.number, "plus": plus, "ci": ci, "ci_plus": ci_plus, "signed": signed}
    environment.filters |= {"share": _share, "cell": _cell}
    return environment


def _share(value: float) -> str:
    return f"{100 * value:g} %"


def _cell(text: str) -> Markup:
    """Make text safe inside a Markdown table or line: no HTML, no new line, no column, no link."""
    escaped = str(Markup.escape(text))
    for character in "\\`*_[]|":
        escaped = escaped.replace(character, f"\\{character}")
    return Markup(" ".join(escaped.split()))  # noqa: S704  escaped above; Markdown's own signs must stay as they are
