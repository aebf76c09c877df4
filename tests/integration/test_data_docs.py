"""validate and audit as steps, with Great Expectations at work: passports, refusals, Data Docs."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import Options, Scenario
from pipeline.errors import MissingResultError, RefusedError
from pipeline.folders import Home
from pipeline.results import CLEAN, INGEST, PREPARE, VALIDATE
from pipeline.rows.interactions.prepared import DomainData
from pipeline.runs.run import Run
from pipeline.steps.audit import audit
from pipeline.steps.validate import validate
from pipeline.validation.passport import reference_path
from tests.publishing import publish

pytestmark = pytest.mark.slow

SCENARIO = {
    "name": "s", "title": "S", "sources": ["source"], "target": "target", "bridges": ["users"], "embedded": {},
    "split": {"kind": "shipped"}, "strategies": [{"tune": {"kind": "scratch"}}], "baselines": [{"kind": "popularity"}],
}  # fmt: skip
ROWS = 24


def rows_of(name: str, /, **columns: list) -> pa.Table:
    """Two dozen sound interactions of twelve users with six items, and columns put in or taken out (None)."""
    values = {
        "user_id": [f"user{place % 12:02}" for place in range(ROWS)],
        "item_id": [f"{name[0]}{place % 6 + place // 12}" for place in range(ROWS)],
        "domain": [name] * ROWS,
        "split": ["train"] * 20 + ["test"] * 4,
        **columns,
    }
    return pa.table({name: column for name, column in values.items() if column is not None})


def ingested(run: Run, tables: dict[str, dict[str, pa.Table]]) -> Run:
    """The run with these tables as what `ingest` published."""
    for domain, parts in tables.items():

        def write(folder: Path, parts: dict[str, pa.Table] = parts) -> None:
            for name, table in parts.items():
                pq.write_table(table, folder / f"{name}.parquet")

        content = {name: str(table.to_pydict()) for name, table in parts.items()}
        publish(run, INGEST, write, key=content, name=domain)
    return run


def run_of(home: Path, tables: dict[str, dict[str, pa.Table]], run_id: str = "r", **changes: object) -> Run:
    """A run of a two-domain scenario over these tables."""
    scenario = Scenario.model_validate(SCENARIO | changes)
    return ingested(Run.start(Home(home), run_id, scenario, Options()), tables)


def sound(**target: list) -> dict[str, dict[str, pa.Table]]:
    """Tables of both domains that pass, with columns of the target put in."""
    return {"source": {"interactions": rows_of("source")}, "target": {"interactions": rows_of("target", **target)}}


def with_value(name: str, value: object) -> dict[str, list]:
    """The column of the target's rows with its first value replaced."""
    column = rows_of("target").column(name).to_pylist()
    return {name: [value, *column[1:]]}


def test_passport_says_what_was_checked_over_which_content(tmp_path):
    """A sound snapshot passes all checks; the passport names content, counts and rules, and repeats byte for byte."""
    run = run_of(tmp_path / "one", sound())
    result = validate(run)
    passport = json.loads((run.path(result) / "passport.json").read_text())

    assert passport["snapshot"] == {name: run.result(INGEST, name).manifest for name in ("source", "target")}
    assert passport["tables"]["target"]["interactions"] == {"rows_read": ROWS, "rows": ROWS, "quarantined": {}}
    assert passport["failed"] == {"critical": 0, "warning": 0, "info": 0}
    assert {"column_exists", "not_null", "two_users", "volume_fell", "bridge_users"} <= {
        check["rule"] for check in passport["checks"]
    }
    again = run_of(tmp_path / "two", sound())
    assert validate(again).manifest == result.manifest
    assert validate(run).reused


def test_hostile_and_personal_values_never_reach_the_page(tmp_path):
    """Script in titles, ids and domains is escaped; no user id appears on the page or in the message."""
    script = "<script>alert(1)</script>"
    items = pa.table({"item_id": [script, script + "\0", "t1"], "domain": ["target", "target", "elsewhere" + script],
                      "title": [script, "=cmd()", None]})  # fmt: skip
    secret = [f"secret{place % 12}@example.org" for place in range(ROWS)]
    secret[0] += "\0"
    tables = sound(user_id=secret, item_id=[script, "b\0"] + ["t1"] * 22)
    tables["target"]["items"] = items
    run = run_of(tmp_path, tables, title=script, bridges=["users"])

    with pytest.raises(RefusedError, match="one_domain") as refused:
        validate(run)

    page = (run.folder / "data_docs" / "index.html").read_text()
    assert str(run.folder / "data_docs" / "index.html") in str(refused.value)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "secret" not in page
    assert "secret" not in str(refused.value)
    assert "//" not in page
    assert "b\\x00" in page


def test_broken_rows_go_to_quarantine_with_the_rules_name(tmp_path):
    """A few broken rows leave their table and are kept, the run goes on, and the other domain's folder is the same."""
    before = run_of(tmp_path, sound(), "before")
    validate(before)
    run = run_of(tmp_path, sound(**with_value("item_id", "a\0b")), "after")
    result = validate(run)

    folder = run.path(run.result(CLEAN, "target"))
    quarantine = pq.read_table(folder / "quarantine.parquet").to_pylist()
    assert [(row["rule"], row["item_id"], row["table"]) for row in quarantine] == [
        ("control_characters_in_item_id", "a\0b", "interactions")
    ]
    assert pq.read_metadata(folder / "interactions.parquet").num_rows == ROWS - 1
    assert run.result(CLEAN, "source").manifest == before.result(CLEAN, "source").manifest
    assert result.facts.quarantined == 1


MANY = [f"x{place:02}" for place in range(ROWS)]
REFUSED = [
    (
        {"user_id": ["one"] * ROWS, "item_id": MANY},
        r"interactions of target, column user_id: two_users: expected at least 2 different users, got 1\. To do",
    ),
    (
        {"item_id": ["one"] * ROWS, "user_id": [f"user{name[1:]}" for name in MANY]},
        r"column item_id: two_items: expected at least 2 different items, got 1",
    ),
    ({"item_id": None}, r"column item_id: column_exists: expected a column item_id, got absent\. To do: map a column"),
    ({"item_id": list(range(ROWS))}, r"column item_id: column_type: expected type str, got int64"),
    (
        {"split": ["train"] * ROWS},
        r"domains of s, column test rows of target: test_labels: expected at least 1 test row .*, got 0",
    ),
    ({"user_id": list(range(ROWS))}, r"column user_id: column_type: expected type str, got int64"),
    (
        {"user_id": MANY},
        r"bridge_users: expected at least 1.00%, because bridges names 'users': fewer meet by chance, got 0",
    ),
    (
        {"item_id": [name + "\0" * (place < 6) for place, name in enumerate(MANY)]},
        r"quarantine: expected at most 20% of the rows in quarantine, got 0\.25",
    ),
    (
        {"domain": ["other"] * ROWS},
        r"column domain: one_domain: expected the value 'target' in each row, got 24 of 24 rows break it",
    ),
]


@pytest.mark.parametrize(("columns", "message"), REFUSED)
def test_table_rules_stop_the_run(tmp_path, columns, message):
    """Each critical rule refuses with table, column, expectation, observation and remedy; nothing is published."""
    run = run_of(tmp_path, sound(**columns))

    with pytest.raises(RefusedError, match=message):
        validate(run)

    for step, name in ((VALIDATE, ""), (CLEAN, "source"), (CLEAN, "target")):
        with pytest.raises(MissingResultError, match=f"needs the result of {step.name}"):
            run.result(step, name)
    assert not list((tmp_path / "work").glob("*"))
    assert not list((tmp_path / "steps" / "validate").glob("*/passport.json"))


def test_header_only_table_is_refused(tmp_path):
    """A table without rows is refused by its row count and not by an exception."""
    tables = sound()
    tables["target"]["interactions"] = tables["target"]["interactions"].slice(0, 0)

    with pytest.raises(RefusedError, match=r"interactions of target: enough_rows: expected at least 10 rows, got 0"):
        validate(run_of(tmp_path, tables))


def test_items_with_two_rows_are_refused(tmp_path):
    """Two titles for one item cannot both be right."""
    tables = sound()
    tables["source"]["items"] = pa.table(
        {"item_id": ["a", "a", "b"], "domain": ["source"] * 3, "title": ["x", "y", "z"]}
    )

    with pytest.raises(RefusedError, match=r"items of source, column item_id: unique_key: .*got 2 of 3 rows"):
        validate(run_of(tmp_path, tables))


def test_volume_is_compared_with_the_reference_snapshot(tmp_path):
    """Half the rows of the promoted snapshot or less is refused; the same snapshot again has nothing to do."""
    run = run_of(tmp_path, sound(), "first")
    result = validate(run)
    reference = reference_path(run.home, "s")
    reference.parent.mkdir(parents=True)
    reference.write_text((run.path(result) / "passport.json").read_text())
    assert validate(run_of(tmp_path, sound(), "second")).reused

    tables = sound()
    table = tables["source"]["interactions"]
    tables["source"]["interactions"] = table.slice(0, 11)
    with pytest.raises(RefusedError, match=r"interactions of source: volume_fell: expected at least 12 rows, .*got 11"):
        validate(run_of(tmp_path, tables, "third"))


def test_times_after_the_data_interval_are_quarantined(tmp_path):
    """With the end of the data interval a later time is a broken row; without it only the wide range counts."""
    times = pa.array(
        [datetime(2024, 1, 2 if place else 9, tzinfo=UTC) for place in range(ROWS)], pa.timestamp("us", "UTC")
    )
    tables = {
        name: {"interactions": parts["interactions"].append_column("timestamp", times)}
        for name, parts in sound().items()
    }

    assert validate(run_of(tmp_path, tables, "a")).facts.quarantined == 0
    assert validate(run_of(tmp_path, tables, "b"), datetime(2024, 1, 5, tzinfo=UTC)).facts.quarantined == 2


def prepared(run: Run) -> None:
    """What `prepare` would publish, by the plainest code."""
    for name in run.scenario.domains:
        frame = pd.read_parquet(run.path(run.result(CLEAN, name)) / "interactions.parquet")
        users, items = (np.unique(frame[column].to_numpy(dtype=object)) for column in ("user_id", "item_id"))
        rows = pd.DataFrame(
            {
                "user": pd.Index(users).get_indexer(frame["user_id"]).astype("int32"),
                "item": pd.Index(items).get_indexer(frame["item_id"]).astype("int32"),
                "part": frame["split"].map({"train": 0, "test": 2}).astype("int8"),
                "kept": True,
            }
        ).sort_values(["user", "item"], ignore_index=True)
        first = rows.index[(rows["part"] == 0) & (name == run.scenario.target)][:1]
        rows.loc[first, "part"] = np.int8(1)  # something has to choose
        data = DomainData(name, pd.DataFrame({"user_id": users}), pd.DataFrame({"item_id": items}), rows)
        publish(run, PREPARE, data.write, {"rows": {"all": len(rows)}}, name=name)


def test_audit_closes_the_passport(tmp_path):
    """The closed passport holds the validation's checks and the audit's counts; marks repeat byte for byte."""
    results = []
    for place in ("one", "two"):
        run = run_of(tmp_path / place, sound())
        validate(run)
        prepared(run)
        results.append(audit(run))
    folder = run.path(results[1])
    passport, report = (json.loads((folder / name).read_text()) for name in ("passport.json", "audit.json"))

    assert passport["audit"] == report
    assert passport["checks"]
    assert set(passport["splits"]) == {"prepare.source", "prepare.target"}
    assert results[0].manifest == results[1].manifest
    assert list(pd.read_parquet(folder / "marks.parquet").columns) == ["domain", "row", "kind"]
    assert report["domains"]["target"]["test_rows"] == 4
    assert results[1].facts.marked == report["domains"]["target"]["marked"]
