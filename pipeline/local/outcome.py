"""What a finished run is worth telling in a shell: the comparison, the verdict, where things lie, what to try next."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from pipeline.folders import Home
from pipeline.steps.run import Run

WIDTH = 118  # of the table, also where nobody knows how wide the terminal is

if TYPE_CHECKING:
    from pipeline.evaluation.bootstrap import Estimate
    from pipeline.evaluation.report import Report


def print_outcome(run: Run, console: Console) -> None:
    """Print the comparison table, the gate's verdict with its reason, the pages, and the next commands.

    Raises:
        MissingResultError: the run has no report.
    """
    from pipeline.evaluation.report import Report

    result = run.result("report")
    folder, facts = run.path(result), result.facts
    report = Report.model_validate_json((folder / str(facts["json"])).read_text(encoding="utf-8"))
    checked = run.result("validate")
    console.print()
    console.width = max(console.width, WIDTH)
    console.print(comparison_table(report))
    if report.comparison.failed:
        console.print(f"Failed lanes: {', '.join(report.comparison.failed)}", style="red")
    console.print(f"\nVerdict: [bold]{report.verdict.verdict}[/bold] ({report.verdict.candidate})")
    console.print(report.verdict.reason, markup=False, highlight=False)
    for what, path in (
        ("Report", folder / str(facts["html"])),
        ("Data Docs", run.path(checked) / str(checked.facts["data_docs"])),
    ):
        console.print(f"{what + ':':11}{path}", markup=False, highlight=False, soft_wrap=True)
    console.print("\nTry next:")
    for command in next_commands(run.home, run.scenario.name):
        console.print(f"  {command}", markup=False, highlight=False, soft_wrap=True)


def comparison_table(report: "Report") -> Table:
    """Lay out the lanes, best on validation first; numbers in per cent, those of test rows with their interval."""
    from pipeline.evaluation.report import lane_rows, metric_name

    comparison = report.comparison
    title = f"{comparison.title}: {metric_name(comparison.metric)} in %, {comparison.catalogue:,} items ranked"
    table = Table(title=title, title_justify="left")
    table.add_column("lane", no_wrap=True)
    for column in ("validation", "test, without leaks", "test, all rows", "what the source brings", "CPU s"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in lane_rows(report):
        gain = f"{_interval(row.gain.difference, '+')} {row.word}" if row.gain else ""
        style = "bold" if row.info.name == report.verdict.candidate else ""
        cells = (_interval(row.clean), _interval(row.every), gain, f"{row.cpu_seconds:.1f}")
        table.add_row(row.info.name, f"{100 * row.valid:.2f}", *cells, style=style)
    return table


def next_commands(home: Home, scenario: str) -> list[str]:
    """Commands that show what the run left behind; they name the home where it is not the default one."""
    named = "" if home.root == Path(".crosslift").resolve() else f"CROSSLIFT_HOME={shlex.quote(str(home.root))} "
    program = f"{named}.venv/bin/crosslift"
    return [
        f"{program} models show crosslift.{scenario}",
        f"{program} recommend {scenario} --help",
        f"{program} run {scenario} --target-share 0.3",
        f"{named}make up",
    ]


def _interval(estimate: "Estimate | None", sign: str = "") -> str:
    if estimate is None:
        return ""
    value, low, high = (100 * part for part in (estimate.value, estimate.low, estimate.high))
    return f"{value:{sign}.2f} [{low:.2f}, {high:.2f}]"
