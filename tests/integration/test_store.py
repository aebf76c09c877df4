"""The local MLflow store under SIGKILL: a kill while it is made or upgraded, and homes that were broken before."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
OLDER = "c3d9e7f1a2b4"  # a schema of MLflow, some migrations before that of the version in the lock

# Loads MLflow once and forks a process for each job, a line of JSON; answers with its exit code and what it told.
DRIVER = """
import json, os, signal, sqlite3, sys, tempfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from pipeline.folders import Home
from pipeline.registry import store, tracking

tracking._quiet()
import sqlalchemy
from alembic import command
from mlflow import db
from mlflow.store.db import utils
from mlflow.store.model_registry import sqlalchemy_store
from mlflow.store.tracking.dbmodels.initial_models import Base
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from pipeline.cli import main
from pipeline.registry.lookup import find_champion, list_models

def kill_after(count):
    '''Die after so many statements that write.'''
    seen = []
    def hook(connection, cursor, statement, *_):
        if not statement.lstrip().upper().startswith(("PRAGMA", "SELECT")):
            seen.append(statement)
        if len(seen) == count:
            os.kill(os.getpid(), signal.SIGKILL)
    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "after_cursor_execute", hook)

def kill_in_replacement(count):
    '''Die when so many pages of the file itself are replaced; its cache is so small that they are on the disk.'''
    def left(status, remaining, total):
        if total - remaining >= count:
            os.kill(os.getpid(), signal.SIGKILL)

    class Killing(sqlite3.Connection):
        def backup(self, target, **options):
            file = target.execute("PRAGMA database_list").fetchone()[2]
            if ".tmp/" in file:
                return super().backup(target, **options)
            target.execute("PRAGMA cache_size = 5")
            super().backup(target, pages=10, progress=left)

    store.sqlite3 = SimpleNamespace(**{**vars(sqlite3), "connect": partial(sqlite3.connect, factory=Killing)})

def make(home, statements=0, pages=0):
    '''Connect; die after so many statements or replaced pages, if any.'''
    if statements:
        kill_after(statements)
    if pages:
        kill_in_replacement(pages)
    tracking.connect(home)

def make_in_place(home, statements):
    '''What MLflow does by itself, and what was done before the store was made elsewhere.'''
    home.mlflow.mkdir(parents=True, exist_ok=True)
    kill_after(statements)
    SqlAlchemyStore(tracking.store_uri(home), "artifacts")

def make_older(home, revision):
    '''The store of an older MLflow.'''
    home.mlflow.mkdir(parents=True)
    engine = utils.create_sqlalchemy_engine(tracking.store_uri(home))
    Base.metadata.create_all(engine)
    command.upgrade(utils._get_alembic_config(tracking.store_uri(home)), revision)

def register(home, name):
    client = tracking.connect(home)
    tracking.experiment_id(client, home, "crosslift/x")
    client.create_registered_model(name)

def models(home):
    print(json.dumps([model.name for model in list_models(home)]))

def champion(home):
    print(find_champion(home, "crosslift.demo"))

def crosslift(home, *arguments):
    store.PATIENCE = 0.2
    os.environ["CROSSLIFT_HOME"] = str(home.root)
    sys.argv = ["crosslift", *arguments]
    sys.exit(main())

for line in sys.stdin:
    job, home, *arguments = json.loads(line)
    out = tempfile.TemporaryFile("w+")
    if (pid := os.fork()) == 0:
        code = 1
        try:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
            globals()[job](Home(Path(home)), *arguments)
            code = 0
        except SystemExit as ended:
            code = ended.code
        except BaseException as error:
            print(type(error).__name__, error)
        finally:
            sys.stdout.flush()
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    out.seek(0)
    print(json.dumps([code, out.read()]), flush=True)
"""

Job = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def job() -> Iterator[Job]:
    """Give a function that does a job in a process that has MLflow loaded; gives its exit code and what it told."""
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )

    def do(name: str, home: Path, *arguments: Any) -> tuple[int, str]:
        assert driver.stdin is not None
        assert driver.stdout is not None
        driver.stdin.write(json.dumps([name, str(home), *arguments]) + "\n")
        driver.stdin.flush()
        code, told = json.loads(driver.stdout.readline())
        return code, told

    with driver:
        yield do
        driver.terminate()


@pytest.fixture(scope="module")
def whole(job: Job, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a whole store that holds one registered model."""
    home = tmp_path_factory.mktemp("whole") / "home"
    assert job("register", home, "crosslift.kept") == (0, "")
    return home


@pytest.fixture(scope="module")
def older(job: Job, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the store of an older MLflow that holds one registered model."""
    home = tmp_path_factory.mktemp("older") / "home"
    assert job("make_older", home, OLDER) == (0, "")
    with closing(sqlite3.connect(file_of(home))) as store, store:
        store.execute("INSERT INTO registered_models (name) VALUES ('crosslift.kept')")
    return home


def file_of(home: Path) -> Path:
    return home / "mlflow" / "mlflow.db"


def copied(home: Path, to: Path) -> Path:
    shutil.copytree(home, to)
    return to


def ask(home: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file_of(home))) as store:
        return store.execute(query).fetchall()


def tables(home: Path) -> int:
    return len(ask(home, "SELECT 1 FROM sqlite_master WHERE type = 'table'"))


def kept(home: Path) -> list[Path]:
    return sorted((home / "mlflow").glob("mlflow.db.before-*"))


# Statements of migrations, or pages of the file itself, after which the process is killed.
@pytest.mark.parametrize("moment", [(150,), (0, 100)])
def test_killed_while_it_is_made(job: Job, tmp_path: Path, moment: tuple[int, ...]) -> None:
    """SIGKILL in the first connection leaves an empty file at most, and the next one makes the store."""
    home = tmp_path / "home"
    assert job("make", home, *moment)[0] == -9
    assert tables(home) == 0
    assert job("register", home, "crosslift.kept") == (0, "")
    assert job("models", home) == (0, '["crosslift.kept"]\n')
    assert ask(home, "SELECT artifact_location FROM experiments WHERE experiment_id = 0") == [
        ((home / "mlflow" / "artifacts" / "0").as_uri(),)
    ]
    assert sorted(path.name for path in (home / "mlflow").iterdir()) == ["artifacts", "mlflow.db"]


@pytest.mark.parametrize("statements", [9, 150])
def test_a_home_that_a_kill_broke_before(job: Job, tmp_path: Path, statements: int) -> None:
    """A store that was left half made in its place, so that MLflow stumbles over it, is set aside and made anew."""
    home = tmp_path / "home"
    assert job("make_in_place", home, statements)[0] == -9
    half = tables(home)
    assert half > 0
    code, told = job("models", home)
    assert code == 0
    assert f"{file_of(home)}: the store was half made or old, and empty: it is made anew." in told
    assert told.endswith("[]\n")
    assert job("register", home, "crosslift.kept") == (0, "")
    [aside] = kept(home)
    with closing(sqlite3.connect(aside)) as store:
        assert len(store.execute("SELECT 1 FROM sqlite_master WHERE type = 'table'").fetchall()) == half


@pytest.mark.parametrize("moment", [(20,), (0, 100)])
def test_killed_while_it_is_upgraded(job: Job, tmp_path: Path, older: Path, moment: tuple[int, ...]) -> None:
    """A used store of an older MLflow is as it was after SIGKILL; the next connection upgrades it with its models."""
    home = copied(older, tmp_path / "home")
    before = ask(home, "SELECT * FROM sqlite_master")
    assert job("make", home, *moment)[0] == -9
    assert ask(home, "SELECT * FROM sqlite_master") == before
    assert ask(home, "SELECT version_num FROM alembic_version") == [(OLDER,)]
    code, told = job("models", home)
    assert code == 0
    assert "the store is upgraded. What it was is kept as mlflow.db.before-" in told
    assert told.endswith('["crosslift.kept"]\n')
    assert job("models", home) == (0, '["crosslift.kept"]\n')
    with closing(sqlite3.connect(kept(home)[-1])) as store:
        assert store.execute("SELECT name FROM registered_models").fetchall() == [("crosslift.kept",)]


def test_an_upgrade_in_place_that_a_kill_broke_before(job: Job, tmp_path: Path, older: Path) -> None:
    """A used store that MLflow itself left half upgraded, with a table half rewritten, is mended with its models."""
    home = copied(older, tmp_path / "home")
    assert job("make_in_place", home, 1)[0] == -9
    assert ask(home, "SELECT name FROM sqlite_master WHERE name LIKE '\\_alembic%' ESCAPE '\\'")
    code, told = job("models", home)
    assert (code, told.splitlines()[-1]) == (0, '["crosslift.kept"]')


def test_an_upgrade_in_place_beyond_repair(job: Job, tmp_path: Path, older: Path) -> None:
    """A used store whose half upgrade nobody can go on with is not touched; the message says what to do."""
    home = copied(older, tmp_path / "home")
    assert job("make_in_place", home, 7)[0] == -9
    ask(home, "SELECT 1")  # what SQLite itself takes back
    before = file_of(home).read_bytes()
    code, told = job("crosslift", home, "models", "list")
    assert code == 1
    assert "its upgrade to the schema of this MLflow fails (" in told
    assert "Nothing was changed; another program may have broken it. Bring the file back from a copy" in told
    assert file_of(home).read_bytes() == before
    assert kept(home) == []


def spoil(home: Path, how: str) -> None:
    file = file_of(home)
    if how == "damaged":
        file.write_bytes(b"no database, " * 1000)
        return
    statements = {
        "another program's": ["CREATE TABLE mine (x)"],
        "of a newer MLflow": ["UPDATE alembic_version SET version_num = 'newer'"],
        "altered": ["ALTER TABLE registered_models DROP COLUMN description"],
    }
    if how == "another program's":
        file.unlink()
    with closing(sqlite3.connect(file)) as store, store:
        for statement in statements[how]:
            store.execute(statement)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("damaged", "file is not a database. Bring the file back from a copy, or move it away"),
        ("another program's", "the database in the file is not MLflow's. Bring the file back from a copy"),
        ("of a newer MLflow", "another MLflow made it, with the schema newer, which this one does not know. Use that"),
        ("altered", "no such column: registered_models.description. Repeat it; if that does not help, bring the"),
    ],
)
def test_a_file_that_cannot_be_used(job: Job, tmp_path: Path, whole: Path, how: str, told: str) -> None:
    """Whoever needs the store is told in one line what is wrong with which file and what to do; it stays as it is."""
    home = copied(whole, tmp_path / "home")
    spoil(home, how)
    before = file_of(home).read_bytes()
    for command in (("models", "list"), ("clean", "--dry-run"), ("recommend", "demo", "--user", "u00042")):
        code, said = job("crosslift", home, *command)
        assert code == 1
        assert f"crosslift: {file_of(home)}: MLflow's store did not do what was asked: {told}" in said
        assert len(said.splitlines()) == 1
    code, said = job("champion", home)
    assert code == 1
    assert said.startswith(f"StorageError {file_of(home)}: ")
    assert file_of(home).read_bytes() == before


def test_a_locked_file(job: Job, tmp_path: Path, whole: Path) -> None:
    """A store that another process keeps locked is told as such, and serves when that has ended."""
    home = copied(whole, tmp_path / "home")
    with closing(sqlite3.connect(file_of(home), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        code, told = job("crosslift", home, "models", "list")
        other.execute("ROLLBACK")
    assert code == 1
    assert "database is locked. Another process writes to it: wait until that has ended" in told
    assert len(told.splitlines()) == 1
    assert job("models", home) == (0, '["crosslift.kept"]\n')
