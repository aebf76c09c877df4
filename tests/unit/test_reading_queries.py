"""A query over files joins and filters them, and can neither reach anything else nor write."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.config import Tables
from pipeline.data.readers import queries, querying
from pipeline.data.readers.inputs import inputs_of
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


@pytest.mark.parametrize("note", ["email", "'from ' || upper(email)", "{'who': email}::VARCHAR"])
def test_a_query_shows_no_person_by_another_name(root: Path, note: str) -> None:
    """It may call the people as it likes; what holds them under a second name is refused before it is written."""
    people, columns = "FROM people WHERE email IS NOT NULL", {"user_id": "buyer", "event": "note"}
    with pytest.raises(DataError, match="'buyer' is user_id, which is personal, and stands in column 'note'") as caught:
        ask(root, f"SELECT email AS buyer, {note} AS note, number AS item_id {people}", columns=columns)
    assert "ann@" not in str(caught.value).lower()
    told = ask(root, f"SELECT email AS buyer, 'x' AS note, number AS item_id {people}", columns=columns)
    assert told["user_id"] == ["ann@example.com"]


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


@pytest.mark.parametrize(
    ("rest", "read"),
    [
        ("u AS user_id, i AS item_id FROM ratings", {"u", "i"}),
        ("U AS user_id, x.I AS item_id FROM ratings AS x WHERE r > '3' ORDER BY user_id", {"u", "i", "r"}),
        ("max(u) AS user_id, i AS item_id FROM ratings JOIN films ON i = id GROUP BY ALL", {"u", "i", "id"}),
        ("user_id, i AS item_id FROM (SELECT u AS user_id, i FROM ratings)", {"u", "i"}),
        ("number AS user_id, more.x AS item_id FROM people", {"number", "more"}),
        ("id AS user_id, 1 AS item_id FROM films UNION ALL SELECT u, i FROM ratings", {"id", "u", "i"}),
        ("count(*) AS user_id, 1 AS item_id FROM ratings", set()),
        ("u AS user_id, i AS item_id, * FROM ratings", None),
        ("u AS user_id, COLUMNS('i') AS item_id FROM ratings", None),
        ("#1 AS user_id, #2 AS item_id FROM ratings", None),
        ("u AS user_id, ratings::VARCHAR AS item_id FROM ratings", None),
        ("a AS user_id, b AS item_id FROM ratings AS x(a, b)", None),
        ("u AS user_id, id AS item_id FROM ratings NATURAL JOIN (SELECT i, u AS id FROM ratings)", None),
        ("name AS user_id, value AS item_id FROM (UNPIVOT ratings ON u, i INTO NAME name VALUE value)", None),
    ],
)  # fmt: skip
def test_only_what_a_query_names_is_read(
    root: Path, monkeypatch: pytest.MonkeyPatch, rest: str, read: set[str] | None
) -> None:
    """All where something without its name is meant; the rows are those that a query over all columns gives."""
    asked = []

    def told(parsed: object) -> frozenset[str] | None:
        asked.append(queries.named_columns(parsed))
        return asked[-1]

    monkeypatch.setattr(querying, "named_columns", told)
    found = ask(root, f"SELECT {rest}")
    columns = {"u", "i", "r", "id", "title", "kind", "number", "email", "more"}
    assert (asked[0] if read is None else asked[0] & columns) == read
    monkeypatch.setattr(querying, "named_columns", lambda _: None)
    assert ask(root, f"SELECT {rest}") == found


def test_what_a_query_does_not_name_refuses_nothing(root: Path) -> None:
    """Bytes that are no text, and a name that stands there twice."""
    write(root, "films1.csv", b"id,title,x,X\n07,\xff,a,b\n")
    write(root, "people.jsonl", b'{"number": 1, "note": "caf\xe9"}\n')
    assert ask(root, "SELECT id AS user_id, id AS item_id FROM films WHERE id < '1'")["item_id"]
    assert ask(root, "SELECT number AS user_id, 2 AS item_id FROM people")["item_id"] == ["2"]
    with pytest.raises(DataError, match=r"people\.jsonl: line 1: column 'note': expected UTF-8.*`encoding`"):
        ask(root, "SELECT number AS user_id, note AS item_id FROM people")


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
    monkeypatch.setattr(querying, "_parsed", lambda *_: {})
    before = {path: path.read_bytes() for path in root.iterdir()}
    with pytest.raises((DataError, AttributeError)):
        ask(root, query.format(out=root.parent / "out", here=root), {"ratings": FILES["ratings"]})
    assert {path: path.read_bytes() for path in root.iterdir()} == before
    assert [path.name for path in root.parent.iterdir()] == ["data"]


@pytest.mark.parametrize("rest", ["USING SAMPLE 1", "TABLESAMPLE reservoir(1)", "USING SAMPLE 10% (bernoulli)"])
def test_a_sample_is_chance(root: Path, rest: str) -> None:
    """It is no function, and gives other rows each time; a column may be called so."""
    with pytest.raises(DataError, match=r"using sample gives another answer each time"):
        ask(root, f"SELECT user_id, item_id FROM (SELECT u AS user_id, i AS item_id FROM ratings {rest})")  # noqa: S608
    assert ask(root, "SELECT sample AS user_id, sample AS item_id FROM (SELECT u AS sample FROM ratings)")


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ({"item_id": [7]}, {"item_id": ["007"]}, {"item_id": ["7", "007"]}),
        ({"item_id": ["007"]}, {"item_id": [7]}, {"item_id": ["007", "7"]}),
        ({"item_id": ["a"], "value": [1]}, {"item_id": ["b"], "value": [2.5]}, {"value": [1.0, 2.5]}),
        (
            {"item_id": ["a"], "timestamp": [dt.date(2024, 1, 1)]},
            {"item_id": ["b"], "timestamp": [dt.datetime(2024, 1, 1, 5)]},  # noqa: DTZ001
            {"timestamp": [dt.datetime(2024, 1, 1, hour, tzinfo=dt.UTC) for hour in (0, 5)]},
        ),
    ],
)
def test_the_first_of_several_files_does_not_decide_the_types(
    root: Path, first: dict[str, Any], second: dict[str, Any], wanted: dict[str, Any]
) -> None:
    """What the second one holds stays what it is: 007 is not 7, 2.5 not 3, and five o'clock not midnight."""
    for number, rows in enumerate((first, second)):
        write(root, f"part{number}.parquet", {"user_id": ["u"], **rows})
    found = ask(root, "SELECT * FROM parts", {"parts": {"path": "part*.parquet"}})
    assert {name: found[name] for name in wanted} == wanted


def test_times_with_and_without_a_zone_are_not_mixed(root: Path) -> None:
    """Those without one would be of UTC without a word, whatever `timezone` says."""
    for number, zone in enumerate((None, "UTC")):
        times = pa.array([dt.datetime(2024, 7, 1)], pa.timestamp("us", zone))  # noqa: DTZ001
        write(root, f"part{number}.parquet", {"user_id": ["u"], "item_id": ["i"], "timestamp": times})
    with pytest.raises(
        DataError, match=r"^part1\.parquet: column 'timestamp': expected TIMESTAMP as in the files before"
    ):
        ask(root, "SELECT * FROM parts", {"parts": {"path": "part*.parquet"}})


def test_texts_of_json_stay_texts(root: Path) -> None:
    """No text becomes a date, whose day and month nobody knows, nor an id of other letters or in quotes."""
    rows = [
        {
            "u": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "i": "03-04-2024",
            "s": {"x date": "2024-01-01"},
            "v": 1,
            "e": None,
        },
        {"u": 7, "i": "01:00:00", "s": {"x date": "2024-01-02"}, "v": 2.5, "e": None},
    ]
    write(root, "texts.jsonl", "\n".join(map(json.dumps, rows)))
    query = """SELECT u AS user_id, i AS item_id, s."x date" || '!' AS event, v * 2 AS value, e AS split FROM texts"""
    assert ask(root, query, {"texts": {"path": "texts.jsonl"}}) == {
        "user_id": ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "7"], "item_id": ["03-04-2024", "01:00:00"],
        "domain": ["d", "d"], "event": ["2024-01-01!", "2024-01-02!"], "value": [2.0, 5.0], "split": [None, None],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "user_id,item_id,item_id\nu,1,2\n"),
        ("a.csv", "user_id,item_id,ITEM_ID\nu,1,2\n"),
        ("item_id=1/a.csv", "user_id,item_id\nu,2\n"),
        ("a.jsonl", '{"user_id": "u", "item_id": 1}\n{"user_id": "u", "Item_id": 2}\n'),
    ],
)
def test_a_column_that_stands_there_twice_is_refused(root: Path, name: str, content: str) -> None:
    """SQL gives the first of them without a word."""
    write(root, name, content)
    with pytest.raises(DataError, match=r"column '.tem_id' stands there more than once"):
        ask(root, "SELECT user_id, item_id FROM t", {"t": {"path": name}})
    write(root, "b.csv", "user_id,item_id,,\nu,1,2,3\n")  # columns without a name are no names
    assert ask(root, "SELECT user_id, item_id FROM t", {"t": {"path": "b.csv"}})["item_id"] == ["1"]
    write(root, "c.csv", ",x\n0,1\n")  # none of which the query names
    assert ask(root, "SELECT 'u' AS user_id, 1 AS item_id FROM t", {"t": {"path": "c.csv"}})["item_id"] == ["1"]


@pytest.mark.parametrize(("name", "form"), [("a.jsonl", "{}"), ("a.json", "[{}]")])
def test_no_object_stands_in_a_message(root: Path, name: str, form: str) -> None:
    """DuckDB quotes the whole object that has a key twice."""
    write(root, name, form.replace("{}", '{"user_id": "ann@example.com", "item_id": 1, "item_id": 2}'))
    with pytest.raises(DataError, match=r"has duplicate key") as caught:
        ask(root, "SELECT * FROM t", {"t": {"path": name}})
    assert "ann@" not in str(caught.value)


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
    write(root, "films1.csv", b"id,title\n\xff,8\n")
    with pytest.raises(DataError, match=r"^films1\.csv: line 2: column 'id': expected UTF-8.*`encoding`"):
        ask(root, JOIN)
    with pytest.raises(DataError, match=r"^no\.csv: there is no such file"):
        ask(root, "SELECT 1", {"x": {"path": "no.csv"}})
