"""The local MLflow store, one SQLite file: made whole or not at all, upgraded, and mended where a kill broke it."""

import logging
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import StorageError

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

log = logging.getLogger(__name__)

PATIENCE = 20.0  # seconds to wait for another process's transaction, as long as MLflow itself waits
ARTIFACTS = "artifacts"  # beside the file
_FIRST = "experiments"  # the table that MLflow makes first
_HALF = "_alembic_tmp_"  # what MLflow calls a table while it rewrites it
# Which rows of a table somebody logged: all, but for those that MLflow puts into a new store.
_LOGGED = {"alembic_version": "0", "workspaces": "0", _FIRST: "experiment_id != 0"}
_RESTORE = (
    "Bring the file back from a copy, or move it away: the next run then makes a new store, in which the models "
    "registered so far are missing."
)
_REMEDIES = {  # what SQLite says -> what helps
    "locked": "Another process writes to it: wait until that has ended (`make down` ends the local services), repeat.",
    "not a database|malformed|not MLflow's": _RESTORE,
    "readonly|unable to open": "Make the file and its folder writable for this user, and repeat.",
    "disk": "See that the disk is well and has free space, and repeat.",
}


def file_of(uri: str) -> Path | None:
    """The file of a local store, or None where the store is a server."""
    return Path(uri.removeprefix("sqlite:///")).absolute() if uri.startswith("sqlite:///") else None


def trouble(file: Path, reason: str, remedy: str = "") -> StorageError:
    """Say what is wrong with the store in a file, and what to do."""
    known = (told for sign, told in _REMEDIES.items() if re.search(sign, reason))
    return StorageError(
        f"{file}: MLflow's store did not do what was asked: {reason}. "
        f"{remedy or next(known, 'Repeat it; if that does not help, bring the file back from a copy.')}"
    )


def first_words(error: Exception) -> str:
    """What an error says, without the statements and links that SQLAlchemy appends."""
    text = re.split(r"\n\[SQL|\n\(Background", str(error))[0]
    return re.sub(r"\(sqlite3\.\w+\) ", "", text).strip().rstrip(".")


def make_whole(file: Path) -> None:
    """Bring the store in a file to the schema of this MLflow; it is made if there is none.

    Everything is done on a copy, which then replaces the file's content in one transaction of SQLite. A kill leaves
    what was there before, and a process that has the file open goes on with it. What is replaced is kept beside it.
    Only one process at a time may call it.

    Raises:
        StorageError: the file is damaged, not MLflow's, of a newer MLflow or locked; it is untouched.
    """
    (file.parent / ARTIFACTS).mkdir(parents=True, exist_ok=True)
    try:
        with closing(sqlite3.connect(file, timeout=PATIENCE, isolation_level=None)) as live:
            found, scripts = _Found.of(live), _scripts()
            if found.revision == scripts.get_current_head():
                return
            live.execute("BEGIN IMMEDIATE")  # nobody writes to it meanwhile
            _replace(file, live, found, scripts)
    except sqlite3.Error as error:
        raise trouble(file, str(error)) from error


@dataclass(frozen=True)
class _Found:
    """What a file holds: its tables, the version of its schema, and whether anything was ever logged there."""

    tables: frozenset[str]
    revision: str | None
    used: bool

    @classmethod
    def of(cls, live: sqlite3.Connection) -> "_Found":
        tables = frozenset(name for (name,) in live.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))
        if tables and _FIRST not in tables:
            raise sqlite3.DatabaseError("the database in the file is not MLflow's")
        query = "SELECT version_num FROM alembic_version"
        version = live.execute(query).fetchone() if "alembic_version" in tables else None
        rows = (
            live.execute(f'SELECT 1 FROM "{table}" WHERE {_LOGGED.get(table, 1)} LIMIT 1').fetchone()  # noqa: S608
            for table in tables  # of MLflow, as was just seen
            if not table.startswith("sqlite_")
        )
        return cls(tables, version[0] if version else None, any(rows))


def _replace(file: Path, live: sqlite3.Connection, found: _Found, scripts: "ScriptDirectory") -> None:
    """Put a whole store in the place of what the file holds."""
    if found.revision not in {None, *(script.revision for script in scripts.walk_revisions())}:
        reason = f"another MLflow made it, with the schema {found.revision}, which this one does not know"
        raise trouble(file, reason, "Use that MLflow, or another CROSSLIFT_HOME.")
    with _workplace(file) as folder:
        new = folder / file.name
        if found.used:
            _copy(file, new)
            _drop_halves(new, found.tables)
        _upgrade(file, new)
        if found.tables:
            kept = file.with_name(f"{file.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S}")
            _copy(file, folder / "kept")
            (folder / "kept").replace(kept)
            what = "is upgraded" if found.used else "was half made or old, and empty: it is made anew"
            log.warning("%s: the store %s. What it was is kept as %s.", file, what, kept.name)
        live.execute("ROLLBACK")
        with closing(sqlite3.connect(new)) as whole:
            whole.backup(live, progress=_patience())


def _drop_halves(new: Path, tables: frozenset[str]) -> None:
    """Drop what a killed migration left of tables that it was rewriting: the tables themselves are still there."""
    with closing(sqlite3.connect(new)) as store, store:
        for table in tables:
            if table.startswith(_HALF) and table.removeprefix(_HALF) in tables:
                store.execute(f'DROP TABLE "{table}"')


def _upgrade(file: Path, new: Path) -> None:
    """Bring the copy of a store to the schema of this MLflow; an absent one is made."""
    from alembic.util import CommandError
    from mlflow import db
    from mlflow.exceptions import MlflowException
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy.exc import SQLAlchemyError

    uri = f"sqlite:///{new}"
    try:
        assert db.upgrade.callback is not None
        db.upgrade.callback(uri)  # what `mlflow db upgrade` does
        # Checks the schema, and makes the experiment that MLflow wants to find.
        store = SqlAlchemyStore(uri, (file.parent / ARTIFACTS).as_uri())  # type: ignore[no-untyped-call]
        store.engine.dispose()
    except (MlflowException, SQLAlchemyError, CommandError) as error:
        reason = f"its upgrade to the schema of this MLflow fails ({first_words(error)})"
        raise trouble(file, reason, f"Nothing was changed; another program may have broken it. {_RESTORE}") from error


@contextmanager
def _workplace(file: Path) -> Iterator[Path]:
    folder = file.with_name(f".{file.name}.tmp")
    shutil.rmtree(folder, ignore_errors=True)  # of a killed process
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy(file: Path, to: Path) -> None:
    # A connection of its own: that which writes to a file cannot be copied from.
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(to)) as copy:
        source.backup(copy, progress=_patience())


def _patience() -> Callable[[int, int, int], None]:
    """What ends a copy that would wait for ever for another process's transaction."""
    deadline = time.monotonic() + PATIENCE

    def look(status: int, _left: int, _pages: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise sqlite3.OperationalError("database is locked")

    return look


def _scripts() -> "ScriptDirectory":
    """MLflow's migrations."""
    import mlflow
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
