"""Tables of examples as people deliver them, from the file to the parts: what is refused, and what is no matter."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.config import Options, Scenario
from pipeline.errors import DataError, RefusedError
from pipeline.folders import Home
from pipeline.results import AUDIT, CLEAN, INGEST, PREPARE
from pipeline.runs.account import accounts
from pipeline.runs.run import Run
from pipeline.steps.audit import audit
from pipeline.steps.ingest import ingest
from pipeline.steps.prepare import prepare
from pipeline.steps.validate import validate

pytestmark = pytest.mark.slow
Deliver = Callable[..., Run]


def table(count: int = 200, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame({
        "shop": random.choice(["old", "new"], count), "order": [f"o{number}" for number in range(count)],
        "total": random.lognormal(3, 1, count).round(2), "paid_by": random.choice(["card", "cash"], count),
        "returned": random.random(count) < 0.3,
    })  # fmt: skip


def scenario(**changes: Any) -> Scenario:
    return Scenario.model_validate({
        "name": "returns", "title": "Which orders come back", "sources": ["far"], "target": "near",
        "bridges": ["features"], "pseudonymous": True, "split": {"kind": "hash", "test": 0.3},
        "tables": {"examples": [{"path": "*.csv", "columns": {"domain": "shop", "row_id": "order"},
                                 "domains": {"far": "old", "near": "new"}}]},
        "task": {"kind": "binary", "label": "returned", "features": {"total": "number", "paid_by": "category"}},
        "strategies": [{"tune": {"kind": "scratch"}}], "baselines": [{"kind": "linear"}],
    } | changes)  # fmt: skip


@pytest.fixture
def deliver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deliver:
    """Give a function that writes tables and takes a run of them as far as ingest."""
    monkeypatch.setenv("CROSSLIFT_DATA", str(tmp_path))

    def delivered(*tables: pd.DataFrame, home: str = "home", **changes: Any) -> Run:
        for number, one in enumerate(tables):
            one.to_csv(tmp_path / f"{number}.csv", index=False)
        run = Run.start(Home(tmp_path / home), "night", scenario(**changes), Options())
        ingest(run)
        return run

    return delivered


def test_a_label_may_be_spelt_in_any_way(deliver: Deliver) -> None:
    """1, 1.0, true and yes are one thing, down to the bytes that are prepared."""
    rows, seen = table(), set()
    for number, spelt in enumerate(("true false", "1 0", "1.0 0.0", "YES no", "t f")):
        yes, no = spelt.split()
        run = deliver(rows.assign(returned=np.where(rows["returned"], yes, no)), home=f"home{number}")
        seen.add(run.result(INGEST, "near").manifest)
    assert len(seen) == 1


def test_what_is_no_yes_or_no_is_told(deliver: Deliver) -> None:
    """With file, column and row, and the way out; one such row goes to quarantine, a column of them stops the run."""
    rows = table().astype({"returned": object})
    with pytest.raises(DataError, match=r"0\.csv: column 'returned', row 1: expected yes or no.*`positive`.*'maybe'"):
        deliver(rows.assign(returned="maybe"))
    rows.loc[4, "returned"] = "maybe"
    run = deliver(rows)
    validate(run)
    name = {"old": "far", "new": "near"}[rows.loc[4, "shop"]]
    assert run.result(CLEAN, name).facts.learnt.rules == {"unreadable_returned": 1}
    [row] = pd.read_parquet(run.path(run.result(CLEAN, name)) / "quarantine.parquet").to_dict("records")
    assert (row["row_id"], row["unread_row"], row["unread_value"]) == ("o4", 5, "'maybe'")


def test_a_number_in_one_shop_and_a_text_in_the_other_is_told(deliver: Deliver) -> None:
    """The file and the row in which it is no number."""
    rows = table().astype({"total": object})
    rows.loc[rows["shop"] == "new", "total"] = "cheap"
    one, other = rows[rows["shop"] == "old"], rows[rows["shop"] == "new"]
    with pytest.raises(DataError, match=r"1\.csv: column 'total', row 1: expected a number .*, got 'cheap'"):
        deliver(one, other)


def test_missing_and_infinite_numbers(deliver: Deliver) -> None:
    """NaN and nothing are missing values; an infinite one is put aside by name; every row is accounted for."""
    rows = table()
    rows.loc[:2, "total"] = np.nan
    rows["total"] = rows["total"].astype(object)
    rows.loc[3:5, "total"] = "nan"
    rows.loc[6:7, "total"] = "inf"
    run = deliver(rows)
    validate(run)
    rules: dict[str, int] = {}
    for name in ("far", "near"):
        for rule, count in run.result(CLEAN, name).facts.learnt.rules.items():
            rules[rule] = rules.get(rule, 0) + count
    assert rules == {"non_finite_total": 2}
    prepare(run)
    assert sum(account.read for account in accounts(run)) == 200
    frames = [pd.read_parquet(run.path(run.result(PREPARE, name)) / "rows.parquet") for name in ("far", "near")]
    assert sum(frame["total"].isna().sum() for frame in frames) == 6


def test_columns_without_a_value_or_with_one_value_are_no_matter(deliver: Deliver) -> None:
    """As long as another feature has values in every shop."""
    rows = table().assign(empty=None, constant=1, only_old=1.0)
    rows.loc[rows["shop"] == "new", "only_old"] = None
    features = {"empty": "number", "constant": "number", "only_old": "number", "paid_by": "category"}
    run = deliver(rows, task={"kind": "binary", "label": "returned", "features": features})
    validate(run)
    prepare(run)
    assert run.result(PREPARE, "near").facts.rows["test"] > 0
    task = {"kind": "binary", "label": "returned", "features": {"empty": "number", "only_old": "number"}}
    run = deliver(rows, task=task)
    with pytest.raises(RefusedError, match="share of the 2 declared features that every domain has"):
        validate(run)


@pytest.mark.parametrize(
    ("changed", "task", "told"),
    [
        ({"returned": False}, {}, r"classes of near"),
        ({}, {"positive": "lost"}, r"classes of near"),
        ({}, {"kind": "multiclass", "label": "kind"}, r"classes of near"),
    ],
    ids=["one class", "a positive that nobody has", "one of many"],
)
def test_one_class_is_refused(deliver: Deliver, changed: dict[str, Any], task: dict[str, Any], told: str) -> None:
    """There is nothing to learn; so too where the value that is looked for is misspelt."""
    rows = table().assign(kind="book")
    new = rows["shop"] == "new"
    for column, value in changed.items():
        rows.loc[new, column] = value
    usual = {"kind": "binary", "label": "returned", "features": {"total": "number"}}
    run = deliver(rows, task=usual | task)
    with pytest.raises(RefusedError, match=told):
        validate(run)


def test_marks_that_leave_one_class_to_choose_by_are_told_at_once(deliver: Deliver) -> None:
    """All that came back of the rows that choose has a value that gives it away; no lane is fitted for that."""
    rows = table(1200)
    rows["split"] = np.random.default_rng(1).choice(["train", "valid", "test"], len(rows), p=[0.6, 0.2, 0.2])
    few = rows["returned"] & (rows["split"] == "train") & (np.arange(len(rows)) % 4 == 0)
    rows["total"] = rows["total"].where(~rows["returned"] | few, 100_000.0)
    run = deliver(rows, split={"kind": "shipped", "valid": ["valid"]})
    validate(run)
    prepare(run)
    told = r"near: AUPRC of the \d+ validation rows without marks is not defined, .* all may be of one class"
    with pytest.raises(DataError, match=told):
        audit(run)
    assert not run.results(AUDIT)


def test_ten_rows_are_too_few_to_tell_anything(deliver: Deliver) -> None:
    """Where one is of the class that is looked for, validation or test has none of it; fewer rows are refused."""
    old = table(400).assign(shop="old")
    few = table(10, seed=1).assign(
        shop="new", order=[f"n{number}" for number in range(10)], returned=[True] + [False] * 9
    )
    run = deliver(old, few)
    validate(run)
    with pytest.raises(
        DataError, match=r"near: examples: column 'returned': the rows for training and validation \(7\) are all but"
    ):
        prepare(run)
    run = deliver(old, few.head(9), home="other")
    with pytest.raises(RefusedError, match="at least 10 rows"):
        validate(run)


def test_rows_that_nobody_named_may_be_alike(deliver: Deliver) -> None:
    """They stay, each with a name of its own; rows with one name are refused."""
    rows = pd.concat([table(), table()])
    columns = {"path": "*.csv", "columns": {"domain": "shop"}, "domains": {"far": "old", "near": "new"}}
    run = deliver(rows, tables={"examples": [columns]})
    validate(run)
    assert sum(result.facts.learnt.rows for result in run.results(CLEAN).values()) == 400
    run = deliver(rows.assign(total=np.arange(400)))
    with pytest.raises(RefusedError, match="one row for each row_id"):
        validate(run)


def test_scenarios_that_do_not_fit_are_refused() -> None:
    """When the file is read, by what does not fit."""
    for changes, told in (
        ({"split": {"kind": "cold_users"}}, r"split: the task binary is parted by hash, shipped, time, got"),
        ({"bridges": ["users"]}, r"rows of the task binary can have features in common, not users"),
        ({"bridges": [], "baselines": [{"kind": "linear", "domains": "all"}]}, r"needs the bridge features"),
        ({"model": {"kind": "history"}}, r"model reads past, which rows of the task binary do not have"),
        ({"baselines": [{"kind": "ials"}]}, r"baselines: ials reads past"),
        ({"tables": {"interactions": [{"path": "a.csv"}]}}, r"the task binary learns from examples, which are not"),
        ({"tables": {"examples": [{"path": "a.csv", "domains": {"elsewhere": "x"}}]}}, r"domains names elsewhere"),
        ({"task": {"kind": "binary", "label": "a", "features": {"a": "number"}}}, r"a stands there more than once"),
        ({"task": {"kind": "binary", "label": "domain", "features": {"a": "number"}}}, r"domain has a meaning"),
        ({"task": {"kind": "binary", "label": "a", "features": {"table": "number"}}}, r"table has a meaning"),
        ({"personal": ["paid_by"]}, r"slices: expected the features .* because paid_by is personal"),
        ({"task": {"kind": "binary", "label": "a", "features": {"b": "colour"}}}, r"number"),
        ({"task": {"kind": "binary", "label": "a", "features": {"b": "flag"}, "slices": ["c"]}}, r"c is no feature"),
        ({"task": {"kind": "guess"}}, r"guess"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=told):
            scenario(**changes)
    assert scenario().model.kind == "tabular"
    assert scenario(model={"dim": 8}).model.dim == 8
