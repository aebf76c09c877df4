"""Report and Data Docs in a browser, as wide as a telephone and as a desk; skipped where there is none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.rules import Check
from pipeline.evaluation.report import render_html
from pipeline.labels.item_words import ITEMS
from pipeline.validation.checking import Outcome
from pipeline.validation.data_docs import Volume, write_data_docs
from tests.browser import chromium, page
from tests.reports import ENDLESS, SCRIPT, full_report

pytestmark = pytest.mark.slow

# Width of the page; the smallest text of a figure in pixels; labels that lie on each other; words that are broken.
LOOK = """() => {
  const texts = [...document.querySelectorAll('svg')].map(svg => {
    const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    return [...svg.querySelectorAll('text')].map(one => ({
      said: one.textContent, box: one.getBoundingClientRect(), frame: svg.getBoundingClientRect(),
      size: parseFloat(getComputedStyle(one).fontSize) * scale}));
  });
  const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;
  const over = texts.flatMap(all => all.flatMap((one, at) =>
    all.slice(at + 1).filter(other => meet(one.box, other.box)).map(other => [one.said, other.said])));
  const outside = texts.flat().filter(one => one.box.left < one.frame.left - 1 || one.box.right > one.frame.right + 1);
  const broken = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    for (const word of node.textContent.matchAll(/[\\p{L}\\p{N}_]+/gu)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].filter(box => box.width > 0).map(box => Math.round(box.top)));
      if (lines.size > 1) broken.push(word[0]);
    }
  }
  return {width: document.documentElement.scrollWidth, over, outside: outside.map(one => one.said), broken,
          smallest: Math.min(...texts.flat().map(one => one.size))};
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all pages."""
    with chromium() as opened:
        yield opened


def look(browser: Any, path: Path, width: int) -> dict[str, Any]:
    """Open a file that wide, and measure what is seen; a message in its console is a fault."""
    said: list[str] = []
    with page(browser, width) as opened:
        opened.on("console", lambda message: said.append(message.text))
        opened.on("dialog", lambda dialog: said.append(dialog.message))
        opened.goto(path.as_uri())
        found: dict[str, Any] = opened.evaluate(LOOK)
    assert said == []
    return found


@pytest.mark.parametrize("width", [390, 1200])
def test_a_report_fits_and_can_be_read(browser: Any, tmp_path: Path, width: int) -> None:
    """With 15 lanes, tiny shares and hostile titles nothing is off the screen, small, or on something else."""
    path = tmp_path / "report.html"
    path.write_text(render_html(full_report(), ITEMS), encoding="utf-8")
    found = look(browser, path, width)
    assert found["width"] <= width
    assert found["smallest"] >= 9
    assert (found["over"], found["outside"]) == ([], [])
    assert {word for word in found["broken"] if len(word) < 30} == set()


@pytest.mark.parametrize("width", [390, 1200])
def test_data_docs_fit_and_break_no_word(browser: Any, tmp_path: Path, width: int) -> None:
    """Names of rules and columns stay whole; only a value longer than a line is broken."""
    check = Check("no_title_without_an_item_of_its_own", "critical", "ExpectColumnValuesToBeUnique",
                  "each interaction has an item of its own in the table of items", "keep one of them and repeat",
                  {"column": "an_identifier_of_some_length"})  # fmt: skip
    outcomes = [Outcome("interactions", "florist", check, success, "2 of 3 rows", (ENDLESS, SCRIPT))
                for success in (True, False)]  # fmt: skip
    volumes = [Volume("florist", "interactions", 1_000_000, 900_000, {"timestamp_in_the_future": 100_000},
                      {"timestamp_in_the_future": (ENDLESS[:60], SCRIPT)})]  # fmt: skip
    found = look(browser, write_data_docs(tmp_path, "toy", f"A title {SCRIPT}", outcomes, volumes, ["user_id"]), width)
    assert found["width"] <= width
    assert {word for word in found["broken"] if len(word) < 40} == set()
