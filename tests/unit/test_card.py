"""The card of a model: figures of its own lane, where it is worse, and nothing that Markdown would take for a sign."""

import dataclasses
import re

import pytest

from pipeline.evaluation.card import render_about, render_card
from pipeline.evaluation.comparison import UNMARKED
from pipeline.evaluation.report import Report
from pipeline.labels.items import ITEMS
from pipeline.registry.lookup import made_of, shortened
from pipeline.results import Estimate
from tests.unit.test_report import HOSTILE, make_report


@pytest.fixture(scope="module")
def report() -> Report:
    return make_report()


def card(report: Report, lane: str = "joint", words=ITEMS) -> str:
    return render_card(report, words, lane, "crosslift.toy", ["b: 5 rows read = 5 kept"])


def with_slices(report: Report, values: dict[str, tuple[float, float, float]]) -> Report:
    """Give slices in which the lane `joint` has these values with their intervals."""
    view = report.comparison.views[UNMARKED]
    slices = tuple(
        view.slices[0].model_copy(
            update={
                "label": label,
                "lanes": view.slices[0].lanes | {"joint": Estimate(value=value, low=low, high=high)},
            }
        )
        for label, (value, low, high) in values.items()
    )
    views = report.comparison.views | {UNMARKED: view.model_copy(update={"slices": slices})}
    return report.model_copy(update={"comparison": report.comparison.model_copy(update={"views": views})})


def test_the_figures_are_those_of_the_lane_beside_its_references(report):
    """A row a metric: the lane, target-only and the best baseline, on rows without marks."""
    view, text = report.comparison.views[UNMARKED], card(report)
    lanes = [view.lanes[lane]["ndcg@10"] for lane in ("joint", "target_only", "ease+source")]
    told = " | ".join(f"{100 * one.value:.2f} [{100 * one.low:.2f} to {100 * one.high:.2f}]" for one in lanes)
    assert f"| NDCG@10, % | {told} |" in text
    assert "360 test rows of 360 users, without marked rows, 95 % intervals." in text
    assert "Test rows that the audit marked: twin 40." in text
    assert "With the marked ones: All 5,000 were looked at.\n" in text
    assert "oracle" not in text
    [gain] = [one.difference for one in view.gains if one.lane == "joint" and one.transfer]
    assert f"NDCG@10 against target\\_only: {100 * gain.value:+.2f} [" in text


def test_slices_are_told_where_the_lane_is_worse_beyond_doubt(report):
    """The worst first; where the interval reaches the value of all rows nothing is said."""
    whole = report.comparison.views[UNMARKED].lanes["joint"]["ndcg@10"].value
    values = {
        "bad": (whole - 0.1, whole - 0.2, whole - 0.01),
        "worst": (whole - 0.3, whole - 0.4, whole - 0.2),
        "perhaps": (whole - 0.1, whole - 0.2, whole + 0.01),
        "good": (whole + 0.1, whole + 0.05, whole + 0.2),
    }
    found = with_slices(report, values)
    assert re.findall(r"^- half, (\w+) \(", card(found), re.MULTILINE) == ["worst", "bad"]
    less = dataclasses.replace(ITEMS, less=frozenset({"ndcg"}))
    assert re.findall(r"^- half, (\w+) \(", card(found, words=less), re.MULTILINE) == ["good"]
    assert "In no slice beyond doubt." in card(with_slices(report, {"good": values["good"]}))


def test_what_came_from_outside_is_no_markdown(report):
    """Title and findings cannot bring in HTML or links of their own."""
    for text in (card(report), render_about(report, ITEMS, "crosslift.toy")):
        assert HOSTILE not in text
        assert "<script" not in text
        assert "](http" not in text.replace("\\]", "")


def test_a_card_without_rows_that_tell_is_possible(report):
    """Data and limits are told all the same."""
    told = report.model_copy(update={"comparison": report.comparison.model_copy(update={"views": {}})})
    assert "### Figures" not in card(told)
    assert "### Leaks and limits" in card(told)


def test_the_data_of_a_version_are_known_whoever_registered_it():
    """One short tag now; an older version has one for each folder, and a digest of all."""
    manifests = {"ingest.a": "1" * 64, "prepare.a": "2" * 64}
    now = {"data": " ".join(shortened(manifest) for manifest in manifests.values()), "lane": "x"}
    older = {**{f"data.{key}": manifest for key, manifest in manifests.items()}, "data": "f" * 64}
    assert made_of(now) == made_of(older) == {"1" * 16, "2" * 16}
    assert made_of({"lane": "x"}) == set()


def test_an_oracle_is_called_one(report):
    """It stands beside the lane, and the difference to it is no gain by a source."""
    lanes = tuple(one.model_copy(update={"oracle": one.name == "target_only"}) for one in report.comparison.lanes)
    text = card(report.model_copy(update={"comparison": report.comparison.model_copy(update={"lanes": lanes})}))
    assert "| joint | target\\_only (oracle) |" in text
    assert "NDCG@10 against target\\_only (oracle): " in text
    assert "An oracle knows labels that the target is declared not to have" in text


def test_where_no_slice_was_looked_at_none_is_cleared(report):
    """Nothing is said of slices that there are not."""
    assert "No slices were looked at." in card(with_slices(report, {}))
    assert "beyond doubt" not in card(with_slices(report, {}))
