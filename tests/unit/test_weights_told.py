"""What of weights and answers is refused, and what a person is told of them."""

import logging

import pandas as pd
import pytest

from pipeline.config import RankingTask, RowWeight, ShippedSplit
from pipeline.errors import DataError
from pipeline.rows.empty import refuse_empty
from tests.unit.test_weights import BY_EVENT, EVENTS, LOG, RATINGS, TIME, parted


@pytest.mark.parametrize(
    ("task", "frame", "message"),
    [
        ({"weight": {"event": {"view": 1, "cart": 2, "purchse": 3}}}, LOG,
         r"^shop: interactions: 8 rows have the event 'purchase', which task.weight.event does not name. Did you mean "
         r"'purchse'\? Say what each event counts"),
        ({"relevant": {"event": ["purchse"]}}, LOG,
         r"shop: interactions: task.relevant.event names 'purchse', but no row has this event. Did you mean "
         r"'purchase'\? There are: cart, purchase, view"),
        ({"weight": {"rating": RATINGS}}, LOG.drop(columns="value"),
         r"task.weight.rating looks at the column 'value', but no row of shop has a value in it.*`constants: {value: "),
        ({"weight": {"event": EVENTS}}, LOG.assign(event=None), r"task.weight.event looks at the column 'event'"),
        ({"relevant": {"event": ["purchase"]}}, LOG.assign(event=None),
         r"task.relevant.event looks at the column 'event'"),
        ({"weight": {"half_life_days": 9}}, LOG.assign(split="train").drop(columns="timestamp"),
         r"task.weight.half_life_days looks at the column 'timestamp'"),
        ({"weight": {"event": dict.fromkeys(EVENTS, 0)}}, LOG.dropna(subset="event"),
         r"shop: interactions: all \d rows for training have the weight 0.*Correct task.weight"),
    ],
)  # fmt: skip
def test_what_cannot_be_weighed_is_refused(task, frame, message):
    """With the table, the setting, the near miss and what to do."""
    split = TIME if "timestamp" in frame else ShippedSplit(kind="shipped")
    with pytest.raises(DataError, match=message):
        parted(frame, split=split, **task)


@pytest.mark.parametrize(
    "weight",
    [{"event": {"view": -1}}, {"event": {"view": float("nan")}}, {"event": {"view": "much"}}, {"rating": {"five": 1}},
     {"rating": {float("nan"): 1}}, {"rating": {1: float("inf")}}, {"half_life_days": 0}, {"half_life": 3}],
)  # fmt: skip
def test_a_weight_is_a_number_from_nothing_on(weight):
    """Anything else is refused where the scenario is read."""
    with pytest.raises(ValueError, match=r"greater than|finite|valid number|not permitted"):
        RowWeight.model_validate(weight)


def test_a_part_without_answers_says_so():
    """What the split held out, and which setting leaves nothing of it."""
    viewed = LOG.assign(event=LOG["event"].where(LOG.index < 8, "view"))
    parts = parted(viewed, relevant={"event": ["purchase"]})
    with pytest.raises(DataError, match=r"test: none of the 3 rows .* task.relevant names.*`split` or `task.relevant`"):
        refuse_empty("shop", parts, ("train", "valid", "test"), TIME)


def test_the_first_row_of_a_view_and_a_purchase_is_told(caplog):
    """Only where events or ratings matter, and rows repeat."""
    with caplog.at_level(logging.WARNING, "pipeline"):
        parted(LOG, **BY_EVENT)
        assert "shop: 6 rows repeat a user and an item" in caplog.text
        caplog.clear()
        parted(LOG, duplicates="sum", **BY_EVENT)
        parted(LOG)
        parted(LOG, weight={"half_life_days": 3})
    assert not caplog.records


def test_a_column_that_a_setting_looks_at_must_be_there():
    """The kinds of table say so, so that reading and checking refuse a file without it and name the setting."""
    from pipeline.config import FileTable
    from pipeline.data.mapping import Mapper
    from pipeline.tasks.tables import tables_of

    task = RankingTask.model_validate({"weight": {"rating": RATINGS}, "relevant": {"event": ["purchase"]}})
    kind = tables_of(task)["interactions"]
    assert kind.required == ("user_id", "item_id", "domain", "event", "value")
    spec = FileTable(path="log.csv", columns={"event": "action"}, constants={"domain": "shop"})
    with pytest.raises(DataError, match=r"log.csv: column 'value', needed for value by task.weight.rating, is missing"):
        Mapper(kind, spec).choose(["user_id", "item_id", "action", "stars"], "log.csv")
    assert tables_of(RankingTask())["interactions"].required == ("user_id", "item_id", "domain")


def test_tables_hang_on_the_columns_alone():
    """Another number reads no table again; a column more does, and the settings that ask stay the same."""
    task = RankingTask.model_validate({"weight": {"rating": RATINGS}, "relevant": {"event": ["purchase"]}})
    other = RankingTask.model_validate({"weight": {"rating": {5: 2}}, "relevant": {"event": ["cart"]},
                                        "min_rows": {"users": 3}, "metric": "mrr"})  # fmt: skip
    assert other.as_tables() == task.as_tables()
    assert other.as_rows() != task.as_rows()
    assert task.as_tables().asks_for == task.asks_for == other.asks_for
    more = RankingTask.model_validate({**task.model_dump(), "weight": {"rating": RATINGS, "half_life_days": 9}})
    assert more.as_tables() != task.as_tables()
    assert more.as_tables().asks_for == more.asks_for == {**task.asks_for, "timestamp": "task.weight.half_life_days"}
    assert RankingTask().as_tables() == RankingTask()


def test_a_check_says_what_to_write_for_it(tmp_path):
    """The first rows of the file are held against the task, and the column that looks like a rating is pointed out."""
    from pipeline.config import Tables
    from pipeline.data.looking.checking import check_tables
    from pipeline.tasks.tables import tables_of

    task = RankingTask.model_validate({"weight": {"rating": RATINGS}})
    rows = pd.DataFrame({"user_id": ["a", "b", "c"] * 5, "item_id": ["x", "y", "z"] * 5, "rating": [1, 4, 5] * 5})
    rows.to_csv(tmp_path / "log.csv", index=False)
    for spec, problems in (({}, 1), ({"columns": {"value": "rating"}}, 0)):
        tables = Tables.model_validate({"interactions": [{"path": "log.csv", "constants": {"domain": "d"}, **spec}]})
        found = check_tables(tables, lambda kind: tables_of(task)[kind], tmp_path.resolve(), ())
        assert len(found.problems) == problems
        assert all("needed for value by task.weight.rating" in one for one in found.problems)
        assert all("`columns: {value: rating}`" in one for one in found.problems)
