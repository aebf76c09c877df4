"""Airflow's database, made or upgraded as a whole: on a copy that takes its place when all has gone well."""

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from pipeline.errors import CrossliftError
from pipeline.folders import Home

_PREFIX = ".database-"


class DatabaseError(CrossliftError):
    """Airflow's database could be neither made nor upgraded; what was there is as it was."""


def database(home: Home) -> Path:
    """Where Airflow's database lies."""
    return home.root / "airflow" / "airflow.db"


def make_database(home: Home, environment: Mapping[str, str], log: Path) -> None:
    """Make or upgrade Airflow's database, once for each version of Airflow; the caller sees to it that nothing uses it.

    Raises:
        DatabaseError: it cannot be made, or there are runs in it and it cannot be upgraded.
    """
    final = database(home)
    done = final.with_name(f"database-{version('apache-airflow-core')}")
    if done.exists() and final.exists():
        return
    final.parent.mkdir(parents=True, exist_ok=True)
    for torso in final.parent.glob(f"{_PREFIX}*"):  # of a command that was killed
        shutil.rmtree(torso, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=final.parent, prefix=_PREFIX))
    try:
        copy = folder / final.name
        runs = _copy(final, copy)
        if not _migrate(copy, environment, log):
            if runs:
                raise DatabaseError(
                    f"{final}: cannot be upgraded, and is as it was; the log is {log}. Move it away to begin with an "
                    f"empty one: it holds the {runs} runs that Airflow shows, but no model and no result of a step."
                )
            copy.unlink(missing_ok=True)
            if not _migrate(copy, environment, log):
                raise DatabaseError(f"{final}: Airflow's database could not be made; the log is {log}.")
        copy.replace(final)
        done.touch()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy(final: Path, copy: Path) -> int:
    """Copy a database that was finished once, and count its runs; a torso is not worth a copy.

    Reading it also ends what a killed process left half written beside it, which must not meet another database.
    """
    if not final.exists():
        return 0
    try:
        with closing(sqlite3.connect(final)) as old:
            tables = {name for (name,) in old.execute("select name from sqlite_master where type = 'table'")}
            if "alembic_version" not in tables or not old.execute("select * from alembic_version").fetchall():
                return 0
            with closing(sqlite3.connect(copy)) as new:
                old.backup(new)
            return int(old.execute("select count(*) from dag_run").fetchone()[0])
    except sqlite3.DatabaseError as error:
        raise DatabaseError(f"{final}: expected Airflow's database ({error}); move it away to begin anew.") from error


def _migrate(path: Path, environment: Mapping[str, str], log: Path) -> bool:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        result = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env={**environment, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{path}"},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return result.returncode == 0
