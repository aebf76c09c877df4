"""What could choose without labels: held against counts in a table, and what the report makes of it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from pipeline.config import RankingTask
from pipeline.evaluation.comparison import ALL, UNMARKED
from pipeline.evaluation.report import Report, render_html, render_markdown
from pipeline.evaluation.validators import validators
from pipeline.labels.classes import information
from pipeline.labels.item_words import ITEMS
from pipeline.labels.items import Items
from pipeline.labels.number_kind import Numbers
from pipeline.tasks.labels import build_label
from tests.reports import full_report
from tests.unit.test_label_kinds import BINARY, NUMBER, binary
from tests.unit.test_tag_kind import TASK as TAGS
from tests.unit.test_tag_kind import view_of as tag_view


def test_information_is_that_of_a_table_of_counts() -> None:
    """Rows whose classes were drawn as often as their probabilities say have scikit-learn's mutual information."""
    counts_NK = np.random.default_rng(0).integers(1, 9, (7, 3)) * 1.0
    counts_NK *= (counts_NK.prod() / counts_NK.sum(axis=1))[:, None]  # every row as often
    whole_NK = np.rint(counts_NK / counts_NK.sum(axis=1, keepdims=True) * 5000).astype(int)
    rows, classes = (np.repeat(one.ravel(), whole_NK.ravel()) for one in np.indices(whole_NK.shape))
    probability_NK = counts_NK / counts_NK.sum(axis=1, keepdims=True)
    assert information(probability_NK) == pytest.approx(mutual_info_score(rows, classes), abs=1e-3)


def test_information_at_its_ends() -> None:
    """Nothing where all rows get one answer or none is sure; the entropy of the classes where all are sure."""
    assert information(np.tile([0.2, 0.8], (5, 1))) == pytest.approx(0)
    assert information(np.full((5, 4), 0.25)) == pytest.approx(0)
    sure = np.eye(3)[[0, 0, 1, 2]]
    assert information(sure) == pytest.approx(entropy([2, 1, 1]))


def test_each_kind_says_what_its_answers_tell() -> None:
    """Of two classes, and of tags in the mean; where nothing has a probability there is nothing."""
    view, told = binary()
    kind = build_label(BINARY)
    said = kind.predict(told, view)
    assert kind.information(view, said) == pytest.approx(information(said[:, :2]))
    tags = tag_view(np.array([[1, 0, 1], [0, 0, 1]], dtype=bool))
    said_NK = np.array([[0.9, 0.5, 0.2], [0.1, 0.5, 0.6]])
    each = [information(np.stack([1 - one, one], axis=1)) for one in said_NK.T]
    predicted = np.hstack([said_NK, said_NK > 0.5])
    assert build_label(TAGS).information(tags, predicted) == pytest.approx(np.mean(each))
    assert Numbers(NUMBER).information(view, said[:, 0]) is None
    assert Items(RankingTask()).information(view, said[:, 0]) is None


def told(information_by: list[float], metric: list[float], **changes: Any) -> Report:
    """A report on a few lanes, the best on validation first."""
    report = full_report(lanes=len(metric))
    names = [lane.name for lane in report.comparison.lanes]
    view = report.comparison.views[ALL]
    values = {
        name: {"ndcg@10": view.lanes[name]["ndcg@10"].model_copy(update={"value": value})}
        for name, value in zip(names, metric, strict=True)
    }
    view = view.model_copy(update={"lanes": values})
    known = dict(zip(names, information_by, strict=False))
    update = {"information": known, "views": {ALL: view, UNMARKED: view}, **changes}
    return report.model_copy(update={"comparison": report.comparison.model_copy(update=update)})


def test_who_would_have_chosen_what() -> None:
    """By information, by validation, and by the test; and whether information orders lanes as the metric does."""
    comparison = told([0.1, 0.5, 0.3], [0.2, 0.3, 0.4]).comparison
    first, second, third = (lane.name for lane in comparison.lanes)
    found = validators(comparison, ITEMS)
    assert found is not None
    assert [(one.lane, one.metric) for one in found.choices] == [(second, 0.3), (first, 0.2), (third, 0.4)]
    assert found.agreement == pytest.approx(0.5)  # places 1, 3, 2 against 1, 2, 3
    less = validators(comparison, replace(ITEMS, less=frozenset({"ndcg"})))
    assert less is not None
    assert (less.choices[2].lane, less.agreement) == (first, pytest.approx(-0.5))


def test_an_oracle_is_no_choice() -> None:
    """It has seen what the others must do without."""
    comparison = told([0.1, 0.5, 0.3, 0.2], [0.2, 0.3, 0.4, 0.1]).comparison
    lanes = list(comparison.lanes)
    lanes[1] = lanes[1].model_copy(update={"oracle": True})
    found = validators(comparison.model_copy(update={"lanes": tuple(lanes)}), ITEMS)
    assert found is not None
    assert (found.lanes, found.choices[0].lane) == (3, lanes[2].name)


def test_nothing_is_said_where_there_is_no_order() -> None:
    """Of two lanes, of equal answers, and where answers have no probability."""
    assert validators(told([], [0.2, 0.3, 0.4]).comparison, ITEMS) is None
    assert validators(told([0.1, 0.2], [0.2, 0.3]).comparison, ITEMS) is None
    assert validators(told([0.1] * 3, [0.2, 0.3, 0.4]).comparison, ITEMS) is None


def test_the_report_tells_it() -> None:
    """In both pages; not a word where there is nothing to say."""
    report = told([0.1, 0.5, 0.3], [0.2, 0.3, 0.4])
    picked = report.comparison.lanes[1].name
    assert f"| the information of its answers | {picked} | 30.00 | 0.500 |" in render_markdown(report, ITEMS)
    assert f'<td>the information of its answers</td><td class="name">{picked}</td>' in render_html(report, ITEMS)
    bare = full_report()
    assert "If the target had no labels" not in render_html(bare, ITEMS) + render_markdown(bare, ITEMS)
