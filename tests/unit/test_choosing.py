"""Which validation rows choose, and what they say."""

import numpy as np
import pandas as pd
import pytest

from pipeline.config import BinaryTask, FitSettings, RegressionTask
from pipeline.errors import DataError
from pipeline.evaluation.choosing import Chooser, Folds
from pipeline.labels.ranking_metrics import user_metrics
from pipeline.models.neighbours import PopularityRanker
from pipeline.models.stack import Stack
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.scenarios import load_scenario
from pipeline.tasks.labels import build_label
from pipeline.views import FEATURES, PAST, ROW, UNIT, ClassLabel, Features, NumberLabel, View


def domain(name: str, users: int) -> DomainData:
    """Each user has five rows, of which the second is held out."""
    rows = pd.DataFrame({
        "user_id": np.repeat([f"{name[0]}{user:03}" for user in range(users)], 5),
        "item_id": [f"{name}{(user + step) % 9}" for user in range(users) for step in range(5)],
        "part": [0, 1, 0, 0, 0] * users,
    })  # fmt: skip
    return DomainData.build(name, rows, None, 1.0)


def choosers() -> tuple[Chooser, ...]:
    value = load_scenario("demo").model_dump(mode="json")
    value |= {"sources": ["films", "music", "games"], "target": "books"}
    sources = Domains((domain("music", 30), domain("games", 10)), domain("films", 60))
    return Chooser.of_sources(FitSettings.of(type(load_scenario("demo")).model_validate(value)), sources)


def test_every_source_is_watched():
    """The rows of each, over one index of users; none of them is learnt from."""
    found = choosers()
    assert [(one.domain, len(one.view), one.units) for one in found] == [
        ("films", 60, 60),
        ("music", 30, 30),
        ("games", 10, 10),
    ]
    assert len({tuple(one.prepared.users) for one in found}) == 1
    for one in found:
        known = one.view.fields[PAST].taken[one.domain]
        assert known.nnz == len(one.training[one.domain]) == 4 * len(one.view)
        assert not known[one.view.units, one.view.label.value].any()


def test_the_limit_is_of_all_together():
    """Of a hundred rows some fifty stay, from each source its share."""
    every = choosers()
    few = [one.few(50, sum(len(one.view) for one in every)) for one in every]
    assert [len(one.view) for one in few] == [30, 15, 5]
    assert [len(one.few(50).view) for one in every] == [30, 30, 10]


def test_a_metric_is_the_mean_over_users():
    """Of one domain, and over several of all their users, each of whom counts once."""
    every = choosers()
    rankers = []
    for one in every:
        histories = one.view.fields[PAST].taken
        rankers.append(PopularityRanker.fit(histories, Stack.of(histories, one.domain)))
    judged = [chooser.predict(ranker) for chooser, ranker in zip(every, rankers, strict=True)]
    each = [
        user_metrics(pd.DataFrame({"user": view.units, "item": view.label.value}), ranks, (10,))["ndcg@10"]
        for view, ranks in judged
    ]
    assert every[0].metrics(rankers[0])["ndcg@10"] == each[0].mean()
    assert every[0].watched(judged) == pytest.approx(np.concatenate(each).mean())


class Fixed:
    """Says the same of every row."""

    classes = ("no", "yes")

    def values(self, features):
        return np.zeros(len(features.table))

    def probabilities(self, features):
        return np.full((len(features.table), 2), 0.5)

    def decided(self, probabilities):
        return np.zeros(len(probabilities), dtype=np.int64)


def one_row(label):
    rows = pd.DataFrame({ROW: [0], UNIT: [0]})
    return View("d", rows, {FEATURES: Features(pd.DataFrame({"x": [1.0]}), {"x": "number"})}, (label,))


def test_what_rows_do_not_define_chooses_nothing():
    """One row has a squared error and no R2, which is left out; of one class there is no area, and that is told."""
    task = RegressionTask(kind="regression", label="y", features={"x": "number"})
    chooser = Chooser(build_label(task), None, one_row(NumberLabel(np.array([2.0]), "y")))
    assert chooser.metrics(Fixed()) == {"mse": 4.0, "mae": 2.0}
    task = BinaryTask(kind="binary", label="y", features={"x": "number"})
    chooser = Chooser(build_label(task), None, one_row(ClassLabel(np.array([0]), ("no", "yes"), "y")))
    for asked in (lambda: chooser.metrics(Fixed()), Folds((chooser,)).refuse_undefined):
        with pytest.raises(DataError, match=r"d: AUPRC of the 1 validation rows without marks is not defined"):
            asked()
