"""A query's result becomes a canonical table, and no message holds a password."""

import sqlite3

import pytest
import sqlalchemy as sa

from pipeline.config import SqlTable
from pipeline.data.mapping import Mapper
from pipeline.data.sql import read_query
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
    return read_query(table, root, Mapper("interactions", table))


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


def test_a_query_changes_nothing(shop):
    """What a query writes is rolled back."""
    with pytest.raises(DataError, match="gives no table; expected a SELECT"):
        query(shop, "DELETE FROM sales")
    assert query(shop, "SELECT * FROM sales").num_rows == 3


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * FROM nowhere", r"SQL \(sqlite\): the query failed \(no such table: nowhere\)"),
        ("SELECT * FROM sales WHERE 0", "the query gives no rows"),
        ("SELECT user_id AS usr_id, item_id FROM sales", "column 'user_id'.*missing. Did you mean 'usr_id'"),
        ("SELECT user_id, item_id, day AS timestamp FROM sales", "column 'timestamp', row 3: expected a date.*got 'x'"),
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
        ("nobase://reader:${SHOP_PASSWORD}@host/shop", "the query failed"),
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
    assert caught.value.__suppress_context__


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
