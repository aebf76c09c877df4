"""What a finished run is worth telling in a shell: the comparison, verdict and outcome, where things lie."""

from collections.abc import Iterator
from io import StringIO
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from pipeline.folders import read_json
from pipeline.results import AUDIT, REPORT, VALIDATE, Finding
from pipeline.runs.account import accounts
from pipeline.runs.ending import ending_of
from pipeline.runs.run import Run

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pipeline.evaluation.bootstrap import Estimate
    from pipeline.evaluation.report import LaneRow, Report
    from pipeline.labels.words import Words

_ANY = 10_000  # columns, more than any table needs
_LOG = 95  # columns
_ORACLES = "No labels of the target were used, but by oracles, which are never promoted."
_ELSEWHERE = "All rows and costs stand in the report."


def summarise(run: Run) -> dict[str, Any]:
    """Say in JSON values how a run ended: lanes with validation and test metric, verdict, outcome, where things lie.

    Returns:
        run_id, scenario, metric, judged, lanes (name, kind, valid, test, test_all_rows, gain, word, cpu_seconds;
        an estimate is value, low, high), failed, verdict, candidate, lane (what the gate chose), reason,
        judged_against (the version that served then), report, data_docs, tasks (how many were computed, reused, or
        failed or were not run), rows (what became of them), warnings (rule, where, what, remedy: to be read before any
        number), shares (of what is in common), and, after `promote`,
        outcome, outcome_reason, model, version, alias, serving (the version that does), serves (whether it is this
        one), trial.

    Raises:
        MissingResultError: the run has no report.
    """
    from pipeline.evaluation.report import lane_rows

    result, checked, report = run.result(REPORT), run.result(VALIDATE), read_report(run)
    verdict, comparison = report.verdict, report.comparison
    summary: dict[str, Any] = {
        "run_id": run.run_id,
        "scenario": run.scenario.name,
        "metric": comparison.metric,
        "judged": comparison.judged,
        "lanes": [_lane(row) for row in lane_rows(report)],
        "failed": list(comparison.failed),
        "verdict": verdict.verdict,
        "candidate": verdict.candidate,
        "lane": verdict.lane,
        "reason": verdict.reason,
        "judged_against": verdict.champion.version if verdict.champion else None,
        "report": str(run.place(result) / result.facts.html),
        "data_docs": str(run.place(checked) / checked.facts.data_docs),
    }
    summary["tasks"] = ending_of(run).counts
    summary["rows"] = [str(account) for account in accounts(run)]
    audited = run.results(AUDIT).get("")
    summary["warnings"] = [one.model_dump() for one in audited.facts.findings] if audited else []
    summary["shares"] = checked.facts.shares
    if (outcome := report.outcome) is not None:
        summary |= {"outcome": outcome.outcome, "outcome_reason": outcome.reason, "serves": outcome.serves}
        summary |= outcome.model_dump(include={"model", "version", "alias", "serving", "trial"})
    return summary


def read_report(run: Run) -> "Report":
    """Read the report of a run.

    Raises:
        MissingResultError: the run has none.
    """
    from pipeline.evaluation.report import Report

    result = run.result(REPORT)
    return Report.model_validate(read_json(run.path(result) / result.facts.data))


def print_summary(run: Run, console: "Console") -> None:
    """Print the comparison table, verdict and outcome with their reasons, the model version, and where the pages lie.

    Raises:
        MissingResultError: the run has no report.
    """
    from pipeline.tasks.words import words_of

    summary = summarise(run)
    console.print()
    for one in summary["warnings"]:
        warning = f"Warning: {Finding.model_validate(one)}"
        console.print(warning, style="yellow", markup=False, highlight=False, soft_wrap=True)
    _print_table(read_report(run), words_of(run.scenario.task), console)
    if summary["failed"]:
        console.print(f"Failed lanes: {', '.join(summary['failed'])}", style="red", markup=False)
    shares = [f"{share:.1%}: {name}" for name, share in summary["shares"].items()]
    told = [("", ""), *(("", line) for line in (*summary["rows"], *shares))]
    told += [("bold", f"\nVerdict: {summary['verdict']} ({summary['candidate']})"), ("", summary["reason"])]
    if "outcome" in summary:
        told += [("bold", f"\nOutcome: {summary['outcome']}"), ("", summary["outcome_reason"])]
        told += [("", str(ending_of(run)))]
        told += [("", f"Model:     {summary['model']} version {summary['version']}, {summary['alias'] or 'no alias'}")]
    told += [("", f"Report:    {summary['report']}"), ("", f"Data Docs: {summary['data_docs']}")]
    for style, line in told:
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def summary_lines(run: Run) -> Iterator[str]:
    """The same as lines of a log, sentences as wide as a page of Airflow shows beside its grid.

    Raises:
        MissingResultError: the run has no report.
    """
    from rich.console import Console

    text = StringIO()
    print_summary(run, Console(file=text, soft_wrap=True))
    for line in text.getvalue().splitlines():
        if "─" <= line[:1] <= "╿":  # of the table
            yield line
        else:
            yield from wrap(line, _LOG, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _print_table(report: "Report", words: "Words", console: "Console") -> None:
    """Print the table as wide as it must be; on a narrower terminal a lane has two lines, and no number is cut."""
    table = comparison_table(report, words)
    wanted = console.measure(table, options=console.options.update(max_width=_ANY)).maximum
    if not console.is_terminal:
        console.width = max(console.width, wanted)
    elif wanted > console.width:
        table = comparison_table(report, words, narrow=True)
    console.print(table, soft_wrap=False)


def comparison_table(report: "Report", words: "Words", *, narrow: bool = False) -> "Table":
    """Lay out the lanes, best on validation first; the numbers of test rows with their interval.

    A narrow one has what the source brings below the test metric, and neither all rows nor costs.
    """
    from rich.markup import escape
    from rich.table import Table

    from pipeline.evaluation.report import lane_rows

    comparison = report.comparison
    title = f"{comparison.title}: {words.name(comparison.metric)}{words.written}. {comparison.judged}"
    table = Table(title=escape(title), title_justify="left")
    table.add_column("lane", overflow="fold")  # it alone gives way
    notes = [] if comparison.target_labels else [_ORACLES]
    table.caption = " ".join([*notes, *([_ELSEWHERE] if narrow else [])]) or None
    columns = ("validation", "test, without leaks", "test, all rows", "what the source brings", "CPU s")
    for column in ("validation", "test, without leaks\nwhat the source brings") if narrow else columns:
        table.add_column(column, justify="right", no_wrap=True)
    for row in lane_rows(report):
        gain = f"{_interval(words, row.gain.difference, '+')} {row.word}" if row.gain else row.word
        style = "bold" if row.info.name == report.verdict.candidate else ""
        clean = _interval(words, row.clean)
        wide = (clean, _interval(words, row.every), gain, f"{row.cpu_seconds:.1f}")
        cells = (f"{clean}\n{gain}".rstrip(),) if narrow else wide
        table.add_row(row.info.name, words.number(row.valid), *map(escape, cells), style=style)
    return table


def _lane(row: "LaneRow") -> dict[str, Any]:
    return {
        "name": row.info.name,
        "kind": row.info.kind,
        "valid": row.valid,
        "test": _values(row.clean),
        "test_all_rows": _values(row.every),
        "gain": _values(row.gain.difference if row.gain else None),
        "against": row.gain.against if row.gain else None,
        "word": row.word,
        "cpu_seconds": round(row.cpu_seconds, 3),
    }


def _values(estimate: "Estimate | None") -> dict[str, float] | None:
    return estimate.model_dump() if estimate else None


def _interval(words: "Words", estimate: "Estimate | None", sign: str = "") -> str:
    if estimate is None:
        return ""
    value = words.number(estimate.value, sign)
    return f"{value} [{words.number(estimate.low)}, {words.number(estimate.high)}]"
