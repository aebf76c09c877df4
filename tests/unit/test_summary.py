"""What a shell shows at the end of a run."""

import io
import re

import pytest
from rich.console import Console

from pipeline.evaluation.report import Report, lane_rows
from pipeline.labels.items import ITEMS
from pipeline.runs import summary
from pipeline.runs.summary import _interval, _print_table
from tests.unit.test_report import make_report


@pytest.fixture(scope="module")
def report() -> Report:
    """Make a report of six lanes."""
    return make_report()


def shown(report: Report, width: int, *, terminal: bool) -> list[str]:
    """Print the table and give its lines."""
    output = io.StringIO()
    _print_table(report, ITEMS, Console(file=output, width=width, force_terminal=terminal, soft_wrap=True))
    return re.sub(r"\x1b\[[0-9;]*m", "", output.getvalue()).splitlines()


@pytest.mark.parametrize(
    ("width", "terminal", "whole"), [(80, True, False), (60, True, False), (160, True, True), (80, False, True)]
)
def test_no_number_is_cut(report: Report, width: int, terminal: bool, whole: bool) -> None:
    """A narrow terminal folds a lane onto two lines; what is piped is as wide as it must be."""
    lines = shown(report, width, terminal=terminal)
    text = "\n".join(lines)
    assert "…" not in text
    if terminal:
        assert max(map(len, lines)) <= width
    for row in lane_rows(report):
        assert _interval(ITEMS, row.clean) in text
        assert (f"{_interval(ITEMS, row.gain.difference, '+')} {row.word}" if row.gain else "") in text
        assert ITEMS.number(row.valid) in text
    assert ("test, all rows" in text) == ("CPU s" in text) == whole
    assert ("All rows and costs stand in the report." in " ".join(text.split())) != whole


def test_a_log_is_as_wide_as_its_page(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentences go on in the next line, no word of them is lost or broken, and the table stays as it is."""
    path = f"Report:    /home/{'f' * 120}/report.html"
    sentence = "popularity is the best on validation rows, but " * 5 + "not so."

    def printed(_run: object, console: Console) -> None:
        console.print()
        _print_table(report, ITEMS, console)
        for line in ("", sentence, path):
            console.print(line, soft_wrap=True, markup=False)

    monkeypatch.setattr(summary, "print_summary", printed)
    lines = list(summary.summary_lines(None))  # type: ignore[arg-type]
    table = shown(report, 80, terminal=False)
    drawn = [line for line in table if "─" <= line[:1] <= "╿"]
    assert [line for line in lines if "─" <= line[:1] <= "╿"] == drawn != []
    told = [line for line in lines if line not in drawn]
    assert max(len(line) for line in told if "report.html" not in line) <= 95
    assert " ".join(" ".join(told).split()).endswith(" ".join(f"{sentence} {path}".split()))
