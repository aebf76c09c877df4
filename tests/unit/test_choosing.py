"""Which rows of the sources are watched while they are learnt from."""

import numpy as np
import pandas as pd

from pipeline.config import FitSettings
from pipeline.data.prepared import DomainData, Domains
from pipeline.evaluation.choosing import Chooser
from pipeline.models.neighbours import PopularityRanker
from pipeline.models.stack import Stack
from pipeline.scenarios import load_scenario


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
    assert [(one.domain, len(one.rows), one.units) for one in found] == [
        ("films", 60, 60),
        ("music", 30, 30),
        ("games", 10, 10),
    ]
    assert len({tuple(one.domains.users) for one in found}) == 1
    for one in found:
        held = one.rows[["user", "item"]].to_numpy()
        assert one.histories[one.domain].nnz == 4 * len(held)
        assert not one.histories[one.domain][held[:, 0], held[:, 1]].any()


def test_the_limit_is_of_all_together():
    """Of a hundred rows some fifty stay, from each source its share."""
    every = choosers()
    few = [one.few(50, sum(len(one.rows) for one in every)) for one in every]
    assert [len(one.rows) for one in few] == [30, 15, 5]
    assert [len(one.few(50).rows) for one in every] == [30, 30, 10]


def test_a_metric_is_the_mean_over_users():
    """What is chosen by is the mean of what each user got."""
    [first, *_] = choosers()
    stack = Stack.of(first.histories, first.domain)
    ranker = PopularityRanker.fit(first.histories, stack)
    each = first.each(ranker)
    assert len(each) == first.units
    assert first.metrics(ranker)["ndcg@10"] == each["ndcg@10"].mean()
