"""What may be known of a user when a row is predicted, where rows of several domains have one order."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.rows.interactions.prepared import DomainData, Domains

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


def test_an_order_survives_the_package(tmp_path: Path):
    """What serves reads a known user's events in the order in which the model was judged; a request's come last."""
    from pipeline.rows.interactions.served import _read_histories, _write_histories

    domains = Domains((GAMES,), TOYS)
    _write_histories(tmp_path, domains)
    users, past = _read_histories(tmp_path, {one.name: one.items for one in domains.all})
    place = [users.get_loc("ann")]
    names = ("games", "toys")
    for one, other in ((past.of(place), domains.histories(("train", "valid")).of([domains.users.get_loc("ann")])),):
        assert one.in_order(names).items.tolist() == other.in_order(names).items.tolist()
    asked = past.of(place).adding("toys", np.array([0, 0]), np.array([3, 0]), past.of(place).latest()[[0, 0]] + [1, 2])
    assert asked.in_order(names).items.tolist()[-2:] == [3, 0]  # t4, and t1 once more
