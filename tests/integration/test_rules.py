"""Quarantine and Great Expectations judge the same rows: the two halves of a rule, held against each other."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline.data.rules import Check, Rule, Times
from pipeline.data.tables import ARROW_TYPES, KINDS, TableKind
from pipeline.validation.checking import load, run_suite
from pipeline.validation.quarantine import sort_rows
from pipeline.validation.suites import suite

pytestmark = pytest.mark.slow

AS_OF = datetime(2024, 5, 1, tzinfo=UTC)
TIMES = Times(AS_OF, needs_time=True)
# NaN is left out: pandas cannot tell it from a number that is not there, which is why the quarantine reads Arrow.
VALUES: dict[str, list[Any]] = {
    "id": ["a", "", None, "é\u200d🛒", "a\0", "a\tb", "a\x7f", "a\x85", "\u2028", "x" * 256, "x" * 257, "🛒" * 256],
    "number": [0.0, -0.0, -1e-300, 5.5, None, float("inf"), float("-inf"), 1.7976931348623157e308, -1.7e308],
    "time": [
        AS_OF, None, datetime(2024, 5, 1, 0, 0, 0, 1, tzinfo=UTC), datetime(1990, 1, 1, tzinfo=UTC),
        datetime(1989, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC),
    ],
}  # fmt: skip
COLUMNS = [(kind, name) for kind in KINDS.values() for name in dict.fromkeys(r.column for r in kind.rules(TIMES))]


@pytest.fixture(scope="module")
def frames() -> Any:
    """Let Great Expectations take frames, without a file of its own."""
    gx = load()
    base = gx.data_context.types.base
    settings = base.DataContextConfig(store_backend_defaults=base.InMemoryStoreBackendDefaults())
    source = gx.get_context(mode="ephemeral", project_config=settings).data_sources.add_pandas("tables")
    return source.add_dataframe_asset("table").add_batch_definition_whole_dataframe("whole")


def rows_that_fail(frames: Any, check: Check, frame: pd.DataFrame) -> set[int]:
    """Which rows of a frame Great Expectations names."""
    expectation = getattr(load().expectations, check.expectation)(**check.arguments)
    batch = frames.get_batch({"dataframe": frame})
    found = batch.validate(expectation, result_format={"result_format": "COMPLETE"}).to_json_dict()
    return set(found["result"]["unexpected_index_list"] or ())


def broken_rows(rule: Rule, table: pa.Table) -> set[int]:
    """Which rows of a table the quarantine takes for this rule alone."""
    removed = sort_rows(table, (rule,)).removed
    return set(removed.filter(pc.equal(removed["rule"], rule.name))["place"].to_pylist())


@pytest.mark.parametrize(("kind", "name"), COLUMNS, ids=lambda one: getattr(one, "name", one))
def test_the_expectations_fail_for_just_the_rows_that_leave(frames: Any, kind: TableKind, name: str) -> None:
    """Over a column of edge cases, the critical checks of its rules name the rows that its masks name, no others."""
    column = kind.by_name[name]
    values = VALUES[column.type]
    table = pa.table({name: pa.array(values, ARROW_TYPES[column.type]), "place": np.arange(len(values))})
    rules = [rule for rule in kind.rules(TIMES) if rule.column == name]

    broken = {place for rule in rules for place in broken_rows(rule, table)}
    checks = [check for rule in rules for check in rule.checks if check.severity == "critical"]
    failed = {place for check in checks for place in rows_that_fail(frames, check, table.to_pandas())}
    assert failed == broken
    assert 0 < len(broken) < len(values)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_the_quarantine_leaves_passes_its_suite(kind: TableKind) -> None:
    """Edge cases in every column, NaN too: after the quarantine no rule and no type of the suite fails."""
    random = np.random.default_rng(0)
    pools = {**VALUES, "number": [*VALUES["number"], float("nan")], "text": ["x", None, "<b>"], "whole number": [1, 2]}
    table = pa.table(
        {
            one.name: pa.array(["d"] * 400, pa.string()) if one.name == "domain"
            else pa.array([pools[one.type][place] for place in random.integers(0, len(pools[one.type]), 400)],
                          ARROW_TYPES[one.type])
            for one in kind.columns
        }
    )  # fmt: skip
    rules = kind.rules(TIMES)
    parts = sort_rows(table, rules)
    assert {rule.name for rule in rules} <= set(parts.counts)

    frame = parts.clean.to_pandas()
    asked = {check.rule for rule in rules for check in rule.checks} | {"column_type", "column_exists", "one_domain"}
    checks = [check for check in suite(kind, frame, "d", TIMES, None) if check.rule in asked]
    outcomes = run_suite(frame, checks, kind.name, "d", ())
    assert len(frame) >= 3
    assert [(one.check.rule, one.check.columns, one.observed) for one in outcomes if not one.success] == []
