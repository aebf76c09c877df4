"""Who gains and who loses by a source, and who is served without it, as report and slices say it."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import Gate
from pipeline.evaluation.comparison import UNMARKED, LaneInfo, Part, view
from pipeline.evaluation.gains import blends_told, gains_of, lane_of_gains
from pipeline.evaluation.report import render_html, render_markdown
from pipeline.evaluation.statistics import Scores
from pipeline.evaluation.terms import Terms
from pipeline.labels.item_words import ITEMS
from pipeline.labels.statistic import Means
from pipeline.results import Mixture
from tests.reports import SCRIPT, full_report

TERMS = Terms(Gate(resamples=1000), "ndcg@10", ITEMS, seed=0)


def lane(name: str, counterpart: str | None) -> LaneInfo:
    domains = ("a", "b") if counterpart else ("b",)
    return LaneInfo(
        name=name, kind="baseline", domains=domains, counterpart=counterpart, oracle=False, valid={"ndcg@10": 0.1},
        valid_domain="b",
    )  # fmt: skip


def scores(**lanes: np.ndarray) -> Scores:
    rows = len(next(iter(lanes.values())))
    return Scores(("ndcg@10",), {name: Means(values[:, None]) for name, values in lanes.items()}, rows=rows)


def test_a_group_gains_where_its_users_do() -> None:
    """The difference to the lane's own counterpart, not to target-only, in each group by itself."""
    rng = np.random.default_rng(0)
    lanes = (lane("ease+source", "ease"), lane("ease", None), lane("target_only", None))
    with_source, own, only = (rng.normal(mean, 0.1, 300) for mean in (0.5, 0.3, 0.9))
    with_source[200:] -= 0.4
    every = {"ease+source": with_source, "ease": own, "target_only": only}
    parts = [
        Part("history", label, scores(**{name: values[rows] for name, values in every.items()}))
        for label, rows in (("short", slice(0, 200)), ("long", slice(200, 300)))
    ]
    found = gains_of(view(TERMS, lanes, scores(**every), parts), lane_of_gains(lanes, "ease"))
    assert [(one.part.label, one.part.units, one.word) for one in found] == [
        ("short", 200, "gain"),
        ("long", 100, "lose"),
    ]
    for one, rows in zip(found, (slice(0, 200), slice(200, 300)), strict=True):
        assert one.difference.value == pytest.approx((with_source - own)[rows].mean())


@pytest.mark.parametrize(("users", "positives", "stands"), [(99, None, 0), (100, None, 1), (150, 29, 0), (150, 30, 1)])
def test_of_few_rows_no_gain_stands(users: int, positives: int | None, stands: bool) -> None:
    """However clear it looks: the gate promotes no transfer there, and no page may say that a source helps."""
    rng = np.random.default_rng(0)
    lanes = (lane("ease+source", "ease"), lane("ease", None))
    every = scores(**{"ease+source": rng.normal(0.9, 0.1, users), "ease": rng.normal(0.1, 0.1, users)})
    found = view(TERMS, lanes, replace(every, positives=positives), [Part("history", "all", every)])
    [gain] = [one for one in found.gains if one.transfer]
    assert (gain.difference.low > 0.7, gain.stands) == (True, stands)
    assert len(gains_of(found, lanes[0])) == (users >= 100)


def test_the_candidate_is_told_of_where_it_uses_a_source() -> None:
    """Else the best lane that does; where none does there is nothing to tell."""
    lanes = (lane("a+source", "a"), lane("b+source", "b"), lane("a", None))
    assert lane_of_gains(lanes, "b+source") == lanes[1]
    assert lane_of_gains(lanes, "a") == lanes[0]
    assert lane_of_gains(lanes[2:], "a") is None
    assert gains_of(None, lanes[0]) == ()


@pytest.mark.parametrize(
    ("of", "shares", "without"),
    [
        (("joint", "target_only"), (1.0, 0.4, 0.0), 40),
        (("target_only", "joint"), (1.0, 0.4, 0.0), 40),
        (("target_only", "joint"), (1.0, 1.0, 0.0), 80),
        (("joint", "joint_5"), (1.0, 0.4, 0.0), 0),
        (("target_only", "target_only"), (1.0, 0.4, 0.0), None),
    ],
)
def test_who_is_served_without_the_source_is_counted(of, shares, without) -> None:
    """Those in whose group nothing but lanes without a source counts; a blend that uses none has nothing to tell."""
    comparison = full_report().comparison
    groups = tuple(zip(("0 to 4", "5 to 9", "10 to 14"), shares, strict=True))
    mixture = Mixture(lane="blend", of=of, by="rows in the source", groups=groups)
    [told] = blends_told([mixture], comparison.lanes, comparison.views[UNMARKED], comparison.target)
    assert told.without == without
    assert told.units == {"0 to 4": 40, "5 to 9": 40, "10 to 14": 40}


def test_both_pages_tell_it() -> None:
    """Shares, users of each group, how many are served without the source, and gains with their word; escaped."""
    report = full_report()
    page, text = render_html(report, ITEMS), render_markdown(report, ITEMS)
    assert "40 of the 120 test users in groups that are not too few to show are served without the source" in page
    assert "40 of the 120 test users in groups that are not too few to show are served without the source" in text
    assert "| 5 to 9 | 40 % | 60 % | 40 |" in text
    assert "| rows in the source: 0 to 4 | 40 | -4.00 [-6.00, -1.00] | lose |" in text
    for told in ("Who gains and who loses by the source", "How lanes are blended", "too few"):
        assert told in page
        assert told in text
    assert SCRIPT not in page
