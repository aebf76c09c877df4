"""Airflow's database is whole or as it was, whenever a command is killed; `airflow db migrate` is stood in for."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.folders import Home
from pipeline.local import database
from pipeline.local.database import DatabaseError, make_database

Migrate = Callable[[Path, Mapping[str, str], Path], bool]
TABLES = "create table if not exists dag_run (id); create table if not exists alembic_version (version_num);"


def migrated(path: Path, _environment: Mapping[str, str], _log: Path) -> bool:
    """Bring a database to version 2, as Airflow would; one that stopped half way cannot be brought there."""
    with closing(sqlite3.connect(path)) as found:
        found.executescript(TABLES)
        if found.execute("select name from sqlite_master where name = 'half'").fetchall():
            return False
        found.execute("delete from alembic_version")
        found.execute("insert into alembic_version values ('2')")
        found.commit()
    return True


@pytest.fixture
def home(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Give a home with a folder for Airflow."""
    monkeypatch.setattr(database, "_migrate", migrated)
    (own_home / "airflow").mkdir(parents=True)
    return Home(own_home)


def written(home: Home, *statements: str) -> None:
    """Leave a database behind, in whatever state."""
    with closing(sqlite3.connect(database.database(home))) as found:
        for statement in statements:
            found.executescript(statement)
        found.commit()


def read(home: Home, query: str) -> list[tuple[object, ...]]:
    """Ask the database."""
    with closing(sqlite3.connect(database.database(home))) as found:
        return found.execute(query).fetchall()


def make(home: Home) -> None:
    """Make the database, or upgrade it; afterwards nothing else lies there."""
    make_database(home, os.environ, home.root / "log")
    left = sorted(path.name for path in (home.root / "airflow").iterdir())
    assert len(left) == 2
    assert left[0] == "airflow.db"
    assert read(home, "select * from alembic_version") == [("2",)]


def test_it_is_made_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second start does not touch it; one that was removed is made again."""
    make(home)
    monkeypatch.setattr(database, "_migrate", lambda *arguments: pytest.fail("it was made again"))
    make(home)
    database.database(home).unlink()
    monkeypatch.setattr(database, "_migrate", migrated)
    make(home)


@pytest.mark.parametrize(
    "torso",
    ["", "create table half (id)", "create table half (id);" + TABLES],
    ids=["empty", "without a version", "with an empty version"],
)
def test_a_torso_is_made_anew(home: Home, torso: str) -> None:
    """What a kill left before it had a version holds nothing; it does not even get in the way."""
    written(home, torso)
    make(home)
    assert read(home, "select name from sqlite_master where name = 'half'") == []


def test_what_is_old_is_upgraded_with_all_that_is_in_it(home: Home) -> None:
    """Its runs stay."""
    written(home, TABLES, "insert into alembic_version values ('1'); insert into dag_run values (7)")
    make(home)
    assert read(home, "select id from dag_run") == [(7,)]


def test_half_an_upgrade_counts_for_nothing_without_runs(home: Home) -> None:
    """It cannot be brought home and holds nothing that anyone misses: made anew."""
    written(home, TABLES, "create table half (id)", "insert into alembic_version values ('1')")
    make(home)
    assert read(home, "select name from sqlite_master where name = 'half'") == []


def test_half_an_upgrade_with_runs_is_left_as_it_is(home: Home) -> None:
    """Nobody's runs are thrown away; the message says what they are worth and what to do."""
    written(home, TABLES, "create table half (id)", "insert into alembic_version values ('1')")
    written(home, "insert into dag_run values (7)")
    before = database.database(home).read_bytes()
    with pytest.raises(DatabaseError, match=r"airflow\.db: cannot be upgraded, and is as it was.*holds the 1 runs"):
        make(home)
    assert database.database(home).read_bytes() == before
    assert [path.name for path in (home.root / "airflow").iterdir()] == ["airflow.db"]


def test_what_is_no_database_is_named(home: Home) -> None:
    """It may be anybody's file, so it is not replaced."""
    database.database(home).write_bytes(b"this is no database" * 100)
    with pytest.raises(DatabaseError, match=r"airflow\.db: expected Airflow's database \(file is not a database\)"):
        make(home)


def test_a_kill_on_the_way_breaks_nothing(home: Home, own_home: Path) -> None:
    """SIGKILL in the middle leaves what was there, and a torso that the next start clears away."""
    written(home, TABLES, "insert into alembic_version values ('1'); insert into dag_run values (7)")
    before = database.database(home).read_bytes()
    code = """
import os, signal, sqlite3
from pathlib import Path
from pipeline.folders import Home
from pipeline.local import database
def killed(path, environment, log):
    found = sqlite3.connect(path)
    found.execute("create table half (id)")
    found.commit()
    os.kill(os.getpid(), signal.SIGKILL)
database._migrate = killed
database.make_database(Home.from_env(), {}, Path("log"))
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert database.database(home).read_bytes() == before
    assert len(list((own_home / "airflow").iterdir())) == 2
    make(home)
    assert read(home, "select id from dag_run") == [(7,)]
