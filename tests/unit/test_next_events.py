"""Rows that are events of a log: what is told of their past, which part they are in, what the audit marks."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.config import NextEventTask, ShippedSplit, TimeSplit
from pipeline.errors import DataError
from pipeline.past import Log
from pipeline.rows.behaviour.crossings import crossing_checks
from pipeline.rows.behaviour.leaks import audit
from pipeline.rows.kind import CleanTables
from pipeline.views import FEATURES, ROW
from tests.logs import START, TASK, log, prepare


def by_hand(past: pd.DataFrame, domain: str) -> dict[str, Any]:
    """What is told of one past, read event by event."""
    past = past.sort_values("when", kind="stable")
    kinds = [one if one in TASK.events else "other" for one in past["event"]]
    items, times = list(past["item_id"]), list(past["when"])
    found: dict[str, Any] = {f"last_{j}": kinds[-j] if len(kinds) >= j else np.nan for j in (1, 2, 3)}
    found["before"] = len(kinds)
    for kind in (*TASK.events, "other"):
        found[f"{kind}_of_5"], found[f"{kind}_of_20"] = kinds[-5:].count(kind), kinds[-20:].count(kind)
        found[f"{kind}_of_item"] = sum(k == kind and i == items[-1] for k, i in zip(kinds, items, strict=True))
        found[f"since_{kind}"] = kinds[::-1].index(kind) + 1 if kind in kinds else np.nan
    found["own_of_5"] = list(past["domain"])[-5:].count(domain)
    found["item_before"] = items.count(items[-1])
    run = [item == items[-1] for item in items[::-1]]
    found["item_run"] = run.index(False) if False in run else len(run)
    for j in (1, 2):
        found[f"gap_{j}"] = times[-j] - times[-j - 1] if len(times) > j else np.nan
    return found


def one_by_one(log: Log, past: pd.DataFrame, domain: str) -> None:
    """The last events of one row, read from the newest."""
    kinds, newest = [*TASK.events, "share"], past.iloc[::-1].head(20)
    there = len(newest)
    assert log.kind[0, :there].tolist() == [kinds.index(one) for one in newest["event"]]
    assert log.own[0, :there].tolist() == (newest["domain"] == domain).astype(int).tolist()
    assert log.item[0, :there].tolist() == (newest["item_id"] == newest["item_id"].iloc[0]).astype(int).tolist()
    np.testing.assert_allclose(log.gap[0, :there], [*np.diff(past["when"])[::-1], np.nan][:there])
    assert (log.kind[0, there:] == -1).all()


def test_the_past_is_told_as_one_reads_it(tmp_path: Path) -> None:
    """All that lies before an event's own instant in both domains, and nothing else; most rows, read one by one."""
    near, far = log(seed=1), log(seed=2)
    rows = prepare(tmp_path, near, far)
    every = pd.concat([near.assign(domain="near"), far.assign(domain="far")])
    every["when"] = (every["timestamp"] - START).dt.total_seconds()
    seen = 0
    for name, frame in rows.frames.items():
        users = rows.users[rows.user_of(frame["at"].to_numpy())]  # type: ignore[index]
        for user, (place, row) in zip(users, frame.iterrows(), strict=True):
            when = (row["timestamp"] - START).total_seconds()
            past = every[(every["user_id"] == user) & (every["when"] < when)]
            if past.duplicated("when", keep=False).any():  # an order among them, which the next test asks for
                continue
            wanted, seen = by_hand(past, name), seen + 1
            told = {key: row[key] for key in wanted}
            assert told == pytest.approx(wanted, nan_ok=True), (name, user, when)
            one_by_one(rows.before[name].take(np.array([place])), past.sort_values("when"), name)  # type: ignore[union-attr]
    assert seen > 100


def test_events_of_one_instant_do_not_know_each_other(tmp_path: Path) -> None:
    """Each of three sees the one before them; what comes after sees all, by item and kind."""
    seconds = [0, 60, 60, 60, 120]
    one = pd.DataFrame({"user_id": "u", "item_id": ["a", "c", "b", "b", "a"],
                        "event": ["view", "cart", "purchase", "view", "cart"], "split": "train",
                        "timestamp": START + pd.to_timedelta(seconds, unit="s")})  # fmt: skip
    found = []
    for turn, frame in enumerate((one, one.iloc[::-1])):
        rows = prepare(tmp_path / str(turn), frame, split=ShippedSplit(kind="shipped"))
        found.append(rows.frames["near"].sort_values(["timestamp", "event"]).drop(columns=["place", "at"]))
    assert found[0]["before"].tolist() == [1, 1, 1, 4]
    assert found[0]["last_1"].tolist()[:3] == ["view"] * 3
    assert found[0]["gap_1"].isna().tolist() == [True, True, True, False]
    pd.testing.assert_frame_equal(*(one.reset_index(drop=True) for one in found))


def test_the_future_changes_nothing(tmp_path: Path) -> None:
    """Rows up to an instant are told the same whether or not either log goes on."""
    near, far = log(seed=3), log(seed=4)
    border = START + pd.Timedelta(seconds=1000)
    early = [one[one["timestamp"] < border] for one in (near, far)]
    whole, cut = prepare(tmp_path / "whole", near, far), prepare(tmp_path / "cut", *early)
    told = list(TASK.examples.features)
    for name in ("near", "far"):
        all_rows = whole.frames[name].set_index("row_id")
        some = cut.frames[name].set_index("row_id")
        assert len(some) > 50
        pd.testing.assert_frame_equal(some[told], all_rows.loc[some.index, told])


def test_a_hash_never_divides_a_user_and_time_does(tmp_path: Path) -> None:
    """Shares come out, the order of the rows is nothing, and by time each part is after the one before."""
    frame = log(300)
    rows = prepare(tmp_path / "hash", frame)
    found = rows.frames["near"]
    assert found.groupby("component")["part"].nunique().max() == 1
    assert (found["part"].value_counts(normalize=True) - [0.5, 0.3, 0.2]).abs().max() < 0.03
    shuffled = prepare(tmp_path / "shuffled", frame.sample(frac=1, random_state=1)).frames["near"]
    pd.testing.assert_frame_equal(found.drop(columns="at"), shuffled.drop(columns="at"))
    timed = prepare(tmp_path / "time", frame, log(300, seed=5), split=TimeSplit(kind="time", valid=0.2, test=0.3))
    near = timed.frames["near"]
    spans = near.groupby("part")["timestamp"].agg(["min", "max"])
    assert (spans["min"].iloc[1:].to_numpy() > spans["max"].iloc[:-1].to_numpy()).all()
    assert near.groupby("component")["part"].nunique().max() == 3
    assert timed.frames["far"]["timestamp"].max() < spans.loc[1, "min"]  # a source teaches nothing from later on
    assert len(timed.logs.kind) == len(frame) + len(log(300, seed=5))  # type: ignore[union-attr]  what happened is past


@pytest.mark.parametrize("stratified", [False, True])
def test_thinning_takes_whole_users(tmp_path: Path, stratified: bool) -> None:
    """What a smaller share keeps, a larger one keeps too; the test stays."""
    frame, kept = log(300), {}
    for share in (0.3, 0.6, 1.0):
        found = prepare(tmp_path / str(share), frame, share=share, stratified=stratified).frames["near"]
        known = found[found["part"] < 2]
        assert found.loc[found["part"] == 2, "kept"].all()
        if not stratified:
            assert known.groupby("component")["kept"].nunique().max() == 1
            assert abs(known.groupby("component")["kept"].first().mean() - share) < 0.1
        kept[share] = set(found.loc[found["kept"], "row_id"])
    assert kept[0.3] < kept[0.6] < kept[1.0]


def test_views_have_users_as_units(tmp_path: Path) -> None:
    """The unit is the user; classes are the kinds that are named; what a user did last stands in words."""
    rows = prepare(tmp_path, log(200), log(200, seed=7))
    view = rows.held_out("test")
    assert rows.units == "users"
    assert view.label.classes == ("cart", "purchase", "view")
    assert view.rows["unit"].nunique() < len(view)
    table = view.fields[FEATURES].table
    assert rows.recent(view, 2) == [
        tuple(one for one in pair if isinstance(one, str))
        for pair in zip(table["last_1"], table["last_2"], strict=True)
    ]
    names = rows.named(view)
    assert names.is_unique
    assert rows.frames["near"].loc[view.rows[ROW], "row_id"].tolist() == names.tolist()


def test_the_audit_marks_what_is_there_twice_and_what_training_comes_after(tmp_path: Path) -> None:
    """One log under both names is marked row by row; users who are divided by hash are later in a source."""
    frame = log(100, seed=8)
    clean = prepare(tmp_path / "clean", frame, log(100, seed=9).assign(user_id=lambda one: "other " + one["user_id"]))
    assert audit(clean)[1]["domains"]["near"]["kinds"] == {"repeated": 0, "later": 0, "unseen": 0}
    twice = prepare(tmp_path / "twice", frame, frame)
    marks, report = audit(twice)
    near = report["domains"]["near"]
    train = twice.frames["far"]
    keys = ["timestamp", "event"]
    ids = {name: twice.users[twice.user_of(one["at"].to_numpy())] for name, one in twice.frames.items()}  # type: ignore[index]
    known = set(zip(ids["far"], *(train[key] for key in keys), strict=True))
    test = twice.frames["near"][twice.frames["near"]["part"] == 2]
    wanted = [one in known for one in zip(ids["near"][test.index], *(test[key] for key in keys), strict=True)]
    assert near["test_rows"] == len(test)
    assert near["kinds"]["repeated"] == sum(wanted) > 0.8 * len(test)
    assert near["marked"] == marks.loc[(marks["domain"] == "near") & marks["row"].isin(test.index), "row"].nunique()
    last = pd.Series(train["timestamp"].to_numpy(), index=ids["far"]).groupby(level=0).max()
    later = (last.reindex(ids["near"][test.index]).to_numpy() > test["timestamp"].to_numpy()).sum()
    assert near["kinds"]["later"] == later > 0
    timed = prepare(tmp_path / "time", frame, frame, split=TimeSplit(kind="time", valid=0.2, test=0.3))
    assert audit(timed)[1]["domains"]["near"]["kinds"] == {"repeated": 0, "later": 0, "unseen": 0}


def test_a_kind_without_a_training_row_is_marked(tmp_path: Path) -> None:
    """Unless the scenario expects it."""
    frame, split = log(200), TimeSplit(kind="time", valid=0.1, test=0.2)
    rows = prepare(tmp_path / "before", frame, split=split).frames["near"]
    begins = rows.loc[rows["part"] == 2, "timestamp"].min()
    frame.loc[(frame["timestamp"] < begins) & (frame["event"] == "purchase"), "event"] = "view"
    rows = prepare(tmp_path / "after", frame, split=split)
    test = rows.frames["near"][rows.frames["near"]["part"] == 2]
    kinds = audit(rows)[1]["domains"]["near"]["kinds"]
    assert kinds["unseen"] == (test["event"] == "purchase").sum() > 0
    assert audit(rows, cold_start=True)[1]["domains"]["near"]["kinds"]["unseen"] == 0


def test_positions_order_a_log_as_well(tmp_path: Path) -> None:
    """Then no gap is told; where one table has times alone and the other positions, nothing can be compared."""
    frame = log(60)
    placed = frame.assign(position=frame.groupby("user_id")["timestamp"].rank(method="first").astype(int))
    placed = placed.drop(columns="timestamp")
    rows = prepare(tmp_path / "placed", placed)
    assert rows.frames["near"][["gap_1", "gap_2"]].isna().all(axis=None)
    counts = Counter(rows.frames["near"]["before"])
    assert counts[1.0] > 0
    with pytest.raises(DataError, match="what follows in a log needs its order, but the tables of far, near do not"):
        prepare(tmp_path / "both", placed, frame)
    with pytest.raises(DataError, match="near: interactions: what follows in a log needs its order, and there is"):
        prepare(tmp_path / "none", placed.drop(columns="position"))
    with pytest.raises(DataError, match="the split 'time' needs the column 'timestamp'"):
        prepare(tmp_path / "time", placed, split=TimeSplit(kind="time"))


def test_a_row_without_the_order_that_domains_share_is_refused(tmp_path: Path) -> None:
    """A time is no help where the other table has positions: such a row would know the whole log."""
    near, far = log(40), log(40, seed=1).drop(columns="timestamp")
    near["position"], far["position"] = pd.array(range(len(near)), dtype="Int64"), range(len(far))
    near.loc[::3, "position"] = pd.NA
    with pytest.raises(DataError, match=f"near: interactions: {near['position'].isna().sum()} rows have a timestamp"):
        prepare(tmp_path, near, far)


def test_one_kind_alone_cannot_be_judged(tmp_path: Path) -> None:
    """The message says of which part and what to do."""
    with pytest.raises(DataError, match=r"events for validation are all 'view', so that nothing .* bring more rows"):
        prepare(tmp_path, log(50).assign(event="view"))


@pytest.mark.parametrize(
    ("events", "told"),
    [(("view",), "at least 2 items"), (("view", "view"), "more than once"), (("view", "other"), "call it otherwise"),
     (("view", "add to cart"), "match pattern")],
)  # fmt: skip
def test_kinds_that_cannot_be_told_apart_are_refused(events: tuple[str, ...], told: str) -> None:
    """When the scenario is read."""
    with pytest.raises(ValueError, match=told):
        NextEventTask(kind="next_event", events=events)


def checked(near: pd.DataFrame, far: pd.DataFrame | None, **more: Any) -> dict[str, tuple[str, str]]:
    """Rule -> (severity, figure) of the checks on both domains that fail."""
    settings: Any = SimpleNamespace(
        task=TASK, sources=() if far is None else ("far",), target="near", quarantine_limit=0.2,
        bridges=more.get("bridges", ("features",)),
    )  # fmt: skip
    given = {"near": near} if far is None else {"far": far, "near": near}
    domains = {name: CleanTables({"interactions": one}, 0.0) for name, one in given.items()}
    figures, checks = crossing_checks(settings, domains)
    found = {}
    for check in checks:
        value, bounds = float(figures[check.arguments["column"]].iloc[0]), check.arguments
        if not bounds.get("min_value", -np.inf) <= value <= bounds.get("max_value", np.inf):
            found[check.rule] = check.severity, check.arguments["column"]
    return found


def test_domains_are_looked_at_together() -> None:
    """Kinds that a domain lacks, users that are not in common, and one user in half of the rows."""
    near, far = log(100, seed=1), log(200, seed=2)
    assert checked(near, far, bridges=("users", "features")) == {}
    assert checked(near, far.replace({"event": {"purchase": "buy"}})) == {
        "kinds_in_common": ("warning", "share of the kinds of event of near that a source has")
    }
    named = checked(near.replace({"event": {"cart": "basket", "purchase": "buy"}}), far)
    assert named == {"kinds": ("critical", "kinds of event of near that the scenario names")}
    strange = checked(near.assign(user_id="x" + near["user_id"]), far, bridges=("users", "features"))
    assert strange["bridge_users"][0] == "critical"
    busy = pd.concat([near, pd.concat([near] * 2).assign(user_id="robot")])
    assert checked(busy, pd.concat([far] * 2))["one_id_in_many_rows"][0] == "warning"
    assert checked(near, None) == {}  # a model stands for the source


def test_a_domain_without_a_kind_still_teaches_the_others(tmp_path: Path) -> None:
    """The classes are those of all domains; the rows of the poorer one are of its own kinds."""
    rows = prepare(tmp_path, log(100), log(100, seed=1).replace({"event": {"purchase": "share"}}))
    views = rows.training()
    assert views["far"].label.classes == views["near"].label.classes == ("cart", "purchase", "view")
    assert set(np.unique(views["far"].label.value)) == {0, 2}
    assert set(np.unique(views["near"].label.value)) == {0, 1, 2}
