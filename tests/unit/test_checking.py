"""Crosslift scenarios check: the first rows of the files that a scenario names, held against it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.data.looking import checking
from pipeline.errors import DataError

ROWS = "user_id,item_id,timestamp\nu1,i1,2024-01-01\nu2,i2,2024-01-02\n"
RENAMED = "userid,productId,ts\nu1,i1,2024-01-01\nu2,i2,2024-01-02\n"


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Give a function that writes files and a scenario of one table, and checks it."""
    monkeypatch.setenv("CROSSLIFT_DATA", str(tmp_path))

    def run(table: dict[str, Any], *more: str, **files: str) -> Any:
        for name, content in files.items():
            (tmp_path / name.replace("_", ".")).write_text(content)
        scenario = {
            "name": "toy", "title": "Toy", "sources": ["films"], "target": "books", "bridges": ["users"],
            "tables": {"interactions": [{"constants": {"domain": "films"}, **table}]},
            "split": {"kind": "time"}, "strategies": [{"tune": {"kind": "scratch"}}],
            "baselines": [{"kind": "popularity"}],
        }  # fmt: skip
        (tmp_path / "toy.yaml").write_text(yaml.safe_dump(scenario))
        return CliRunner().invoke(app, ["scenarios", "check", str(tmp_path / "toy.yaml"), *more])

    return run


def test_what_fits_is_told(check, monkeypatch):
    """With the files that were looked at; without a data folder nothing is looked at, and that is said."""
    told = check({"path": "a.csv"}, a_csv=ROWS)
    assert told.exit_code == 0
    assert "It fits the first rows of a.csv." in told.stdout
    assert json.loads(check({"path": "a.csv"}, "--json").stdout)["looked_at"] == ["a.csv"]
    wide = {f"k{number}": 1 for number in range(300)} | {"user_id": 7, "item_id": 8}
    assert check({"path": "a.jsonl", "columns": {"value": "k299"}}, a_jsonl=json.dumps(wide) + "\n").exit_code == 0
    monkeypatch.delenv("CROSSLIFT_DATA")
    told = check({"path": "nothing.csv"})
    assert told.exit_code == 0
    assert "Not looked at: the tables, because CROSSLIFT_DATA is not set." in told.stdout


@pytest.mark.parametrize(
    ("table", "files", "match"),
    [
        ({"path": "b.csv"}, {"a_csv": ROWS}, r"b\.csv: there is no such file"),
        ({"path": "a.csv", "columns": {"userid": "x"}}, {"a_csv": ROWS},
         r"columns: 'userid' is no canonical column\. Did you mean 'user_id'"),
        ({"path": "a.csv"}, {"a_csv": RENAMED},
         r"a\.csv: column 'user_id'.*Did you mean 'userid'.*`columns: \{user_id: userid, item_id: productId\}`"),
        ({"path": "a.csv", "columns": {"user_id": "kunde", "item_id": "productId"}},
         {"a_csv": RENAMED.replace("userid", "customer")}, r"column 'kunde'.*`columns: \{user_id: customer\}`"),
        ({"path": "a.csv"}, {"a_csv": ROWS.replace(",", ";")}, r"a\.csv: .*holds ';'; state `separator: \";\"`"),
        ({"path": "a.csv", "separator": ";"}, {"a_csv": ROWS}, r"a\.csv: .*holds ','; state `separator: \",\"`"),
        ({"path": "a.csv"}, {"a_csv": ROWS + "u3\n"}, r"a\.csv: line 4: expected 3 fields"),
        ({"path": "a.csv"}, {"a_csv": ROWS.replace("2024", "20x4")}, r"column 'timestamp', row 1: expected a date"),
        ({"path": "a.csv"}, {"a_csv": ROWS.replace("user_id", " Customer ID ")},
         r"`columns: \{user_id: ' Customer ID '\}`"),
        ({"files": {"t": {"path": "a.csv"}}, "query": "SELECT user_id, itemid FROM t"}, {"a_csv": ROWS},
         r"query over files: .*itemid"),
        ({"files": {"t": {"path": "a.csv"}}, "query": "SELECT user_id AS userid, item_id FROM t"}, {"a_csv": ROWS},
         r"query over files: column 'user_id'.*Did you mean 'userid'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(check, table, files, match):
    """With the file, the near miss and what to write."""
    told = check(table, **files)
    assert isinstance(told.exception, DataError)
    assert re.search(match, str(told.exception), re.DOTALL), told.exception


@pytest.mark.parametrize("table", [{"path": "a.csv"}, {"files": {"t": {"path": "a.csv"}}, "query": "SELECT * FROM t"}])
def test_rows_for_the_quarantine_are_told(check, table):
    """One broken value refuses nothing, but such rows do not fit; how many there are is told, with the first."""
    values = [f'u{row},i{row},"1,{row}00.5"\n' if row % 4 == 0 else f"u{row},i{row},2.5\n" for row in range(1, 13)]
    told = check({**table, "columns": {"value": "value"}}, a_csv="user_id,item_id,value\n" + "".join(values))
    assert told.exit_code == 0
    assert "It fits" not in told.stdout
    warning = r"3 of the first 12 rows .* for column 'value', as row 4: expected a number.*got '1,400\.5'"
    assert re.search(warning, told.stdout), told.stdout


def test_of_a_long_file_too(check, monkeypatch):
    """Rows behind those that are looked at hide none of them; times that only a later row decides are no mistake."""
    monkeypatch.setattr(checking, "_ROWS", 2)
    rows = "user_id,item_id,value,timestamp\nu1,i1,2.5,1/2/2010\nu2,i2,x,1/2/2010\nu3,i3,4,1/13/2010\n"
    told = check({"path": "a.csv", "columns": {"value": "value"}}, a_csv=rows)
    assert told.exit_code == 0
    told = check({"path": "a.csv", "columns": {"value": "value"}}, a_csv=rows.replace("1/2/", "1/14/"))
    assert "1 of the first 2 rows would go to quarantine for column 'value'" in told.stdout


def test_of_large_files_the_first_rows_decide(check, monkeypatch):
    """What comes later is not read, and a JOIN that meets nothing in the first rows is no mistake."""
    monkeypatch.setattr(checking, "_BYTES", len(ROWS))
    assert check({"path": "a.csv"}, a_csv=ROWS + "u3\n").exit_code == 0
    query = {
        "files": {"t": {"path": "a.csv"}, "names": {"path": "b.csv"}},
        "query": "SELECT user_id, item_id FROM t JOIN names USING (item_id)",
    }
    names = "item_id,name\n" + "".join(f"x{row},a\n" for row in range(50)) + "i1,b\n"
    assert check(query, b_csv=names).exit_code == 0
    told = check({**query, "query": query["query"].replace("user_id", "visitor")}, b_csv=names)
    assert "visitor" in str(told.exception)
    monkeypatch.setattr(checking, "_BYTES", 1 << 20)
    assert check(query, a_csv=ROWS).exit_code == 0
    told = check(query, b_csv=names.replace("i1", "i9"))
    assert "it gives no rows" in str(told.exception)
