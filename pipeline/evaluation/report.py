"""The report of a run: one self-contained page, and the same as Markdown and JSON."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict

from pipeline.evaluation.bootstrap import Estimate
from pipeline.evaluation.cases import Cases, told_of_cases
from pipeline.evaluation.comparison import ALL, UNMARKED, Comparison, Gain, LaneInfo
from pipeline.evaluation.curve import CurvePoint
from pipeline.evaluation.gains import told_of_gains
from pipeline.evaluation.gate import Verdict
from pipeline.evaluation.learning import Learning
from pipeline.evaluation.spread import SplitPoint, incomplete, spread
from pipeline.evaluation.terms import TARGET_ONLY
from pipeline.evaluation.validators import validators
from pipeline.labels.words import Words
from pipeline.results import LANES, Cost, Finding, Mixture, Outcome


class StepCost(BaseModel):
    """What one step or lane cost when it was computed, and the shared steps that it needed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    name: str
    cost: Cost
    needs: tuple[tuple[str, str], ...] = ()


class Rows(BaseModel):
    """What became of the rows of a domain: `kept` by part, `quarantined` by rule, `dropped` by reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: str
    read: int
    kept: dict[str, int]
    quarantined: dict[str, int]
    dropped: dict[str, int]


class Told(BaseModel):
    """What an adaptation or a strategy tells of itself in numbers, by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    values: dict[str, float]


class NightTold(BaseModel):
    """What one night said, in the gated metric; None where it had no such lane."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ended: float  # seconds since 1970
    metric: str
    candidate: Estimate | None
    champion: Estimate | None
    target_only: Estimate | None
    promoted: bool


class Links(BaseModel):
    """Where more is told: a path from the page to the Data Docs, and addresses of a tracking server if there is one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_docs: str = ""
    mlflow_run: str = ""
    mlflow_version: str = ""


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
    run_id: str = ""  # the first run with all of this; empty in what an older version wrote
    began: str = ""  # when it began: ISO 8601, UTC
    links: Links = Links()
    nights: tuple[NightTold, ...] = ()  # this one last
    learning: tuple[Learning, ...] = ()
    adapted: tuple[Told, ...] = ()  # how far apart the domains were, and what became of rows
    moved: tuple[Told, ...] = ()  # how far each layer of a strategy is from its start
    evidence: tuple[Told, ...] = ()  # LogME of what a lane begins with
    mixtures: tuple[Mixture, ...] = ()  # of blends
    cases: Cases = Cases()
    rows: tuple[Rows, ...] = ()
    ignored: dict[str, dict[str, int]] = {}  # rows of no domain of the scenario, by table and domain
    folded: tuple[int, int] | None = None  # in how many folds how many rows chose; None: validation rows did


_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December")  # fmt: skip

_LANES = {step.name for step in LANES}
SHARED = "shared"  # below the folder of the pages

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


def tonight(comparison: Comparison, verdict: Verdict, promoted: bool, began: str) -> NightTold:
    """What the run itself adds to the nights before it, on rows without marks where enough are left."""
    view = comparison.views.get(UNMARKED) or comparison.views.get(ALL)
    lanes = {name: values.get(comparison.metric) for name, values in view.lanes.items()} if view else {}
    return NightTold(
        ended=datetime.fromisoformat(began).timestamp() if began else 0.0,
        metric=comparison.metric,
        candidate=lanes.get(verdict.candidate),
        champion=verdict.champion.scored if verdict.champion else None,
        target_only=lanes.get(TARGET_ONLY),
        promoted=promoted,
    )


def write_report(folder: Path, report: Report, words: Words) -> None:
    """Write `report.html`, `report.md` and `report.json`; equal reports give equal bytes.

    `shared/` has both pages without the cases and without links below the home: what is copied out of it, where nobody
    can be forgotten, shows no person.
    """
    shared = report.model_copy(update={"cases": Cases(), "links": report.links.model_copy(update={"data_docs": ""})})
    (folder / SHARED).mkdir()
    for name, text in (
        ("report.html", render_html(report, words)),
        ("report.md", render_markdown(report, words)),
        ("report.json", report.model_dump_json(indent=1)),
        (f"{SHARED}/report.html", render_html(shared, words)),
        (f"{SHARED}/report.md", render_markdown(shared, words)),
    ):
        (folder / name).write_text(text, encoding="utf-8")


def render_html(report: Report, words: Words) -> str:
    """Render the page: style and figures inside, every value escaped, nothing loaded from anywhere."""
    from pipeline.evaluation.report_figures import draw

    drawn = {name: Markup(svg) for name, svg in draw(report, words).items()}  # noqa: S704  built as a tree, escaped there
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
    own = [cost for cost in report.costs if cost.name == lane and cost.step in _LANES]
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
        **told_of_cases(report.cases, report.verdict.candidate, report.verdict.lane, report.outcome),
        **told_of_gains(comparison, clean, report.verdict.candidate, report.mixtures),
        "curves": comparison.curves,
        "validators": validators(comparison, words),
        "began": _day(report.began),
        "links": [(name, address) for name, address in _addresses(report.links) if address],
        "nights": [(_day(_utc(night.ended)), night) for night in report.nights],
        "sources_chosen": sorted({lane.valid_domain for lane in comparison.lanes if not lane.oracle}),
    }


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


def _addresses(links: Links) -> list[tuple[str, str]]:
    return [
        ("Data Docs", links.data_docs), ("run in MLflow", links.mlflow_run), ("model in MLflow", links.mlflow_version)
    ]  # fmt: skip


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _day(when: str) -> str:
    """Write a time of ISO 8601, in UTC, for people: `27 November 2026, 03:00 UTC`; nothing stays nothing."""
    if not when:
        return ""
    time = datetime.fromisoformat(when).astimezone(UTC)
    return f"{time.day} {_MONTHS[time.month - 1]} {time:%Y, %H:%M} UTC"


def _share(value: float) -> str:
    return f"{100 * value:g} %"


def _cell(text: str) -> Markup:
    """Make text safe inside a Markdown table or line: no HTML, no new line, no column, no link."""
    escaped = str(Markup.escape(text))
    for character in "\\`*_[]|":
        escaped = escaped.replace(character, f"\\{character}")
    return Markup(" ".join(escaped.split()))  # noqa: S704  escaped above; Markdown's own signs must stay as they are
