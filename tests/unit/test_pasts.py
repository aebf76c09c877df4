"""What may be known of a user when a row is predicted, where rows of several domains have one order."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.rows.interactions.pasts import kind_codes, seconds
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.rows.interactions.served import _read_histories, _write_histories

PARTS = {"train": 0, "valid": 1, "test": 2}


def domain(name: str, rows: list[tuple[str, str, object, str]], order: str = "position") -> DomainData:
    """A domain of rows written as (user, item, when, part)."""
    table = pd.DataFrame(rows, columns=["user_id", "item_id", order, "part"])
    table["part"] = table["part"].map(PARTS)
    return DomainData.build(name, table, None, 1.0)


# Ann's games: the last before her toys' test row is held out itself, one is later than it.
GAMES = domain("games", [
    ("ann", "g1", 0, "train"), ("ann", "g2", 3, "train"), ("ann", "g3", 5, "train"), ("ann", "g4", 7, "test"),
    ("ann", "g5", 9, "valid"), ("bob", "g1", 4, "train"), ("eve", "g1", 1, "train"), ("eve", "g2", 90, "train"),
])  # fmt: skip
TOYS = domain("toys", [
    ("ann", "t1", 1, "train"), ("ann", "t2", 2, "train"), ("ann", "t3", 4, "valid"), ("ann", "t4", 8, "test"),
    ("bob", "t3", 1, "train"), ("bob", "t1", 2, "valid"), ("bob", "t2", 3, "test"), ("eve", "t4", 5, "train"),
])  # fmt: skip


def known(part: str, user: str) -> list[str]:
    """The items that a user's rows of a part are predicted from, in order."""
    domains = Domains((GAMES,), TOYS)
    past = domains.held_out(part).fields["past"].of([domains.users.get_loc(user)])
    line = past.in_order(("games", "toys"))
    ids = [one.items["item_id"].to_numpy(dtype=object) for one in (GAMES, TOYS)]
    return [str(ids[name][item]) for name, item in zip(line.domains, line.items, strict=True)]


@pytest.mark.parametrize(
    ("part", "user", "expected"),
    [
        ("valid", "ann", ["g1", "t1", "t2", "g2"]),
        ("test", "ann", ["g1", "t1", "t2", "g2", "t3", "g3"]),  # not g4, which is held out, and not g5, which is later
        ("valid", "bob", ["t3"]),
        ("test", "bob", ["t3", "t1"]),
        ("test", "eve", ["g1", "t4", "g2"]),  # nothing of hers is judged
    ],
)
def test_nothing_later_than_the_judged_row_is_known(part, user, expected):
    """In no domain, and nothing that is held out in another one."""
    assert known(part, user) == expected


def test_without_one_order_nothing_is_left_out():
    """Times here and positions there cannot be compared: what is known has no order, and is all there is."""
    timed = domain("games", [("ann", "g1", pd.Timestamp("2030-01-01", tz="UTC"), "train")], "timestamp")
    past = Domains((timed,), TOYS).held_out("test").fields["past"]
    assert past.when == {}
    assert past["games"].nnz == 1


def test_a_split_that_is_not_by_time_keeps_its_past():
    """Where rows of the target itself are known that are later than the judged one, so are those of the sources."""
    toys = domain("toys", [("ann", "t1", 1, "test"), ("ann", "t2", 8, "train"), ("ann", "t1", 0, "train")])
    domains = Domains((GAMES,), toys)
    past = domains.held_out("test").fields["past"].of([domains.users.get_loc("ann")])
    assert past.in_order(("games", "toys")).items.tolist() == [0, 0, 1, 2, 1]  # t1 g1 g2 g3 t2, without g5


def test_missing_times_come_first():
    """What has no time is known, and stands before all that has one."""
    times = pd.to_datetime(["2024-05-01", None, "2024-04-01"], utc=True)
    rows = [("ann", item, when, "train") for item, when in zip(("a", "b", "c"), times, strict=True)]
    domains = Domains((), domain("shop", rows, "timestamp"))
    past = domains.histories()
    assert past.in_order(["shop"]).items.tolist() == [1, 2, 0]
    assert np.all(past.when["shop"].data >= 1)


def log(name: str, rows: list[tuple[str, str, str | None, str | None, str]]) -> DomainData:
    """A domain of rows written as (user, item, time, kind of event, part)."""
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "event", "part"])
    table["part"], table["timestamp"] = table["part"].map(PARTS), pd.to_datetime(table["timestamp"], utc=True)
    return DomainData.build(name, table, None, 1.0)


NEWS = log("news", [
    ("ann", "n1", "2030-01-01T00:00:00", "view", "train"), ("ann", "n2", "2030-01-01T02:00:00", None, "train"),
    ("ann", "n3", "2030-01-01T05:00:00", "view", "train"), ("bob", "n1", None, "share", "train"),
])  # fmt: skip
SHOP = log("shop", [
    ("ann", "s1", "2030-01-01T01:00:00", "buy", "train"), ("ann", "s2", "2030-01-01T04:00:00", "buy", "test"),
    ("ann", "s1", "2030-01-01T04:30:00", "view", "test"), ("ann", "s3", "2030-01-01T03:00:00", "view", "valid"),
    ("bob", "s2", "2030-01-02T00:00:00", "", "train"), ("eve", "s3", "2030-01-02T00:00:00", "view", "train"),
])  # fmt: skip
HOUR = 3600.0


@pytest.mark.parametrize(("part", "hours"), [("valid", 3), ("test", 4)])
def test_a_user_is_asked_for_when_the_first_judged_row_was(part: str, hours: int) -> None:
    """Of several judged rows of a user the first decides; whoever has none is not asked for at any time."""
    domains = Domains((NEWS,), SHOP)
    past = domains.held_out(part).fields["past"]
    begin = seconds(pd.Series(pd.to_datetime(["2030-01-01"], utc=True)))[0]
    asked = pd.Series(past.asked, index=domains.users)
    assert asked["ann"] - begin == hours * HOUR
    assert asked[["bob", "eve"]].isna().all()
    line = past.of([domains.users.get_loc("ann")]).in_order(("news", "shop"))
    assert (line.times <= asked["ann"]).all()
    assert np.diff(line.times).tolist() == [HOUR] * (2 if part == "valid" else 3)


def test_positions_are_no_times() -> None:
    """A gap between positions would tell of what is held out between them."""
    past = Domains((GAMES,), TOYS).held_out("test").fields["past"]
    assert past.asked is None
    assert np.isnan(past.in_order(("games", "toys")).times).all()


def test_kinds_are_those_of_the_last_row_and_the_same_everywhere() -> None:
    """An item that was bought and later looked at was looked at; one without a kind, and an empty one, have none."""
    shop = log("shop", [
        ("ann", "s1", "2030-01-01", "buy", "train"), ("ann", "s1", "2030-01-02", "view", "valid"),
        ("ann", "s2", "2030-01-03", None, "train"), ("ann", "s3", "2030-01-04", "", "train"),
        ("ann", "s4", "2030-01-05", "buy", "train"),
    ])  # fmt: skip
    line = Domains((), shop).histories(("train", "valid")).in_order(["shop"])
    view, buy = kind_codes(pd.Series(["view", "buy"]))
    assert line.items.tolist() == [0, 1, 2, 3]
    assert line.kinds.tolist() == [view, 0, 0, buy]
    assert {view, buy} == {*kind_codes(pd.Series(["buy", "view", "buy"]))}
    assert len({0, view, buy}) == 3


def test_times_and_kinds_survive_the_package(tmp_path: Path) -> None:
    """What serves reads the same of a known user; what has no time has none there."""
    domains = Domains((NEWS,), SHOP)
    _write_histories(tmp_path, domains)
    users, past = _read_histories(tmp_path, {one.name: one.items for one in domains.all})
    known = domains.known()
    assert past.timed
    for user in users:
        one = past.of([users.get_loc(user)]).in_order(("news", "shop"))
        other = known.of([domains.users.get_loc(user)]).in_order(("news", "shop"))
        for name in ("domains", "items", "times", "kinds"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_an_order_survives_the_package(tmp_path: Path):
    """What serves reads a known user's events in the order in which the model was judged; a request's come last."""
    domains = Domains((GAMES,), TOYS)
    _write_histories(tmp_path, domains)
    users, past = _read_histories(tmp_path, {one.name: one.items for one in domains.all})
    place = [users.get_loc("ann")]
    names = ("games", "toys")
    for one, other in ((past.of(place), domains.histories(("train", "valid")).of([domains.users.get_loc("ann")])),):
        assert one.in_order(names).items.tolist() == other.in_order(names).items.tolist()
    asked = past.of(place).adding("toys", np.array([0, 0]), np.array([3, 0]), past.of(place).latest()[[0, 0]] + [1, 2])
    assert asked.in_order(names).items.tolist()[-2:] == [3, 0]  # t4, and t1 once more
