"""A query's result becomes a canonical table, and no message holds a password."""

import sqlite3

import pytest
import sqlalchemy as sa

from pipeline.config import SqlTable
from pipeline.data.mapping import Mapper
from pipeline.data.readers.sql import read_query
from pipeline.data.tables import INTERACTIONS
from pipeline.errors import ConfigError, DataError


@pytest.fixture
def root(tmp_path):
    """An empty data folder."""
    folder = (tmp_path / "data").resolve()
    folder.mkdir()
    return folder


@pytest.fixture
def shop(root):
    """A SQLite database of three rows."""
    with sqlite3.connect(root / "shop.db") as connection:
        connection.execute("CREATE TABLE sales (user_id TEXT, item_id INTEGER, day TEXT, paid)")
        rows = [("007", 2**60, "2024-01-01", 1.5), ("a", None, None, None), ("b", 1, "x", 2)]
        connection.executemany("INSERT INTO sales VALUES (?, ?, ?, ?)", rows)
    connection.close()
    return root


def query(root, sql, url="sqlite:///shop.db", **spec):
    """What read_query makes of a query."""
    table = SqlTable(url=url, query=sql, constants={"domain": "shop"}, **spec)
    return read_query(table, root, Mapper(INTERACTIONS, table))


def test_a_query_gives_a_canonical_table(shop):
    """Big integers beside a missing one keep their digits; a percent sign and a colon in the query are only text."""
    table = query(
        shop, "SELECT *, ':x %s' AS event FROM sales WHERE day LIKE '2024%' OR day IS NULL", columns={"value": "paid"}
    )
    assert table.to_pydict() == {
        "user_id": ["007", "a"],
        "item_id": [str(2**60), None],
        "domain": ["shop", "shop"],
        "event": [":x %s"] * 2,
        "value": [1.5, None],
    }


HOSTILE = (
    "DELETE FROM sales",
    "DROP TABLE sales",
    "PRAGMA user_version = 5",
    "PRAGMA journal_mode = wal",
    "VACUUM",
    "VACUUM INTO 'copy.db'",
    "ATTACH 'other.db' AS other",
    "CREATE TABLE more AS SELECT 1",
    "INSERT INTO sales SELECT * FROM sales RETURNING *",
    "WITH a AS (SELECT 1) DELETE FROM sales RETURNING *",
    "/* SELECT */ DROP TABLE sales",
    "-- SELECT\nDROP TABLE sales",
    "SELECT 1; DROP TABLE sales",
    "SELECT 'a\\'; DROP TABLE sales; --'",
    "BEGIN IMMEDIATE",
    "EXPLAIN SELECT 1",
    "SELECT * FROM sales INTO OUTFILE 'copy.csv'",
    "",
)


@pytest.fixture
def read_all(shop):
    """Give a function that tells every file of the data folder, byte for byte."""
    return lambda: {path.name: path.read_bytes() for path in shop.iterdir()}


@pytest.mark.parametrize("sql", HOSTILE)
def test_a_query_changes_nothing(shop, read_all, monkeypatch, tmp_path, sql):
    """Whatever a query would write: the file stays as it is, and no other one appears."""
    before = read_all()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"expected one query that begins|the query failed"):
        query(shop, sql)
    assert read_all() == before
    assert list(tmp_path.iterdir()) == [shop]


@pytest.mark.parametrize("sql", [sql for sql in HOSTILE if sql not in ("", "EXPLAIN SELECT 1", "BEGIN IMMEDIATE")])
def test_the_database_itself_refuses_what_writes(shop, read_all, monkeypatch, tmp_path, sql):
    """Also where the look at the query's words is gone: the file is open for reading alone."""
    monkeypatch.setattr("pipeline.data.readers.sql._check", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    before = read_all()
    with pytest.raises(DataError):
        query(shop, sql)
    assert read_all() == before
    assert list(tmp_path.iterdir()) == [shop]


@pytest.mark.parametrize(
    "sql",
    [
        "select * from sales;\n",
        "-- every sale\nSELECT * FROM sales",
        "/* every\nsale */ SELECT * FROM sales",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) "
        "SELECT user_id, item_id FROM sales CROSS JOIN n GROUP BY user_id",
        "SELECT user_id, item_id FROM sales, json_each('[1]')",
        "VALUES ('a', 1), ('b', 2), ('c', 3)",
    ],
)
def test_a_query_that_reads_is_answered(shop, sql):
    """Comments, a last semicolon, common table expressions and table functions are no harm."""
    columns = {"user_id": "column1", "item_id": "column2"} if sql.startswith("VALUES") else {}
    assert query(shop, sql, columns=columns).num_rows == 3


def test_a_log_beside_the_file_is_read_and_none_is_left_there(shop, read_all):
    """In WAL mode SQLite would leave two files behind; one that is in use is read with what its log holds."""
    connection = sqlite3.connect(shop / "shop.db")
    connection.execute("PRAGMA journal_mode = wal")
    connection.close()
    before = read_all()
    assert set(before) == {"shop.db"}
    assert query(shop, "SELECT * FROM sales").num_rows == 3
    assert read_all() == before
    connection = sqlite3.connect(shop / "shop.db")
    connection.execute("INSERT INTO sales VALUES ('new', 1, '2024-01-01', 1)")
    connection.commit()
    assert query(shop, "SELECT * FROM sales WHERE user_id = 'new'").num_rows == 1
    connection.close()


def test_a_file_that_changes_while_it_is_read_is_refused(shop, monkeypatch):
    """Without its locks nobody else can say that what was read belongs together."""
    connection = sqlite3.connect(shop / "shop.db")
    connection.execute("PRAGMA journal_mode = wal")
    connection.close()

    def write(connection, cursor, statement, *_):
        other = sqlite3.connect(shop / "shop.db")
        other.execute("DELETE FROM sales WHERE user_id = 'b'")
        other.commit()
        other.close()

    sa.event.listen(sa.Engine, "after_cursor_execute", write)
    try:
        with pytest.raises(DataError, match=r"shop\.db: changed while it was read; repeat"):
            query(shop, "SELECT * FROM sales")
    finally:
        sa.event.remove(sa.Engine, "after_cursor_execute", write)


def test_a_query_that_never_ends_is_stopped(shop, monkeypatch):
    """At the limit, with what to do instead."""
    monkeypatch.setattr("pipeline.data.readers.sql.LIMIT", 1)
    with pytest.raises(DataError, match=r"SQL \(sqlite\): the query was stopped after 1 seconds; let the database"):
        query(shop, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n")


def test_a_database_that_cannot_be_opened_for_reading_only_is_refused(root):
    """Before anything is sent to it."""
    with pytest.raises(DataError, match=r"SQL \(oracle\): .* knows how for mariadb, mysql, postgresql, sqlite; write"):
        query(root, "SELECT 1", url="oracle://reader@host/shop")


def test_a_value_that_the_database_quotes_is_not_told(root, monkeypatch):
    """An error about a value may hold the value of a person; one about the query may not."""

    def refuse(dialect, record, arguments, parameters):
        raise sa.exc.DataError("SELECT 1", None, Exception('invalid input syntax for type integer: "ann@example.com"'))

    sa.event.listen(sa.Engine, "do_connect", refuse)
    try:
        with pytest.raises(DataError, match="a value does not fit what the query makes of it") as caught:
            query(root, "SELECT 1", url="postgresql+psycopg2://reader@host/shop")
    finally:
        sa.event.remove(sa.Engine, "do_connect", refuse)
    assert "ann@example.com" not in str(caught.value)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * FROM nowhere", r"SQL \(sqlite\): the query failed \(no such table: nowhere\)"),
        ("SELECT * FROM sales WHERE 0", "the query gives no rows"),
        ("SELECT user_id AS usr_id, item_id FROM sales", "column 'user_id'.*missing. Did you mean 'usr_id'"),
        ("SELECT item_id AS user_id, 1 AS item_id, 'x' AS timestamp FROM sales", "'timestamp', row 1: expected a date"),
        (
            "SELECT 1 AS user_id, 2 AS item_id UNION SELECT 'x', 3",
            r"column 'user_id': expected values of one.*CAST\(user_id",
        ),
    ],
)
def test_a_query_that_does_not_fit_is_refused(shop, sql, message):
    """With the database's own words where it refused."""
    with pytest.raises(DataError, match=message):
        query(shop, sql)


def test_one_time_that_cannot_be_read_is_marked(shop):
    """The other rows are read, and the query is named in the file's place."""
    found = query(shop, "SELECT user_id, item_id, day AS timestamp FROM sales")
    assert found["timestamp"].null_count >= 1
    marks = found.select(["unread", "unread_file", "unread_row", "unread_value"]).drop_null().to_pylist()
    assert marks == [{"unread": "timestamp", "unread_file": "SQL (sqlite)", "unread_row": 3, "unread_value": "'x'"}]


def test_variables_in_the_url_are_filled_in_from_the_environment(shop, monkeypatch):
    """One that is not set is named."""
    monkeypatch.setenv("SHOP_FILE", "shop.db")
    assert query(shop, "SELECT * FROM sales", url="sqlite:///${SHOP_FILE}").num_rows == 3
    monkeypatch.delenv("SHOP_FILE")
    with pytest.raises(ConfigError, match=r"names \$\{SHOP_FILE\}, but the environment variable SHOP_FILE is not set"):
        query(shop, "SELECT * FROM sales", url="sqlite:///${SHOP_FILE}")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql+psycopg2://reader:${SHOP_PASSWORD}@host/shop", r"the query failed \(no entry with \*\*\*\)"),
        ("no url at all ${SHOP_PASSWORD}", "expected a SQLAlchemy URL"),
        ("nobase://reader:${SHOP_PASSWORD}@host/shop", r"SQL \(nobase\): Crosslift opens a database for reading only"),
    ],
)
def test_a_password_never_appears_in_a_message(root, monkeypatch, url, message):
    """Nor in the errors that led to it."""
    monkeypatch.setenv("SHOP_PASSWORD", "Tr0ub4dor-and-3")

    def refuse(dialect, record, arguments, parameters):
        raise sa.exc.OperationalError("SELECT 1", None, Exception(f"no entry with {parameters['password']}"))

    sa.event.listen(sa.Engine, "do_connect", refuse)
    try:
        with pytest.raises(DataError, match=message) as caught:
            query(root, "SELECT 1", url=url)
    finally:
        sa.event.remove(sa.Engine, "do_connect", refuse)
    assert "Tr0ub4dor" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///no.db", "no such SQLite file"),
        ("sqlite://", "no such SQLite file"),
        ("sqlite:////etc/x.db", "leads out"),
    ],
)
def test_sqlite_files_lie_below_the_data_folder(root, url, message):
    """And a missing one is not made."""
    with pytest.raises(DataError, match=message):
        query(root, "SELECT 1", url=url)
    assert not list(root.iterdir())
