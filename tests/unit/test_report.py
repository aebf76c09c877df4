"""The comparison of all lanes, and the report that shows it."""

import json
import re
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest

from pipeline.config import Gate, Scenario
from pipeline.evaluation import drawing, figures
from pipeline.evaluation.bootstrap import Estimate
from pipeline.evaluation.comparison import ALL, UNMARKED, Comparison, Part, Validated, View, describe_lanes, view
from pipeline.evaluation.curve import make_point
from pipeline.evaluation.gate import Verdict, decide
from pipeline.evaluation.hearing import Lane
from pipeline.evaluation.report import Report, StepCost, lane_rows, render_html, render_markdown, write_report
from pipeline.evaluation.spread import SplitPoint
from pipeline.evaluation.statistics import Scores
from pipeline.evaluation.terms import Terms
from pipeline.labels.curves import Curve
from pipeline.labels.items import ITEMS
from pipeline.labels.statistic import Means
from pipeline.labels.words import Words
from pipeline.results import Cost, Outcome

HOSTILE = "<script>alert('x')</script> | [a](http://evil.example) `x`"
USERS = 400
METRICS = ("ndcg@10", "mrr@10")
GOOD = {"target_only": 40.0, "joint": 2.0, "fine_tune": 400.0, "popularity": 100.0, "ease": 12.0, "ease+source": 6.0}


def scenario(**changes) -> Scenario:
    value = {
        "name": "toy", "title": HOSTILE, "sources": ("a",), "target": "b", "bridges": ("users",), "embedded": {},
        "split": {"kind": "time"}, "gate": Gate(resamples=1000), "shares": (0.3, 1.0),
        "strategies": [{"tune": {"kind": kind}} for kind in ("scratch", "joint", "fine_tune", "frozen")],
        "baselines": [{"kind": "popularity"}, {"kind": "ease"}, {"kind": "ease", "domains": "all"}],
    }  # fmt: skip
    return Scenario.model_validate({**value, **changes})


def make_report(share: float = 1.0, words: Words = ITEMS, **changes) -> Report:
    """Make a report of lanes whose ranks spread around a typical rank; `frozen` has failed."""
    chosen = scenario(target_share=share, **changes)
    rng = np.random.default_rng(0)
    noise = rng.gamma(2.0, 0.5, USERS)
    ranks = {name: np.ceil(typical * noise * rng.uniform(0.8, 1.2, USERS)) for name, typical in GOOD.items()}
    valid = {name: Validated({"ndcg@10": 1 / typical}, "b") for name, typical in GOOD.items()}
    terms = Terms(chosen.gate, "ndcg@10", words, 0)
    lanes = describe_lanes(chosen, terms, valid)

    def scores(rows) -> Scores:
        all_ranks = {**ranks, "chance": np.full(USERS, 2500.0)}
        values = {name: np.stack([1 / np.log2(1 + rank), 1 / rank], axis=1) for name, rank in all_ranks.items()}
        return Scores(METRICS, {name: Means(found[rows]) for name, found in values.items()}, rows=int(rows.sum()))

    place = np.arange(USERS)
    halves = {"first": place < 200, "second": place >= 200}
    views = {
        name: view(terms, lanes, scores(rows), [Part("half", by, scores(rows & half)) for by, half in halves.items()])
        for name, rows in ((ALL, place >= 0), (UNMARKED, place >= 40))
    }
    comparison = Comparison(
        scenario="toy", title=chosen.title, sources=("a",), target="b", seed=0, target_share=share, target_labels=True,
        metric="ndcg@10", metrics=METRICS, level=0.95, resamples=1000, judged="All 5,000 were looked at.",
        marks={"a": {}, "b": {"twin": 40}}, test_marks={"twin": 40}, lanes=lanes, failed=("frozen",), views=views,
    )  # fmt: skip
    candidates = [Lane(lane.name, lane.kind, lane.valid["ndcg@10"]) for lane in lanes]
    verdict = decide(terms, candidates, scores(place >= 40), None)
    cost = Cost(cpu_seconds=2.0, wall_seconds=3.0, peak_mebibytes=100.0)
    needs = (("pretrain_source", ""),)
    costs = [StepCost(step="pretrain_source", name="", cost=cost)]
    costs += [
        StepCost(step="finetune_target" if lane.kind == "strategy" else "fit_baseline", name=lane.name, cost=cost,
                 needs=needs if lane.name == "fine_tune" else ())
        for lane in lanes
    ]  # fmt: skip
    return Report(comparison=comparison, verdict=verdict, outcome=None, curve=(make_point(comparison),),
                  shares=chosen.shares, costs=tuple(costs), latencies={"joint": 0.004})  # fmt: skip


@pytest.fixture(scope="module")
def report() -> Report:
    return make_report()


@pytest.fixture(scope="module")
def page(report) -> str:
    return render_html(report, ITEMS)


def clean(report: Report) -> View:
    return report.comparison.views[UNMARKED]


def test_gains_are_against_the_own_counterpart(report):
    """A strategy is held against target-only, a baseline on both domains against itself on the target alone."""
    own = {gain.lane: gain.against for gain in clean(report).gains if gain.transfer}
    assert own == {"joint": "target_only", "fine_tune": "target_only", "ease+source": "ease"}
    others = {(gain.lane, gain.against) for gain in clean(report).gains if not gain.transfer}
    assert others == {("popularity", "target_only"), ("ease", "target_only"), ("ease+source", "target_only")}


def test_a_gain_is_the_difference_of_the_lanes(report):
    """The estimate of a difference is the difference of the estimates, and its interval holds it."""
    for gain in clean(report).gains:
        lanes = clean(report).lanes
        expected = lanes[gain.lane]["ndcg@10"].value - lanes[gain.against]["ndcg@10"].value
        assert gain.difference.value == pytest.approx(expected)
        assert gain.difference.low <= gain.difference.value <= gain.difference.high


def test_help_and_harm_are_told_apart(report):
    """A lane far above target-only helps, one far below hurts and is flagged as negative transfer."""
    words = {row.info.name: row.word for row in lane_rows(report)}
    assert (words["joint"], words["fine_tune"], words["target_only"], words["ease"]) == ("helps", "hurts", "", "")
    assert {gain.lane for gain in clean(report).gains if gain.negative} == {"fine_tune"}


def test_lanes_stand_in_the_order_of_validation(report):
    """The best lane on validation rows comes first, whatever the test says."""
    assert [lane.name for lane in report.comparison.lanes][:2] == ["joint", "ease+source"]


def test_marked_rows_do_not_count_in_the_clean_view(report):
    """The view without marked rows has those rows' users left out, the other has all."""
    assert (report.comparison.views[ALL].units, clean(report).units) == (400, 360)


def test_slices_divide_the_rows(report):
    """The users of the slices of one kind add up to those of the view, and so do their metrics."""
    parts = clean(report).slices
    assert [part.units for part in parts] == [160, 200]
    joint = sum(part.units * part.lanes["joint"].value for part in parts) / 360
    assert joint == pytest.approx(clean(report).lanes["joint"]["ndcg@10"].value)


def test_a_lane_pays_for_the_shared_steps_that_it_needed(report):
    """Fine-tuning counts the pretraining too; a baseline counts only itself."""
    seconds = {row.info.name: row.cpu_seconds for row in lane_rows(report)}
    assert (seconds["fine_tune"], seconds["ease"]) == (4.0, 2.0)


def test_the_point_of_the_curve_is_the_best_transfer_by_validation(report):
    """The curve takes the lane that validation prefers, and its counterpart, from the clean view."""
    point = report.curve[0]
    assert point.best is not None
    assert point.baseline is not None
    assert (point.best.lane, point.best.counterpart) == ("joint", "target_only")
    assert (point.baseline.lane, point.baseline.counterpart) == ("ease+source", "ease")
    assert point.best.value == clean(report).lanes["joint"]["ndcg@10"]


def test_the_page_loads_nothing_and_escapes_what_came_from_outside(page):
    """The title's script and link are text, and no address, script or import stands in the page."""
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "Content-Security-Policy" in page
    outside = re.findall(r"(?:src|href|url|@import)\s*[=(]\s*[\"']?([^\"')\s>]*)", page)
    assert outside == []


def test_the_first_screen_says_what_matters(page):
    """Verdict, reason, failed lanes and the key figure come before the first table."""
    top = page[: page.index("<table")]
    for wanted in (
        "Verdict: passed (joint)",
        "joint is the best on validation rows",
        "Outcome: not known yet",
        "1 lane failed",
        "frozen",
        "360",
    ):
        assert wanted in top


def test_the_page_tells_of_negative_transfer_and_of_missing_shares(page):
    """Harm is said in words, and so is which share of the curve is still to be run."""
    assert "Negative transfer is shown for fine_tune." in page
    assert "Not on the curve yet: 30 %." in page


def test_pages_name_the_lanes_that_the_spread_leaves_out(report):
    """A lane that failed on one split is in no row of that table."""
    one = Estimate(value=0.5, low=0.4, high=0.6)
    splits = [SplitPoint(draw=0, metric="ndcg@10", lanes={"ease": one, "joint": one}),
              SplitPoint(draw=1, metric="ndcg@10", lanes={"ease": one})]  # fmt: skip
    told = "Not in the table, because they have no result on each of these splits: joint."
    for render in (render_html, render_markdown):
        assert told in render(report.model_copy(update={"splits": tuple(splits)}), ITEMS)
        assert told not in render(report.model_copy(update={"splits": tuple(splits[1:] * 2)}), ITEMS)


def test_figures_are_well_formed(page):
    """Every figure is one whole XML tree with a title."""
    drawn = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(drawn) == 4
    assert all(fromstring(svg).find("title") is not None for svg in drawn)  # noqa: S314  our own text


def test_a_second_share_draws_the_curve(report):
    """With two points the page shows quality against the share of target data."""
    two = report.model_copy(update={"curve": (make_report(0.3).curve[0], report.curve[0])})
    page = render_html(two, ITEMS)
    assert "Quality against the share of target data" in page
    assert "Not on the curve yet" not in page
    assert "| 30 % |" in render_markdown(two, ITEMS)


def test_markdown_tables_are_whole_and_escaped(report):
    """Every line of a table has as many cells as its head, and the title is neither HTML nor a link."""
    text = render_markdown(report, ITEMS)
    assert "<script" not in text
    assert "\\[a\\](http" in text
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block


def test_markdown_and_json_say_the_same(report, tmp_path):
    """The main number of each lane in the Markdown is that of the JSON."""
    write_report(tmp_path, report, ITEMS)
    value = json.loads((tmp_path / "report.json").read_text())
    text = (tmp_path / "report.md").read_text()
    for name, metrics in value["comparison"]["views"][UNMARKED]["lanes"].items():
        assert re.search(
            rf"^\| {re.escape(name.replace('_', chr(92) + '_'))} \| .*{100 * metrics['ndcg@10']['value']:.2f}",
            text,
            re.MULTILINE,
        )


def test_equal_reports_give_equal_bytes(report, tmp_path):
    """A repeat of the same run writes the same three files."""
    for folder, value in ((tmp_path / "one", report), (tmp_path / "two", make_report())):
        folder.mkdir()
        write_report(folder, value, ITEMS)
    for name in ("report.html", "report.md", "report.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_report_without_a_clean_view_is_possible(report):
    """Where every test row is marked, the page still shows all rows and does not fail."""
    views = {ALL: report.comparison.views[ALL]}
    comparison = report.comparison.model_copy(update={"views": views})
    page = render_html(report.model_copy(update={"comparison": comparison}), ITEMS)
    assert "What the source brings" not in page


HELD = {
    "outcome": "not promoted", "reason": "Version 3 (joint) comes from a <trial>.", "model": "crosslift.toy",
    "version": 3, "lane": "joint", "alias": "challenger", "serving": 2, "trial": "seed 9 instead of 0",
}  # fmt: skip


def test_verdict_and_outcome_are_told_apart(report):
    """A candidate that passed and does not serve is called promoted nowhere, and nothing is said to serve instead."""
    against = {**report.verdict.model_dump(), "champion": {"version": 2, "package": "two", "new_rows": None}}
    told = {"verdict": Verdict.model_validate(against), "outcome": Outcome.model_validate(HELD)}
    page, text = (render(report.model_copy(update=told), ITEMS) for render in (render_html, render_markdown))
    for said in (page, text):
        assert "Verdict: passed (joint)" in said
        assert "Made when version 2 served." in said
        assert "Outcome: not promoted (crosslift.toy version 3, joint)" in said
        assert "comes from a &lt;trial&gt;" in said
        assert not re.search(r"promoted(?<!not promoted)|serves now", said)
    assert '<section class="verdict">' in page


def test_what_serves_is_promoted(report):
    """Only an outcome says `promoted`, where the version serves."""
    value = {**HELD, "outcome": "promoted", "reason": "It became the first champion.", "serving": 3}
    told = report.model_copy(update={"outcome": Outcome.model_validate(value)})
    assert '<section class="verdict serves">' in render_html(told, ITEMS)
    assert "**Outcome: promoted (crosslift.toy version 3, joint).** It became the first champion." in render_markdown(
        told, ITEMS
    )
    assert "promoted" not in render_html(report, ITEMS)
    assert "Outcome: not known yet" in render_markdown(report, ITEMS)


def test_a_verdict_that_does_not_pass_is_shown(report):
    """Rejected and undecided verdicts keep their word in the page."""
    verdict = Verdict.model_validate({**report.verdict.model_dump(), "verdict": "rejected", "lane": None})
    assert "Verdict: rejected (joint)</span>" in render_html(report.model_copy(update={"verdict": verdict}), ITEMS)


def test_figures_put_values_where_the_axis_says():
    """In a forest plot a greater value lies further right, between the ends of its interval."""
    rows = [
        figures.ForestRow("low", (Estimate(value=0.1, low=0.05, high=0.2),)),
        figures.ForestRow("high", (Estimate(value=0.4, low=0.3, high=0.45),)),
    ]
    svg = fromstring(figures.forest(ITEMS, "title", rows, ("only",)))  # noqa: S314
    dots = [float(dot.get("cx", "")) for dot in svg.iter("circle")]
    bars = [
        (float(bar.get("x1", "")), float(bar.get("x2", "")))
        for bar in svg.iter("line")
        if "bar" in bar.get("class", "")
    ]
    assert dots[0] < dots[1]
    assert all(low < dot < high for dot, (low, high) in zip(dots, bars, strict=True))


def test_no_values_draw_no_figure():
    """An empty figure is no figure."""
    assert figures.forest(ITEMS, "t", [], ()) == ""
    assert figures.scatter(ITEMS, "t", [], ("x", "y")) == figures.curve(ITEMS, "t", [], ("x", "y")) == ""


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.013), (-0.004, 0.021), (0.0, 1.0), (0.0, 0.0), (-1e-5, 2e-5)])
def test_ticks_enclose_the_range(low, high):
    """The axis covers the values with a handful of evenly spaced ticks."""
    ticks = drawing.ticks(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert 2 <= len(ticks) <= 8
    assert np.allclose(np.diff(ticks), ticks[1] - ticks[0])


def test_the_axis_says_which_side_of_zero_it_is():
    """A minus stays before hundredths, and zero has none."""
    ticks = [-0.075, -0.05, -0.025, 0.0, 0.025]
    assert [drawing.tick(PLAIN, tick, 0.025) for tick in ticks] == ["-0.075", "-0.050", "-0.025", "0", "0.025"]


PLAIN = Words({"ndcg": "gain", "mrr": "luck"}, frozenset({"mrr"}), "rows", False, 3, "a coin", "Each was weighed.")


def test_only_the_words_of_the_label_kind_are_used():
    """With other words the page names other units and metrics, writes values as they are, and nothing of ranking."""
    told = make_report(words=PLAIN)
    both = told.model_copy(update={"curve": (make_report(0.3, PLAIN).curve[0], told.curve[0])})
    value = clean(told).lanes["joint"]["ndcg@10"].value
    for text in (render_html(both, PLAIN), render_markdown(both, PLAIN)):
        assert "gain@10" in text
        assert "luck@10" in text
        assert f"{value:.3f}" in text
        said = re.sub(r"<style>.*?</style>|<[^>]*>", " ", text, flags=re.DOTALL)  # without class names and points=...
        assert not re.findall(r"users?\b|items?\b|ndcg|mrr|points?\b|catalogue", said, flags=re.IGNORECASE)
    assert "Each was weighed." in render_html(both, PLAIN)


def test_of_less_that_is_better_a_gain_is_still_above_zero():
    """Where less of the metric is better, the same numbers make the lanes that gained lose, and the order turn."""
    words = Words(ITEMS.metrics, frozenset({"ndcg"}), "users", True, 2, "", "")
    more, less = clean(make_report()), make_report(words=words)
    first = {gain.lane: gain for gain in more.gains if gain.transfer}
    second = {gain.lane: gain for gain in clean(less).gains if gain.transfer}
    assert second["joint"].difference.value == -first["joint"].difference.value
    assert second["joint"].difference.low == pytest.approx(-first["joint"].difference.high)
    assert (first["fine_tune"].negative, second["fine_tune"].negative, second["joint"].negative) == (True, False, True)
    assert clean(less).slices[0].gains["joint"].value == -more.slices[0].gains["joint"].value
    assert (less.comparison.lanes[0].name, less.verdict.candidate) == ("fine_tune", "fine_tune")


def test_what_is_not_defined_is_counted_or_left_out(report):
    """A metric without a value is missing in the page; one without a value on some resamples is told of."""
    view = clean(report).model_copy(update={"undefined": {"mrr@10": 12}})
    lanes = {name: {"ndcg@10": metrics["ndcg@10"]} for name, metrics in view.lanes.items()}
    views = {ALL: report.comparison.views[ALL].model_copy(update={"lanes": lanes}), UNMARKED: view}
    comparison = report.comparison.model_copy(update={"views": views})
    for text in (render_html(report.model_copy(update={"comparison": comparison}), ITEMS),
                 render_markdown(report.model_copy(update={"comparison": comparison}), ITEMS)):  # fmt: skip
        assert "MRR@10 is not defined on 12 of 1,000 resamples; they are left out." in text


def test_new_rows_are_told_where_they_are_known(report):
    """How many of the test rows that count are new since the champion's night."""
    incumbent = {"version": 2, "package": "two", "new_rows": 17}
    verdict = Verdict.model_validate({**report.verdict.model_dump(), "champion": incumbent})
    told = (
        f"Made when version 2 served; 17 of the {clean(report).rows} test rows without marks are new since its night."
    )
    for render in (render_html, render_markdown):
        assert told in render(report.model_copy(update={"verdict": verdict}), ITEMS)


@pytest.mark.parametrize(
    ("demand", "html", "markdown"),
    [
        ("not worse", "the refit of the champion&#39;s recipe against", "refit"),
        ("better", "the best baseline, intervals of 97.5 %, against", "best baseline (97.5 %)"),
        ("", "the best baseline, intervals of 97.5 %, against", "best baseline (97.5 %)"),
        ("named", "joint, intervals of 97.5 %, against", "joint (97.5 %)"),
    ],
)
def test_whoever_was_heard_second_has_its_own_lines(report, demand, html, markdown):
    """The lines of the refit, which need not be better than what serves, or of the best of the other kind, follow.

    A verdict from before it was named was of the best baseline.
    """
    first = report.verdict.comparisons[0]
    serves = demand in ("better", "not worse")
    beside = [first.model_copy(update={"role": "champion", "demand": demand, "reference": "version 2"})]
    champion = {"version": 2, "package": "two", "new_rows": 17} if serves else None
    told = {"renewal": (first, *(beside if serves else [])), "champion": champion}
    told["second"] = "joint" if demand == "named" else None
    verdict = Verdict.model_validate({**report.verdict.model_dump(), **told})
    both = report.model_copy(update={"verdict": verdict})
    assert html in render_html(both, ITEMS)
    assert html not in render_html(report, ITEMS)
    assert f"| {markdown} against target-only: target\\_only |" in render_markdown(both, ITEMS)


def test_margin_and_power_are_told(report):
    """Beside each reference stand the margin, the difference with it, and what the rows can show."""
    compared = report.verdict.comparisons[0]
    for text in (render_html(report, ITEMS), render_markdown(report, ITEMS)):
        for value in (compared.margin, compared.visible):
            assert f"{100 * value:.2f}" in text
        assert f"{100 * compared.with_margin.value:+.2f}" in text
        assert "the rows" in text


def test_curves_are_drawn_of_those_that_the_gate_speaks_of():
    """Candidate, target-only, what the gate chose and the best baseline, with a diagonal where there is one."""
    lines = dict.fromkeys((*GOOD, "chance"), ((0.1, 0.2), (0.5, 0.4), (0.9, 1.0)))
    report = make_report()
    curves = (
        Curve(title=HOSTILE, note="Look.", axes=("said", "so"), lines=lines, diagonal=True),
        Curve(title="Another", note="Look again.", axes=("a", "b"), lines=lines, diagonal=False),
    )
    drawn = report.model_copy(update={"comparison": report.comparison.model_copy(update={"curves": curves})})
    page = render_html(drawn, ITEMS)
    first, second = (part.partition("</svg>")[0] for part in page.split("Look")[1:])
    for figure in (first, second):
        assert figure.count("<polyline") == 3
        assert all(f">{name}</text>" in figure for name in ("joint", "target_only", "ease+source"))
    assert ('class="zero"' in first, 'class="zero"' in second) == (True, False)
    assert HOSTILE not in page
    chosen = drawn.model_copy(update={"verdict": drawn.verdict.model_copy(update={"lane": "popularity"})})
    figure = render_html(chosen, ITEMS).split("Look")[1].partition("</svg>")[0]
    assert figure.count("<polyline") == 4
    assert ">popularity</text>" in figure
    assert "Look" not in render_html(report, ITEMS)


def test_a_line_of_one_point_is_seen():
    """A dot, on axes that have a length."""
    traces = [figures.Trace("constant", "s1", ((0.1, 0.1),))]
    figure = fromstring(figures.plot(ITEMS, "t", traces, ("x", "y"), diagonal=False))  # noqa: S314  made here
    assert len(figure.findall(".//circle")) == 2  # and that of the legend
    assert not figures.plot(ITEMS, "t", [], ("x", "y"), diagonal=True)


def test_what_the_gate_chose_in_place_of_the_candidate_stands_on_top(report):
    """Its figure beside the candidate's, and its line in the table is marked; not so where both are one."""
    verdict = report.verdict.model_copy(update={"lane": "ease"})
    page = render_html(report.model_copy(update={"verdict": verdict}), ITEMS)
    value = clean(report).lanes["ease"]["ndcg@10"].value
    assert f"<b>{100 * value:.2f} %</b><span>NDCG@10 of ease, which the gate chose" in page[: page.index("<table")]
    assert re.findall(r'<td class="name">([^<]+)<span class="ci">the gate', page) == ["ease"]
    assert "the gate chose<br>" not in render_html(report, ITEMS)
    assert "the gate's choice" not in render_html(report, ITEMS)


def test_the_page_has_one_figure_for_what_the_rows_can_show(report, page):
    """The tile on top says what the gate's table says."""
    told = report.verdict.comparisons[0].visible
    assert f"<b>{100 * told:.2f}</b><span> points: a smaller difference cannot be seen" in page
    assert "half-width" not in page


def test_no_table_of_slices_is_empty(report):
    """It is left out where there are no slices."""
    bare = {name: view.model_copy(update={"slices": ()}) for name, view in report.comparison.views.items()}
    told = report.model_copy(update={"comparison": report.comparison.model_copy(update={"views": bare})})
    for render in (render_html, render_markdown):
        assert "Slices, all rows" in render(report, ITEMS)
        assert "Slices, " not in render(told, ITEMS)
