"""A query over files joins and filters them, and can neither reach anything else nor write."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Tables
from pipeline.data import querying
from pipeline.data.inputs import inputs_of
from pipeline.data.tables import KINDS
from pipeline.errors import DataError
from tests.reading import write

FILES = {
    "ratings": {"path": "ratings.dat", "separator": "::", "header": False, "names": ["u", "i", "r", "t"]},
    "films": {"path": "films*.csv"},
    "people": {"path": "people.jsonl"},
}
JOIN = """
    SELECT u AS user_id, i AS item_id, CASE WHEN r::INT >= 4 THEN 'like' ELSE 'seen' END AS event, email
    FROM ratings JOIN films ON i = id JOIN people ON u = number::VARCHAR WHERE kind = 'Comedy' ORDER BY t
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a data folder with three tables, one of them in two files of different columns."""
    (folder := tmp_path / "data").mkdir()
    write(folder, "ratings.dat", "1::07::5::3\n1::8::2::2\n2::07::3::1\n")
    write(folder, "films1.csv", "id,title\n8,X\n")
    write(folder, "films2.csv", 'kind,id,title\nComedy,07,"A, b"\n')
    write(folder, "people.jsonl", '{"number": 1, "email": "ann@example.com"}\n{"number": 2, "more": {"x": 1}}\n')
    return folder.resolve()


def ask(root: Path, query: str, files: dict[str, Any] = FILES, **more: Any) -> dict[str, list[Any]]:
    """Give the canonical columns of a query's result."""
    table = {"files": files, "query": query, "constants": {"domain": "d"}, **more}
    [one] = inputs_of(Tables.model_validate({"interactions": [table]}), KINDS.__getitem__, root, ("user_id",))
    assert one.fingerprint
    return one.read()[0].to_pydict()  # type: ignore[no-any-return]


def test_files_are_joined_filtered_and_mapped(root: Path) -> None:
    """As the SELECT says; ids keep their digits, because the columns of CSV are texts."""
    assert ask(root, JOIN) == {
        "user_id": ["2", "1"], "item_id": ["07", "07"], "domain": ["d", "d"], "event": ["seen", "like"],
    }  # fmt: skip
    counted = "SELECT u AS user_id, 1 AS item_id, sum(r::INT) AS value FROM ratings GROUP BY ALL ORDER BY ALL"
    assert ask(root, counted)["value"] == [7.0, 3.0]
    assert ask(root, "SELECT number AS user_id, more.x AS item_id FROM people")["item_id"] == [None, "1"]


HOSTILE = (
    "COPY (SELECT 1) TO '{out}'",
    "WITH x AS (COPY (SELECT 1) TO '{out}') SELECT * FROM x",
    "WITH x AS (COPY (SELECT 1) TO '{out}' (USE_TMP_FILE false)) SELECT * FROM x",
    "WITH x AS (COPY (SELECT 1) TO '{here}/films1.csv' (USE_TMP_FILE false)) SELECT * FROM x",
    "WITH x AS (DELETE FROM ratings RETURNING *) SELECT u AS user_id, i AS item_id FROM x",
    "SELECT u AS user_id, i AS item_id FROM ratings; COPY ratings TO '{out}'",
    "CREATE TABLE more AS SELECT 1",
    "ATTACH '{out}'",
    "EXPORT DATABASE '{out}'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('{here}/films1.csv')",
    "SELECT file AS user_id, file AS item_id FROM glob('/etc/*')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM 's3://shop/a.csv'",
    "SELECT * FROM query('COPY (SELECT 1) TO ''{out}''')",
    "SELECT * FROM FILES",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "",
)


@pytest.mark.parametrize("query", HOSTILE)
def test_nothing_else_is_reached_or_written(root: Path, query: str) -> None:
    """By the look at the statement, or by DuckDB, which is closed before the query runs."""
    before = {path: path.read_bytes() for path in root.iterdir()}
    with pytest.raises(
        DataError,
        match=r"^query over files: (expected one SELECT|Permission Error|Catalog Error|Parser Error|.*read-only)",
    ):
        ask(root, query.format(out=root.parent / "out", here=root), {"ratings": FILES["ratings"]})
    assert {path: path.read_bytes() for path in root.iterdir()} == before
    assert [path.name for path in root.parent.iterdir()] == ["data"]


@pytest.mark.parametrize("query", HOSTILE[:8])
def test_duckdb_itself_refuses(root: Path, monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    """Also where the look at the statement is gone: no file changes, and none is made."""
    monkeypatch.setattr(querying, "_check", lambda *_: None)
    before = {path: path.read_bytes() for path in root.iterdir()}
    with pytest.raises((DataError, AttributeError)):
        ask(root, query.format(out=root.parent / "out", here=root), {"ratings": FILES["ratings"]})
    assert {path: path.read_bytes() for path in root.iterdir()} == before
    assert [path.name for path in root.parent.iterdir()] == ["data"]


@pytest.mark.parametrize("what", ["now()", "current_date", "random()"])
def test_equal_files_give_equal_rows(root: Path, what: str) -> None:
    """What gives another answer each time is refused."""
    with pytest.raises(DataError, match=r"gives another answer each time; equal files must give equal rows"):
        ask(root, f"SELECT u AS user_id, {what} AS item_id FROM ratings")  # noqa: S608


def test_an_error_is_told_with_its_place(root: Path) -> None:
    """DuckDB's own words, without a trace; a value is not told, because it may name a person."""
    with pytest.raises(DataError) as caught:
        ask(root, "SELECT usr AS user_id, i AS item_id FROM ratings")
    assert str(caught.value).splitlines()[0].startswith('query over files: Binder Error: Referenced column "usr" not')
    assert str(caught.value).splitlines()[-2:] == [
        "LINE 1: SELECT usr AS user_id, i AS item_id FROM ratings", " " * 15 + "^^^",
    ]  # fmt: skip
    with pytest.raises(DataError, match=r"Parser Error: syntax error at or near .SELEC"):
        ask(root, "SELEC 1")
    with pytest.raises(DataError, match=r"a value does not fit what the query makes of it; TRY_CAST") as caught:
        ask(root, "SELECT email::INT AS user_id, 1 AS item_id FROM people")
    assert "ann@example.com" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT u AS user_id, i AS item_id FROM ratings WHERE false", r"^query over files: it gives no rows"),
        ("SELECT u AS user_id FROM ratings", r"^query over files: column 'item_id', needed for item_id, is missing"),
        ("SELECT 1 AS user_id, 2 AS item_id, 3 AS item_id", r"column 'item_id' stands there 2 times"),
        ("SELECT u AS user_id, i AS item_id FROM films JOIN ratings ON true WHERE r > 3", r"explicit cast is required"),
    ],
)
def test_a_result_that_does_not_fit(root: Path, query: str, told: str) -> None:
    """As of a file."""
    with pytest.raises(DataError, match=told):
        ask(root, query)


def test_a_query_that_does_not_end_is_stopped(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is usually the cause."""
    monkeypatch.setattr(querying, "LIMIT", 0.2)
    with pytest.raises(DataError, match=r"stopped after 0\.2 seconds; is a condition of a JOIN missing"):
        ask(
            root,
            "SELECT count(*) AS user_id, 1 AS item_id FROM range(9999999) a JOIN range(9999999) b ON a.range > b.range",
        )


def test_a_file_of_a_query_is_told_by_its_name(root: Path) -> None:
    """Where it is damaged, and where it is not there."""
    write(root, "films1.csv", "id,title\n8\n")
    with pytest.raises(DataError, match=r"^films1\.csv: line 2: expected 2 fields"):
        ask(root, JOIN)
    write(root, "films1.csv", b"id,title\n8,\xff\n")
    with pytest.raises(DataError, match=r"^films1\.csv: line 2: column 'title': expected UTF-8.*`encoding`"):
        ask(root, JOIN)
    with pytest.raises(DataError, match=r"^no\.csv: there is no such file"):
        ask(root, "SELECT 1", {"x": {"path": "no.csv"}})
