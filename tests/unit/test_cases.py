"""The cases that a report shows: who is drawn, what is told of them, and what is not."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import pipeline.models.load
from pipeline.config import RankingTask
from pipeline.evaluation.asking import Asked, show
from pipeline.evaluation.cases import Cases
from pipeline.labels.items import Items
from pipeline.past import Past
from pipeline.steps.showing import show_cases
from pipeline.views import PAST, ROW, UNIT, ItemLabel, NumberLabel, View

USERS, EACH = 30, 2
ITEMS = 8


class Favourite:
    """Says one item first, then the catalogue in its order."""

    def __init__(self, item: int) -> None:
        self.item = item

    def scores(self, histories: Mapping[str, Any]) -> np.ndarray:
        rows, items = histories["b"].shape
        table = np.tile(-np.arange(items, dtype=np.float32), (rows, 1))
        table[:, self.item] = 1
        return table


def held_out(order: np.ndarray | None = None, marked: tuple[int, ...] = (), personal: tuple[str, ...] = ("user_id",)):
    """Test rows of 30 users with two items each, in any order; the users' ids are not their places."""
    order = np.arange(USERS * EACH) if order is None else order
    users, items = np.repeat(np.arange(USERS), EACH)[order], np.tile([1, 2], USERS)[order]
    catalogue = pd.DataFrame({"item_id": [f"i{at}" for at in range(ITEMS)]})
    past = sparse.csr_matrix((USERS, ITEMS))
    rows = View("b", pd.DataFrame({ROW: order, UNIT: users}), {PAST: Past({"b": past})},
                (ItemLabel(items, catalogue, past),))  # fmt: skip
    prepared = SimpleNamespace(
        named=lambda view: pd.MultiIndex.from_arrays(
            [[f"anna{user}@example.com" for user in view.units], view.label.value]
        ),
        recent=lambda view, most: [(f"last of {user}",) for user in view.units],
    )
    return SimpleNamespace(
        rows=rows, prepared=prepared, unmarked=~np.isin(users, marked), label=Items(RankingTask()),
        scenario=SimpleNamespace(personal=personal),
    )  # fmt: skip


def shown(test: Any, **more: Any) -> Cases:
    return show(test, Asked("before", Favourite(1), **more), Asked("after", Favourite(2)))


def hashed(what: str, user: int) -> str:
    return hashlib.sha256(f"{what} anna{user}@example.com".encode()).hexdigest()


def test_rows_of_users_are_told_as_rows() -> None:
    """Where each row is named by itself there are more of them than users, and the page says which it counts."""
    test = held_out()
    assert not shown(test).by_row
    test.prepared.named = lambda view: pd.Index([f"event {row}" for row in view.rows[ROW]])
    found = shown(test)
    assert (found.drawn_from, found.by_row) == (USERS * EACH, True)


def test_ten_are_drawn_by_their_hash() -> None:
    """Those whose hash comes first, whatever order the rows have; marked users are not among them."""
    first = sorted(range(USERS), key=lambda user: hashed("draw", user))[:11]
    found = shown(held_out())
    assert [case.name for case in found.cases] == [hashed("name", user)[:8] for user in first[:10]]
    assert [case.recent for case in found.cases] == [(f"last of {user}",) for user in first[:10]]
    shuffled = shown(held_out(np.random.default_rng(0).permutation(USERS * EACH)))
    assert [case.name for case in shuffled.cases] == [case.name for case in found.cases]
    without = shown(held_out(marked=(first[0],)))
    assert [case.name for case in without.cases] == [hashed("name", user)[:8] for user in first[1:11]]
    assert (found.drawn_from, without.drawn_from) == (USERS, USERS - 1)


def test_a_case_has_all_that_happened_and_both_answers() -> None:
    """Both items of a user, and five items of each model, whose first are told apart."""
    for case in shown(held_out()).cases:
        assert [one.key for one in case.truth] == ["i1", "i2"]
        assert [one.key for one in case.before or ()] == ["i1", "i0", "i2", "i3", "i4"]
        assert [one.key for one in case.after] == ["i2", "i0", "i1", "i3", "i4"]


def test_no_id_is_told() -> None:
    """Neither the user's nor any part of it, in nothing that is written."""
    assert "anna" not in shown(held_out()).model_dump_json()


@pytest.mark.parametrize("column", ["title", "item_id", "item"])
def test_what_is_personal_is_not_shown(column: str) -> None:
    """Where a column that is shown is personal, there are no cases."""
    assert shown(held_out(personal=("user_id", column))) == Cases()


def test_a_further_label_that_is_personal_is_not_shown() -> None:
    """All labels of a row are told, and not the gated one alone."""
    test = held_out(personal=("user_id", "income"))
    further = NumberLabel(np.arange(USERS * EACH, dtype=np.float64), "income")
    test.rows = replace(test.rows, labels=(*test.rows.labels, further))
    assert shown(test) == Cases()


def test_what_the_champion_has_learnt_from_is_no_answer() -> None:
    """One learnt row of a user hides what the champion says of the user, and of nobody else."""
    test = held_out()
    first = min(range(USERS), key=lambda user: hashed("draw", user))
    learnt = (test.rows.units == first) & (test.rows.label.value == 2)
    found = shown(test, learnt=learnt).cases
    assert [case.before is None for case in found] == [True] + [False] * 9
    assert found[0].after


def lane(name: str, kind: str = "strategy", oracle: bool = False) -> SimpleNamespace:
    return SimpleNamespace(name=name, kind=kind, oracle=oracle)


@pytest.mark.parametrize(
    ("candidate", "before"),
    [("joint", "target_only (nothing served)"), ("target_only", "ease (nothing served)"), ("chance", "")],
)
def test_where_nothing_served_the_reference_stands_in(
    monkeypatch: pytest.MonkeyPatch, candidate: str, before: str
) -> None:
    """Target-only, or the best baseline where that is the candidate; what is no lane has no cases."""
    monkeypatch.setattr(pipeline.models.load, "load_ranker", Favourite)
    lanes: Any = {name: SimpleNamespace(path=at) for at, name in enumerate(("target_only", "joint", "ease"))}
    comparison: Any = SimpleNamespace(lanes=[lane("joint"), lane("ease", "baseline"), lane("target_only")])
    found = show_cases(held_out(), lanes, comparison, candidate, None)  # type: ignore[arg-type]
    assert (found.before, found.after) == (before, candidate if before else "")
    assert len(found.cases) == (10 if before else 0)


def test_an_oracle_stands_in_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a target without labels target-only knows what nobody has; the best strategy stands in."""
    monkeypatch.setattr(pipeline.models.load, "load_ranker", Favourite)
    compared = [lane("direct"), lane("target_only", oracle=True), lane("ease", "baseline", oracle=True), lane("frozen")]
    lanes: Any = {one.name: SimpleNamespace(path=at) for at, one in enumerate(compared)}
    found = show_cases(held_out(), lanes, SimpleNamespace(lanes=compared), "direct", None)  # type: ignore[arg-type]
    assert found.before == "frozen (nothing served)"
