"""A package of next events: a log means the same in a request as in training, whatever its length."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.config import NextEventTask
from pipeline.errors import ConfigError, DataError, StorageError, UserError
from pipeline.rows.behaviour.prepared import EventRows
from pipeline.rows.behaviour.served import ServedEvents, ServeEvents
from pipeline.rows.kind import PackageInfo
from pipeline.rows.learnt import NOTHING
from pipeline.views import FEATURES, Features
from tests.logs import START, TASK, log, prepare

INFO = PackageInfo(
    scenario="s", lane="l", task="next_event", target="near", sources=("far",), pseudonymous=True, candidate="c",
    data={}, code="1",
)  # fmt: skip


class Keeps:
    """Remembers what it was asked, and says a half of purchase where the last event was one, else of view."""

    classes = ("cart", "purchase", "view")
    asked: Features

    def probabilities(self, features: Features) -> np.ndarray:
        self.asked = features
        bought = (features.table["last_1"] == "purchase").to_numpy()
        return np.where(bought[:, None], [[0.2, 0.5, 0.3]], [[0.2, 0.3, 0.5]])

    def decided(self, probabilities: np.ndarray) -> np.ndarray:
        return probabilities.argmax(axis=1)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> EventRows:
    """Two domains with users in common."""
    return prepare(tmp_path_factory.mktemp("logs"), log(60, seed=1), log(60, seed=2))


@pytest.fixture
def served(rows: EventRows, tmp_path: Path) -> ServedEvents:
    """What was written and read back."""
    ServeEvents().write(tmp_path, rows, NOTHING)
    return ServeEvents().read(tmp_path, INFO, Keeps())


def ask(served: ServedEvents, *requests: dict[str, Any]) -> pd.DataFrame:
    return served.answer(pd.DataFrame(list(requests)), {})


def test_a_log_in_a_request_is_told_as_in_training(tmp_path: Path) -> None:
    """Of a shop alone: each test row, asked about with the log before it, has the features that it was judged by."""
    frame = log(80, seed=3)
    alone = prepare(tmp_path / "rows", frame)
    (tmp_path / "package").mkdir()
    ServeEvents().write(tmp_path / "package", alone, NOTHING)
    served = ServeEvents().read(tmp_path / "package", INFO, Keeps())
    view, known = alone.held_out("test"), alone.frames["near"]
    requests = []
    for place in view.rows["row"]:
        row = known.iloc[place]
        user = alone.users[alone.user_of(np.array([row["at"]]))[0]]  # type: ignore[index]
        past = frame[(frame["user_id"] == user) & (frame["timestamp"] < row["timestamp"])]
        requests.append({"events": list(past["event"]), "items": list(past["item_id"]),
                         "times": [one.isoformat() for one in past["timestamp"]]})  # fmt: skip
    answers = ask(served, *requests)
    assert len(answers) > 50
    assert set(answers["served_from"]) == {"log"}
    wanted, told = view.fields[FEATURES], served.predictor.asked
    pd.testing.assert_frame_equal(told.table, wanted.table)
    for name in ("kind", "gap", "item", "own"):
        np.testing.assert_array_equal(getattr(told.log, name), getattr(wanted.log, name))
    others = [one == "share" for one in [event for request in requests for event in request["events"]]]
    assert answers["unknown"].sum() == sum(others)


def test_a_known_user_has_the_whole_log_of_all_domains(served: ServedEvents, rows: EventRows) -> None:
    """By the id as it stands in the tables; a given log takes its place, and a stranger has none."""
    every = pd.concat([log(60, seed=1).assign(own=True), log(60, seed=2).assign(own=False)])
    own = every[every["user_id"] == "u7"].sort_values("timestamp")
    answers = ask(served, {"user_id": "u7"}, {"user_id": "u7", "events": ["view"]}, {"user_id": "strange"}, {})
    assert answers["served_from"].tolist() == ["known", "log", "nothing", "nothing"]
    assert answers["user_id"].tolist()[:3] == ["u7", "u7", "strange"]
    told = served.predictor.asked
    assert told.table["before"].tolist() == [len(own), 1, 0, 0]
    assert told.table["own_of_5"].tolist() == [own["own"].tail(5).sum(), 1, 0, 0]
    assert told.table["gap_1"].iloc[0] == own["timestamp"].diff().iloc[-1].total_seconds()
    assert served.log["user_id"].nunique() == len(rows.users)  # type: ignore[arg-type]
    assert list(answers) == ["request", "user_id", "event", "probability", "probability_cart", "probability_purchase",
                             "probability_view", "served_from", "unknown"]  # fmt: skip
    np.testing.assert_allclose(answers[[f"probability_{one}" for one in Keeps.classes]].sum(axis=1), 1)


def test_logs_of_any_length_are_answered(served: ServedEvents) -> None:
    """100,000 events, one, of kinds that nobody knows, of unknown items, without items or times, of one instant."""
    many = {"events": ["view"] * 99_999 + ["purchase"], "items": ["new"] * 100_000}
    instant = {"events": ["view", "cart"], "items": ["b", "a"], "times": [START.isoformat()] * 2}
    answers = ask(served, many, {"events": ["purchase"]}, {"events": ["share", "leave"]}, instant)
    assert answers["event"].tolist() == ["purchase", "purchase", "view", "view"]
    assert answers["unknown"].tolist() == [0, 0, 2, 0]
    table = served.predictor.asked.table
    assert table["before"].tolist() == [100_000, 1, 2, 2]
    assert table["item_run"].tolist()[0] == 100_000
    assert np.isnan(table["item_run"].tolist()[1])
    assert table["gap_1"].isna().tolist() == [True, True, True, False]  # without times none is known
    turned = {**instant, "events": ["cart", "view"], "items": ["a", "b"]}
    ask(served, instant, turned)
    one, other = served.predictor.asked.table.fillna(-1).to_numpy()
    assert one.tolist() == other.tolist()


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"events": ["view", "cart"], "items": ["a"]}, r"items, row 1: expected as many entries as `events` has \(2\)"),
        ({"items": ["a"]}, r"items, row 1: .* \(0\), or none, got 1"),
        (
            {"events": ["view"], "times": ["soon"]},
            "times, row 1: expected times such as 2026-01-31T20:15:00, got 'soon'",
        ),
        ({"events": "view"}, r"events: expected a list of kinds of event in each row, got a string"),
        (
            {"events": ["view", None]},
            "events, row 1: expected a list of kinds of event, and one of its entries is missing",
        ),
        ({"who": "u1"}, "expected one of the columns user_id, events, items, times, got who"),
        ({"user_id": 1.5}, "user_id: expected a text or a whole number"),
    ],
)
def test_what_is_no_request_is_told(served: ServedEvents, request_: dict[str, Any], told: str) -> None:
    """With column and row, and what was expected."""
    with pytest.raises(DataError, match=told):
        ask(served, request_)


def test_examples_are_answered(served: ServedEvents) -> None:
    """Each way of being served is shown."""
    answers = ask(served, *served.examples())
    assert answers["served_from"].tolist() == ["known", "log", "nothing"]


def test_another_night_s_rows_are_met_by_name(served: ServedEvents, rows: EventRows, tmp_path: Path) -> None:
    """What was learnt from is known again; another target, or other kinds, is another model."""
    assert served.on(rows) is served.predictor
    assert not served.learnt.knows(rows, rows.held_out("test")).any()
    assert served.learnt.knows(rows, rows.held_out("valid")).all()
    with pytest.raises(ConfigError, match="now names 'far', but the model that serves is of 'near'"):
        served.on(rows.each_placed()[1])
    path = tmp_path / "task.json"
    other = NextEventTask(kind="next_event", events=("view", "leave"))
    path.write_text(json.dumps({"task": other.model_dump(), "features": list(other.examples.features)}))
    with pytest.raises(ConfigError, match=r"task\.events: s now names other kinds of event"):
        ServeEvents().read(tmp_path, INFO, Keeps()).on(rows)
    assert TASK.events == ("view", "cart", "purchase")
    path.write_text(json.dumps({"task": other.model_dump(), "features": ["last_1"]}))
    with pytest.raises(StorageError, match="another version told other things of a log"):
        ServeEvents().read(tmp_path, INFO, Keeps())
    path.write_text("{}")
    with pytest.raises(StorageError, match="expected a package of a served model"):
        ServeEvents().read(tmp_path, INFO, Keeps())


def test_for_other_events_it_is_no_source(served: ServedEvents) -> None:
    """What it reads of a log is made of their names, which a scenario writes under `events` and nowhere else."""
    other = NextEventTask(kind="next_event", events=("view", "return"))
    with pytest.raises(UserError, match=r"it tells view, cart, purchase apart; write task\.events as that"):
        served.carried(other)
