"""Queries to a real PostgreSQL: what reads is read, and nothing that a query says changes the database."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from pipeline.config import SqlTable
from pipeline.data.mapping import Mapper
from pipeline.data.readers import sql
from pipeline.data.tables import INTERACTIONS
from pipeline.errors import DataError

pytestmark = pytest.mark.slow


def programs() -> Path | None:
    """Find the folder of PostgreSQL's programs; Debian keeps them off the path."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


def other_user() -> str | None:
    """Name the user that the server runs as: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Start a server of its own that listens on a socket in a folder alone, and give the URL of its database."""
    where = programs()
    if where is None:
        pytest.skip("PostgreSQL is not installed (Debian's package postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="crosslift-pg-", dir="/tmp"))  # a socket's path must be short
    user = other_user()
    if user:
        shutil.chown(folder, user)

    def call(*command: str) -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # the server would hold a pipe open
        subprocess.run(command, user=user, cwd="/", timeout=120, check=True, **quiet)  # type: ignore[call-overload]

    control = (str(where / "pg_ctl"), "-D", str(folder / "data"), "-w")
    settings = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c autovacuum=off"
    try:
        call(str(where / "initdb"), "-D", str(folder / "data"), "-U", "owner", "-A", "trust", "--no-sync")
        call(*control, "-l", str(folder / "log"), "-o", settings, "start")
        try:
            yield f"postgresql+psycopg2://owner@/postgres?host={folder}"
        finally:
            call(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def owner(server: str) -> Iterator["psycopg2.extensions.cursor"]:
    """Give a cursor of the database's owner, with three sales, a sequence, and nothing else."""
    connection = psycopg2.connect(dbname="postgres", user="owner", host=server.partition("host=")[2])
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        cursor.execute("CREATE TABLE sales (user_id text, item_id int, email text)")
        cursor.execute("INSERT INTO sales VALUES ('a', 1, 'ann@example.com'), ('b', 2, 'x'), ('c', 3, 'y')")
        cursor.execute("CREATE SEQUENCE ids")
        cursor.execute(
            "CREATE FUNCTION sell() RETURNS text LANGUAGE sql AS $$INSERT INTO sales VALUES ('d') RETURNING user_id$$"
        )
        yield cursor
    connection.close()


def query(url: str, text: str, tmp_path: Path) -> int:
    """Count the rows of a query's result."""
    table = SqlTable(url=url, query=text, constants={"domain": "shop"})
    return int(sql.read_query(table, tmp_path, Mapper(INTERACTIONS, table)).num_rows)


def state(cursor: "psycopg2.extensions.cursor") -> list[tuple[object, ...]]:
    """Tell all that a query could have changed."""
    cursor.execute("SELECT relname::text, relkind::text FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    relations = sorted(cursor.fetchall())
    cursor.execute("SELECT * FROM sales")
    rows = sorted(cursor.fetchall())
    cursor.execute("SELECT last_value, is_called FROM ids")
    return [*relations, *rows, *cursor.fetchall()]


HOSTILE = (
    "DROP TABLE sales",
    "SELECT 1; COMMIT; DROP TABLE sales",
    "SELECT 'a\\'; COMMIT; DROP TABLE sales; --'",
    "COMMIT; DROP TABLE sales",
    "SET TRANSACTION READ WRITE",
    "DO $$BEGIN DELETE FROM sales; END$$",
    "COPY (SELECT 1) TO '/tmp/crosslift-copied'",
    "SELECT * INTO more FROM sales",
    "WITH gone AS (DELETE FROM sales RETURNING *) SELECT * FROM gone",
    "SELECT sell() AS user_id, 1 AS item_id",
    "SELECT nextval('ids') AS user_id, 1 AS item_id",
    "SELECT user_id, item_id FROM sales FOR UPDATE",
    "SELECT set_config('transaction_read_only', 'off', false) AS user_id, sell() AS item_id",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_query_changes_nothing(server, owner, tmp_path, text):
    """By the look at its words, or by the database, in whose transaction nothing can be written."""
    before = state(owner)
    with pytest.raises(DataError, match=r"expected one query that begins|read-only transaction|read-write mode must"):
        query(server, text, tmp_path)
    assert state(owner) == before
    assert not Path("/tmp/crosslift-copied").exists()  # noqa: S108


@pytest.mark.parametrize("text", [text for text in HOSTILE if ";" not in text and not text.startswith(("SET", "COPY"))])
def test_the_database_itself_refuses(server, owner, tmp_path, monkeypatch, text):
    """Also where the look at the words is gone."""
    monkeypatch.setattr(sql, "_check", lambda *_: None)
    before = state(owner)
    with pytest.raises(DataError, match=r"read-only transaction|read-write mode must"):
        query(server, text, tmp_path)
    assert state(owner) == before


def test_what_reads_is_read(server, owner, tmp_path):
    """As before, with what a table expression or a last semicolon adds."""
    assert query(server, "WITH s AS (SELECT * FROM sales) SELECT user_id, item_id FROM s;", tmp_path) == 3


@pytest.mark.parametrize("driver", ["postgres", "postgres+psycopg2", "postgresql"])
def test_the_old_name_of_the_database_is_understood(server, owner, tmp_path, driver):
    """As many providers write it, and without a driver."""
    url = server.replace("postgresql+psycopg2", driver)
    assert query(url, "SELECT user_id, item_id FROM sales", tmp_path) == 3


def test_a_slow_query_is_stopped_by_the_server(server, owner, tmp_path, monkeypatch):
    """At the limit, with what to do instead; nothing of it runs on."""
    monkeypatch.setattr(sql, "LIMIT", 1)
    with pytest.raises(DataError, match=r"the query was stopped after 1 seconds; let the database write its result"):
        query(server, "SELECT pg_sleep(60) AS user_id, 1 AS item_id", tmp_path)
    owner.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active'"
                  " AND pid <> pg_backend_pid()")  # fmt: skip
    assert owner.fetchone() == (0,)


def test_a_cell_that_the_server_quotes_is_not_told(server, owner, tmp_path):
    """PostgreSQL names the value that it cannot convert; the message does not."""
    with pytest.raises(DataError, match="a value does not fit what the query makes of it") as caught:
        query(server, "SELECT user_id, email::int AS item_id FROM sales", tmp_path)
    assert "ann@example.com" not in str(caught.value)
