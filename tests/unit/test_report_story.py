"""What a report tells beside the numbers: of which run it is, whom it changes, how lanes learnt, what was read."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from pipeline.config import BinaryTask, MulticlassTask, MultilabelTask, RankingTask, RegressionTask
from pipeline.errors import UserError
from pipeline.evaluation import drawing
from pipeline.evaluation.learning import Learning, draw_learning, read_learning
from pipeline.evaluation.report import Links, Report, render_html, render_markdown, tonight
from pipeline.labels.answers import Answer
from pipeline.labels.item_words import ITEMS
from pipeline.labels.items import Items
from pipeline.past import Past
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.runs.points import read_points, remove_point
from pipeline.tasks.labels import build_label
from pipeline.views import PAST, ROW, UNIT, ClassLabel, ItemLabel, NumberLabel, View
from tests.reports import ENDLESS, RIGHT_TO_LEFT, full_report
from tests.unit.test_label_kinds import Told
from tests.unit.test_label_kinds import view_of as row_view
from tests.unit.test_tag_kind import Told as TaggedTold
from tests.unit.test_tag_kind import view_of as tag_view


@pytest.fixture(scope="module")
def report() -> Report:
    return full_report()


@pytest.fixture(scope="module")
def page(report: Report) -> str:
    return render_html(report, ITEMS)


def test_the_page_says_of_which_run_it_is(report: Report, page: str) -> None:
    """Scenario, day and time in UTC, run, model and version, and links that were given, in both pages."""
    top = page[: page.index("Verdict:")]
    assert "27 November 2026, 17:42 UTC" in top
    assert "toy__cli__20261127T174224_330414" in top
    assert "crosslift.toy version 3" in top
    links = re.findall(r'<a href="([^"]*)"', page)
    assert links == [report.links.data_docs, report.links.mlflow_run]
    assert "27 November 2026, 17:42 UTC" in render_markdown(report, ITEMS)
    bare = render_html(report.model_copy(update={"links": Links(), "run_id": "", "began": ""}), ITEMS)
    assert "<a " not in bare


def test_cases_are_shown_with_what_came_true(report: Report, page: str) -> None:
    """Each case has what was before and after; what is in both the answer and the truth is marked, and no more."""
    cases = page.split('<article class="case">')[1:]
    assert len(cases) == len(report.cases.cases)
    marked = [re.findall(r"<mark>✓ <bdi>(.*?)</bdi></mark>", case) for case in cases]
    assert [len(one) for one in marked] == [1, 1, 0]
    assert marked[1] == ["Tea"]
    assert ["has learnt from what is tested here" in case for case in cases] == [False, True, False]
    assert "3 of the 400 users" in page
    assert "answers are the same" not in page


def test_it_is_told_for_how_many_nothing_changes(report: Report) -> None:
    """Where both say the same of a case."""
    first, *others = report.cases.cases
    told = report.cases.model_copy(update={"cases": (first.model_copy(update={"before": first.after}), *others)})
    page = render_html(report.model_copy(update={"cases": told}), ITEMS)
    assert "For 1 of them the answers are the same." in page


@pytest.mark.parametrize(
    ("after", "lane", "serving", "heading", "told"),
    [
        ("joint", "joint", 3, "What changes", "the candidate"),
        ("joint", None, 2, "What would change", "the candidate, which the gate did not choose"),
        ("ials", "ials", 3, "What changes", "which the gate chose in place of the candidate"),
        ("ials", "ials", None, "What would change", "which the gate chose in place of the candidate"),
    ],
)
def test_it_is_told_whose_answers_come_after(
    report: Report, after: str, lane: str | None, serving: int | None, heading: str, told: str
) -> None:
    """Of the lane that serves at the end something changes, of another one it would; both pages say which it is."""
    assert report.outcome is not None
    shown = report.model_copy(
        update={
            "cases": report.cases.model_copy(update={"after": after}),
            "verdict": report.verdict.model_copy(update={"candidate": "joint", "lane": lane}),
            "outcome": report.outcome.model_copy(update={"lane": after, "serving": serving}),
        }
    )
    for page in (render_html(shown, ITEMS), render_markdown(shown, ITEMS)):
        assert f"{heading} for 3 users" in page
        assert f"after is {after}, {told}. What came true" in page


def test_splits_are_missed_only_where_several_are_wanted(report: Report) -> None:
    """A scenario of one split has no other to be run."""
    assert "have no run yet" not in render_html(report, ITEMS)
    assert "3 of 3 splits have no run yet" in render_html(report.model_copy(update={"repeats": 3}), ITEMS)


def test_titles_from_outside_are_text(page: str) -> None:
    """A script in a title is text, and a title of the other direction or without an end stays in its own element."""
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 3
    for title in (RIGHT_TO_LEFT, ENDLESS):
        assert f"<bdi>{title}</bdi>" in page
    assert "overflow-wrap: anywhere" in page


def test_the_markdown_page_tells_the_same(report: Report) -> None:
    """Its tables are whole, whatever stands in a title, and the same answers have a tick."""
    text = render_markdown(report, ITEMS)
    assert "<script" not in text
    for heading in ("What would change for 3 users", "Quality by night", "What was read and dropped"):
        block = text.split(f"## {heading}\n")[1].partition("\n## ")[0]
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
        assert len(lines) == 2 + {"Q": 12, "W": 3}[heading[0]] - 2 * heading.endswith("dropped")
    assert text.count("✓ ") == 2


def test_rows_that_stand_alone_are_a_table(report: Report) -> None:
    """Without a past and with one truth each, cases are lines of a table and called rows."""
    yes, no = Answer(key="yes", text="yes (90.0 % yes)"), Answer(key="no", text="no (10.0 % yes)")
    cases = [one.model_copy(update={"recent": (), "truth": (yes,), "before": (no,), "after": (yes,)})
             for one in report.cases.cases]  # fmt: skip
    told = report.cases.model_copy(update={"cases": tuple(cases)})
    page = render_html(report.model_copy(update={"cases": told}), ITEMS)
    assert "What would change for 3 rows" in page
    assert '<article class="case">' not in page
    assert page.count("<mark>✓ <bdi>yes (90.0 % yes)</bdi></mark>") == 3


def test_what_was_read_and_dropped_is_told(page: str) -> None:
    """By domain, with counts by part, rule and reason, and the rows of other domains."""
    told = re.sub(r"<[^>]*>", " ", page)
    for wanted in ("1,000", "train: 700, valid: 100, test: 150", "future: 20", "repeated: 30", "baker: 12"):
        assert wanted in told


def test_what_moved_is_told(report: Report, page: str) -> None:
    """Of an adaptation the domains' distance, of a strategy each layer's, escaped; of nothing no heading."""
    markdown = render_markdown(report, ITEMS)
    both = ("coral", "told rows: 1,234", "numbers 0.0421, &lt;b&gt; 1.5")
    assert all(one in page and one in markdown for one in both)
    numbers = ("0.312", "0.02", "1.25", "0.5")
    assert "".join(f'<td class="n">{one}</td>' for one in numbers) in page
    assert f"| coral | {' | '.join(numbers)} | told rows: 1,234 |" in markdown
    nothing = report.model_copy(update={"adapted": (), "moved": ()})
    assert "What each strategy moved" in page
    assert "What each strategy moved" not in render_html(nothing, ITEMS) + render_markdown(nothing, ITEMS)


def test_features_stand_by_what_they_say(report: Report) -> None:
    """Those that move the candidate's answers most come first, whatever they are called."""
    effects = {"ease": {"age": 0.125, "zeal": 2.5}, "target_only": {"age": 1.5, "zeal": 0.25}}
    told = report.model_copy(update={"comparison": report.comparison.model_copy(update={"effects": effects})})
    page = render_html(told, ITEMS)
    assert page.index('<td class="name">zeal</td>') < page.index('<td class="name">age</td>')


def test_one_night_is_no_curve(report: Report) -> None:
    """From the second night on there is a figure; nights of another metric do not count."""
    assert "Quality by night" in render_html(report.model_copy(update={"nights": report.nights[:2]}), ITEMS)
    other = report.nights[0].model_copy(update={"metric": "mrr@10"})
    for nights in ((), report.nights[:1], (other, report.nights[1])):
        assert "Quality by night" not in render_html(report.model_copy(update={"nights": nights}), ITEMS)


def test_a_promoted_night_has_a_ring(report: Report, page: str) -> None:
    """As many rings as nights that promoted, around the candidate."""
    assert page.count('class="ring strong"') == sum(night.promoted for night in report.nights) == 4


def test_tonight_is_what_the_comparison_says(report: Report) -> None:
    """The candidate and target-only on rows without marks; nothing served, so there is no champion."""
    night = tonight(report.comparison, report.verdict, True, "1970-01-01T00:01:00+00:00")
    lanes = report.comparison.views["without marked rows"].lanes
    assert night.ended == 60
    assert night.candidate == lanes["joint"]["ndcg@10"]
    assert night.target_only == lanes["target_only"]["ndcg@10"]
    assert (night.champion, night.promoted) == (None, True)


CURVES = """epoch,step,key,value
0,1,train/a,4.0
0,1,train/b,2.0
0,1,train/penalty,9.0
0,1,valid/metric,-0.5
1,2,train/a,2.0
1,2,train/b,nan
1,2,valid/metric,-0.25
2,3,valid/metric,-0.25
"""


def test_curves_are_read_as_they_were_logged(tmp_path: Path) -> None:
    """The loss is the mean over domains without the penalty; of less that is better the file holds the negative."""
    (tmp_path / "metrics.csv").write_text(CURVES)
    found = read_learning(tmp_path / "metrics.csv", "joint", -1.0)
    assert found == Learning(
        lane="joint", loss=((1, 3.0), (2, 2.0)), metric=((1, 0.5), (2, 0.25), (3, 0.25)), best=2
    )  # fmt: skip
    (tmp_path / "none.csv").write_text("epoch,step,key,value\n")
    assert read_learning(tmp_path / "none.csv", "ease", 1.0) is None


def test_each_lane_with_epochs_has_a_picture() -> None:
    """Fifteen lanes are fifteen names and thirty lines; no lanes are no figure."""
    lanes = [Learning(lane=f"lane {at}", loss=((1, 2.0), (2, 1.0)), metric=((1, 0.2), (2, 0.1)), best=1)
             for at in range(15)]  # fmt: skip
    figure = fromstring(draw_learning(ITEMS, "ndcg@10", lanes, "lane 3"))  # noqa: S314  our own text
    said = [one.text or "" for one in figure.iter("text")]
    assert sum(text.startswith("lane ") for text in said) == 15
    assert len(list(figure.iter("polyline"))) == 30
    assert said.count("best: 1 of 2") == 15
    assert draw_learning(ITEMS, "ndcg@10", [], "") == ""


@pytest.mark.parametrize("places", [[5.0, 5.0, 5.0], [0.0, 100.0], [98.0, 99.0, 100.0, 3.0], [50.0] * 7, []])
def test_labels_keep_apart_and_inside(places: list[float]) -> None:
    """No two are nearer than a line, their order is kept, and none leaves the frame where there is room."""
    found = drawing.keep_apart(places, 0, 100, 16)
    assert np.diff(sorted(found)).min(initial=16) >= 16 - 1e-9
    assert np.argsort(found, kind="stable").tolist() == np.argsort(places, kind="stable").tolist()
    assert all(0 <= one <= 100 for one in found)


def boxes(svg: str) -> list[tuple[float, float, float, float, str]]:
    """Left, right, top, bottom of each text, as wide as our letters are at most."""
    found = []
    for one in fromstring(svg).iter("text"):  # noqa: S314  our own text
        x, y, wide = float(one.get("x", "")), float(one.get("y", "")), len(one.text or "") * drawing.LETTER
        left = x - {"start": 0.0, "middle": wide / 2, "end": wide}[one.get("text-anchor", "")]
        found.append((left, left + wide, y - 11, y + 2, one.text or ""))
    return found


def test_no_label_lies_on_another_or_leaves_its_figure(page: str) -> None:
    """In none of the figures, with 15 lanes and shares of 1, 3, 80 and 90 per cent."""
    figures = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(figures) == 8
    for svg in figures:
        every = boxes(svg)
        for at, (left, right, top, bottom, said) in enumerate(every):
            assert left >= -1, said
            assert right <= drawing.WIDTH + 1, said
            for other in every[at + 1 :]:
                apart = other[1] <= left or other[0] >= right or other[3] <= top or other[2] >= bottom
                assert apart, (said, other[4])


def test_tiny_shares_have_as_much_room_as_large_ones() -> None:
    """On the axis of shares 1 to 3 per cent is as long as 10 to 30."""
    page = render_html(full_report(shares=(0.01, 0.03, 0.1, 0.3, 1.0)), ITEMS)
    figure = page.split("Quality against the share of target data</h2>")[1].partition("</svg>")[0]
    places = {said: (left + right) / 2 for left, right, *_, said in boxes(f"<svg{figure.partition('<svg')[2]}</svg>")}
    assert places["3 %"] - places["1 %"] == pytest.approx(places["30 %"] - places["10 %"], abs=0.1)
    assert {"1 %", "3 %", "10 %", "30 %", "100 %"} <= set(places)


def test_a_point_can_be_taken_away(tmp_path: Path) -> None:
    """The one of that share goes and no other; one that is not there is refused with those that are."""
    for share in ("1", "0.03"):
        (tmp_path / f"{share}.json").write_text(json.dumps({"share": float(share)}))
    with pytest.raises(UserError, match=r"--remove: .* got 0\.3; there are: 0\.03, 1\."):
        remove_point(tmp_path, 0.3)
    remove_point(tmp_path, 0.03)
    assert read_points(tmp_path) == ({"share": 1.0},)


def words(answers: Any) -> list[list[str]]:
    return [[one.text for one in row] for row in answers]


def test_classes_are_answered_with_a_probability() -> None:
    """Of two classes that of the one that is looked for, of several that of the one that is told."""
    two = build_label(BinaryTask(kind="binary", label="y", features={"x": "number"}))
    view = row_view(ClassLabel(np.array([1, 0]), ("no", "yes"), "y"))
    table = np.array([[0.25, 0.75], [0.9, 0.1]])
    assert words(two.answers(Told(table), view)) == [["yes (75.0 % yes)"], ["no (10.0 % yes)"]]
    assert [row[0].key for row in two.answers(Told(table), view)] == [row[0].key for row in two.truth(view)]
    three = build_label(MulticlassTask(kind="multiclass", label="y", features={"x": "number"}))
    view = row_view(ClassLabel(np.array([2, 0]), ("a", "b", "c"), "y"))
    told = Told(np.array([[0.1, 0.3, 0.6], [0.2, 0.7, 0.1]]), classes=("a", "b", "z"))
    assert words(three.answers(told, view)) == [["another class"], ["b (70.0 %)"]]
    assert words(three.truth(view)) == [["c"], ["a"]]


def test_tags_and_numbers_are_answered() -> None:
    """Told tags, the most probable first, or that there is none; numbers as the report writes them."""
    tags = build_label(MultilabelTask(kind="multilabel", label="genres", separator="|", features={"x": "number"}))
    view = tag_view(np.array([[True, False, True], [False, False, False]]), ("a", "b", "c"))
    told = TaggedTold(np.array([[0.6, 0.2, 0.9], [0.1, 0.2, 0.3]]), ("a", "b", "c"))
    assert words(tags.answers(told, view)) == [["c", "a"], ["no tag"]]
    assert words(tags.truth(view)) == [["a", "c"], ["no tag"]]
    numbers = build_label(RegressionTask(kind="regression", label="y", features={"x": "number"}))
    view = row_view(NumberLabel(np.array([1.23456, 2.0]), "y"))
    digits = numbers.words.digits
    assert words(numbers.truth(view)) == [[f"{1.23456:.{digits}f}"], [f"{2:.{digits}f}"]]


class ByPlace:
    """Scores the items in the order of the catalogue, the last one highest."""

    def scores(self, histories: Any) -> np.ndarray:
        rows, items = histories["b"].shape
        return np.tile(np.arange(items, dtype=np.float32), (rows, 1))


def test_items_are_answered_without_what_was_taken() -> None:
    """The best five, by title where there is one; what a user took is not among them."""
    items = pd.DataFrame({"item_id": [f"i{at}" for at in range(7)], "title": ["T0", None, " ", "T3", "T4", "T5", "T6"]})
    taken = sparse.csr_matrix(([1.0, 1.0], ([0, 1], [6, 4])), shape=(2, 7))
    rows = pd.DataFrame({ROW: [0, 1], UNIT: [0, 1]})
    view = View("b", rows, {PAST: Past({"b": taken})}, (ItemLabel(np.array([3, 1]), items, taken),))
    label = Items(RankingTask())
    assert words(label.answers(ByPlace(), view)) == [["T5", "T4", "T3", "i2", "i1"], ["T6", "T5", "T3", "i2", "i1"]]
    assert words(label.truth(view)) == [["T3"], ["i1"]]


def domain(name: str, rows: list[tuple[str, str, str, int]]) -> DomainData:
    """A domain of (user, item, part, day)."""
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "part", "day"])
    table["part"] = table["part"].map({"train": 0, "valid": 1, "test": 2}).astype(np.int8)
    table["timestamp"] = pd.to_datetime(table.pop("day"), unit="D", utc=True).dt.as_unit("us")
    return DomainData.build(name, table, None, 1.0)


def test_what_a_user_did_last_is_told_in_order() -> None:
    """Over all domains, the newest first, without the test's rows; a source's item names its domain."""
    target = domain("t", [("u", "a", "train", 1), ("u", "b", "valid", 5), ("u", "b", "test", 9), ("v", "a", "test", 9)])
    source = domain("s", [("u", "x", "train", 3), ("w", "x", "train", 4)])
    domains = Domains((source,), target)
    view = domains.held_out("test")
    told = dict(zip(domains.named(view).get_level_values(0), domains.recent(view, 5), strict=True))
    assert told == {"u": ("b", "x (s)", "a"), "v": ()}
    assert domains.recent(view, 1)[0] == ("b",)
