"""Kinds of tables: sound in themselves, in step with the documentation, and one value is all that a new kind needs."""

import re
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline import columns as c
from pipeline.config import BinaryTask, FileTable, MulticlassTask, MultilabelTask, RankingTask, RegressionTask, Tables
from pipeline.data import snapshot
from pipeline.data.mapping import Mapper
from pipeline.data.readers.files import LocalFile
from pipeline.data.readers.reading import read_file
from pipeline.data.rules import Check, Times, finite, ids, in_time
from pipeline.data.tables import ARROW_TYPES, INTERACTIONS, KINDS, Column, Key, TableKind
from pipeline.errors import ConfigError, DataError
from pipeline.results import IngestFacts
from pipeline.rows.examples.tables import examples_kind
from pipeline.tasks.tables import tables_of
from pipeline.validation.checking import run_suite
from pipeline.validation.quarantine import DUPLICATE, sort_rows
from pipeline.validation.suites import suite

NUMBERS = TableKind(
    name="numbers",
    row="measurement",
    columns=(
        Column("row_id", "id", required=True, things="measurements"),
        Column(c.DOMAIN, "id", required=True),
        Column("x", "number"),
        Column("y", "number", required=True),
        Column(c.TIMESTAMP, "time"),
    ),
    key=Key(("row_id",), "critical", "keep one row of each id"),
    rules=lambda times: (*ids("row_id"), finite("x"), finite("y"), in_time(c.TIMESTAMP, times)),
    main=True,
)
CSV = """nr,domain,x,y,timestamp
007,lab,1.5,2,2024-01-01
8,lab,,0,
9,lab,inf,1,2024-01-01
,lab,1,1,2024-01-01
10,lab,1,nan,2024-01-01
11,lab,1,1,1970-01-20
8,lab,,0,
12,field,1,1,2024-01-01
"""
DOCS = (Path(__file__).parents[2] / "docs" / "bring-your-data.md").read_text(encoding="utf-8")


@pytest.fixture
def numbers(tmp_path: Path) -> pa.Table:
    """Read eight rows of numbers from a CSV file."""
    path = tmp_path / "a.csv"
    path.write_text(CSV)
    return read(path, FileTable(path="a.csv", columns={"row_id": "nr"}))


def read(path: Path, table: FileTable) -> pa.Table:
    """Read a file of numbers."""
    (scratch := path.parent / "scratch").mkdir()
    return read_file(LocalFile(path, path.parent), table, Mapper(NUMBERS, table), scratch)


def test_a_new_kind_is_cast(numbers: pa.Table) -> None:
    """Its ids keep their digits, its numbers and times have their types, its columns their order."""
    assert numbers.schema.names == ["row_id", "domain", "x", "y", "timestamp"]
    assert [str(kind) for kind in numbers.schema.types] == [
        "string", "string", "double", "double", "timestamp[us, tz=UTC]",
    ]  # fmt: skip
    assert numbers["row_id"].to_pylist()[:4] == ["007", "8", "9", None]
    assert numbers["timestamp"][0].as_py() == datetime(2024, 1, 1, tzinfo=UTC)


def test_a_new_kind_has_its_own_columns_alone(tmp_path: Path) -> None:
    """A required column that is missing is refused, and a column of another kind is none of its own."""
    path = tmp_path / "a.csv"
    path.write_text("row_id,domain,x\n1,lab,2\n")
    with pytest.raises(DataError, match=r"^a\.csv: column 'y', needed for y, is missing"):
        read(path, FileTable(path="a.csv"))
    with pytest.raises(ConfigError, match=r"numbers\.columns: 'user_id' is no .* There are: row_id, domain, x, y, tim"):
        Mapper(NUMBERS, FileTable(path="a.csv", columns={"user_id": "x"}))


def test_a_new_kind_is_kept_by_domain(numbers: pa.Table, tmp_path: Path) -> None:
    """Sorted by its columns, with its rows and things counted; nothing but the one value is put in."""
    kinds = {NUMBERS.name: NUMBERS}
    tables = snapshot.assemble([("numbers", numbers)], kinds, ["lab", "field"], None)

    assert snapshot.write_domain(tables, kinds, "lab", tmp_path) == IngestFacts(rows=7, counted={"measurements": 5})
    kept = parquet.read_table(tmp_path / "numbers.parquet")
    assert kept["row_id"].to_pylist() == ["007", "10", "11", "8", "8", "9", None]


def test_a_new_kind_is_sorted_by_its_rules(numbers: pa.Table) -> None:
    """Each broken row leaves under its rule's name."""
    parts = sort_rows(numbers, NUMBERS.rules(Times()))

    assert dict(zip(parts.removed["row_id"].to_pylist(), parts.removed["rule"].to_pylist(), strict=True)) == {
        "9": "non_finite_x",
        None: "missing_row_id",
        "10": "non_finite_y",
        "11": "bad_timestamp",
        "8": DUPLICATE,
    }
    assert parts.clean["row_id"].to_pylist() == ["007", "8", "12"]


def test_a_new_kind_has_a_suite(numbers: pa.Table) -> None:
    """Types, rules, domain, key and volume are those of its own columns."""
    clean = sort_rows(numbers, NUMBERS.rules(Times())).clean.to_pandas()

    found = {(check.rule, *check.columns): check for check in suite(NUMBERS, clean, "lab", Times(), 40)}
    assert set(found) == {
        ("column_exists", "row_id"), ("column_exists", "domain"), ("column_exists", "y"),
        *(("column_type", name) for name in ("row_id", "domain", "x", "y", "timestamp")),
        ("not_null", "row_id"), ("id_characters", "row_id"), ("id_length", "row_id"),
        ("finite", "x"), ("finite", "y"), ("time_present", "timestamp"), ("time_range", "timestamp"),
        ("one_domain", "domain"), ("outliers", "x"), ("outliers", "y"), ("newest_time", "timestamp"),
        ("unique_key", "row_id"), ("enough_rows",), ("volume_fell",), ("volume_rose",), ("two_measurements", "row_id"),
    }  # fmt: skip
    assert found["volume_fell",].arguments == {"min_value": 20}
    assert found["unique_key", "row_id"].severity == "critical"
    assert found["column_type", "y"].arguments["type_"] == "float64"


@pytest.mark.slow
def test_great_expectations_checks_a_new_kind(numbers: pa.Table) -> None:
    """After the quarantine only the few rows are refused, and before it each rule by what broke it."""
    lab = numbers.slice(0, 7)
    checks = suite(NUMBERS, lab.to_pandas(), "lab", Times(), 3)
    clean = sort_rows(lab, NUMBERS.rules(Times())).clean.to_pandas()
    after, before = (
        {
            (one.check.rule, *one.check.columns)
            for one in run_suite(frame, checks, "numbers", "lab", ())
            if not one.success
        }
        for frame in (clean, lab.to_pandas())
    )
    assert after == {("enough_rows",), ("time_present", "timestamp")}
    broken = {("not_null", "row_id"), ("unique_key", "row_id"), ("finite", "x"), ("time_range", "timestamp")}
    assert broken <= before - after


@pytest.mark.slow
def test_of_one_row_of_figures_the_figures_are_observed() -> None:
    """Whether they pass or not; of a personal column no value is told."""
    frame = pd.DataFrame({"ratio": [5.25], "rows": [3], "age": [41]})
    bounds = {"ratio": {"min_value": 1}, "rows": {"min_value": 10}, "age": {"max_value": 40}}
    checks = [
        Check("bound", "warning", "ExpectColumnValuesToBeBetween", "a bound", "look", {"column": name, **bound})
        for name, bound in bounds.items()
    ]
    found = run_suite(frame, checks, "figures", "toy", ("age",))
    assert [(one.success, one.observed) for one in found] == [
        (True, "5.25"), (False, "3"), (False, "1 of 1 rows break it"),
    ]  # fmt: skip
    assert not any(one.examples for one in found)


def test_what_a_scenario_may_name_has_a_kind() -> None:
    """Each task knows the kind of each table that it reads, and every table is one of some task's."""
    tasks = [RankingTask(), BinaryTask(kind="binary", label="y", features={"x": "number"})]
    for task in tasks:
        assert tuple(tables_of(task)) == task.tables
    assert {name for task in tasks for name in task.tables} == set(Tables.model_fields)


FEATURES = {"n": "number", "c": "category", "f": "flag", "t": "time"}
DECLARED = [
    examples_kind(BinaryTask(kind="binary", label="y", features=FEATURES, groups=("g",))),
    examples_kind(MulticlassTask(kind="multiclass", label="y", features=FEATURES)),
    examples_kind(MultilabelTask(kind="multilabel", separator="|", label="y", features=FEATURES)),
    examples_kind(RegressionTask(kind="regression", label="y", features=FEATURES)),
]


@pytest.mark.parametrize("kind", [*KINDS.values(), NUMBERS, *DECLARED], ids=lambda kind: kind.name)
def test_a_kind_is_sound(kind: TableKind) -> None:
    """Names stand there once; key, rules and checks speak of its columns; a domain is always there."""
    names = [column.name for column in kind.columns]
    assert len(set(names)) == len(names)
    assert kind.by_name[c.DOMAIN].required
    assert set(kind.key.columns) <= set(names)
    assert set(kind.key.columns) & set(kind.required) or kind in DECLARED
    assert all(column.required for column in kind.columns if column.things)
    rules = kind.rules(Times())
    assert len({rule.name for rule in rules}) == len(rules)
    assert {rule.column for rule in rules} <= set(names)
    assert all(check.columns == (rule.column,) for rule in rules for check in rule.checks)
    assert all(rule.applies(ARROW_TYPES[kind.by_name[rule.column].type]) for rule in rules)
    assert {name for check in kind.told for name in check.columns} <= set(names)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_documented_columns_are_those_of_the_kind(kind: TableKind) -> None:
    """Names, order, types, and the star of what must be there."""
    section = DOCS.partition(f"\n**{kind.name}**")[2].partition("\n\n**")[0].partition("\n\nSources")[0]
    rows = re.findall(r"^\| `(\w+)`(\*?) \| ([\w ]+) \|", section, re.MULTILINE)
    assert rows == [(one.name, "*" * one.required, one.type) for one in kind.columns]


def test_the_documented_columns_of_examples_are_those_that_no_scenario_declares() -> None:
    """In any order; what a task declares has its types in the text below."""
    section = DOCS.partition("\n**examples**")[2].partition("\n\nA feature is")[0]
    rows = set(re.findall(r"^\| `(\w+)`(\*?) \| ([\w ]+) \|", section, re.MULTILINE))
    declared = {*FEATURES, "y", "g"}
    assert rows == {(one.name, "*" * one.required, one.type) for one in DECLARED[0].columns if one.name not in declared}


def test_the_documented_rules_are_those_of_the_kinds() -> None:
    """Each rule has its name there, beside what it expects of the rows that stay."""
    expected = defaultdict(list)
    for kind in KINDS.values():
        for rule in kind.rules(Times()):
            told = " and ".join(check.expected for check in rule.checks if check.severity == "critical")
            if rule.name not in expected[told]:
                expected[told].append(rule.name)
    section = DOCS.partition("\n| rule |")[2].partition("\n\n")[0]
    documented = {
        told.strip(): re.findall(r"`(\w+[^_`])`", names)
        for names, told in re.findall(r"^\| (`[^|]*) \| ([^|;]*)[^|]*\|$", section, re.MULTILINE)
    }
    assert documented.pop("no row like it before") == [DUPLICATE]
    assert documented == expected


def test_the_rules_of_times_depend_on_the_run() -> None:
    """The end of the data interval bounds mask and expectation alike, and a time is needed where the split needs it."""
    end = datetime(2024, 5, 1, tzinfo=UTC)
    table = pa.table({"timestamp": pa.array([datetime(2024, 5, 2, tzinfo=UTC), end, None], pa.timestamp("us", "UTC"))})
    for needs_time, severity, count in ((False, "info", 1), (True, "critical", 2)):
        [rule] = [one for one in INTERACTIONS.rules(Times(end, needs_time)) if one.column == c.TIMESTAMP]
        assert sort_rows(table, (rule,)).counts == {"bad_timestamp": count}
        assert [(check.rule, check.severity) for check in rule.checks] == [
            ("time_present", severity), ("time_range", "critical"),
        ]  # fmt: skip
        assert rule.checks[1].arguments["max_value"] == end
