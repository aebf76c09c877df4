"""Nights that fail: whatever goes wrong, no log, page or record names a person, and nobody else can read them."""

import gzip
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from pipeline import steps
from pipeline.results import StepResult
from pipeline.runs.run import Run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
KEY = "canary-key-of-more-than-sixteen-characters"
USERS = [f"canary-{place:02}@example.com" for place in range(30)]
REAL = steps.call_task
SCENARIO: dict[str, Any] = {
    "title": "Canaries",
    "sources": ["here"],
    "target": "there",
    "bridges": ["users"],
    "personal": ["user_id", "title"],
    "split": {"kind": "leave_last_out"},
    "strategies": [{"tune": {"kind": "scratch"}}],
    "baselines": [{"kind": "popularity"}],
}


def rows() -> pd.DataFrame:
    """Make sound interactions of thirty people in both shops."""
    return pd.DataFrame(
        [
            {"user_id": user, "item_id": f"i{item}", "domain": domain, "timestamp": f"2024-01-{item + 1:02}"}
            for domain in ("here", "there")
            for user in USERS
            for item in range(6)
        ]
    )


def broken_step(run: Run, step: str, lane: str) -> list[StepResult]:
    """Be the real step, but for one whose library quotes a row that it read."""
    if step == "validate":
        row = ", ".join(USERS)
        try:
            raise KeyError(row)
        except KeyError as error:
            raise ValueError(row) from error
    return REAL(run, step, lane)


def write_csv(folder: Path, frame: pd.DataFrame, **options: Any) -> dict[str, Any]:
    frame.to_csv(folder / "rows.csv", index=False, **options)
    return {"path": "rows.csv"}


def missing_column(folder: Path) -> dict[str, Any]:
    return {**write_csv(folder, rows()), "columns": {"user_id": "customer"}}


def no_header(folder: Path) -> dict[str, Any]:
    return write_csv(folder, rows(), header=False)


def no_time(folder: Path) -> dict[str, Any]:
    return write_csv(folder, rows().assign(timestamp="yesterday"))


def people_as_times(folder: Path) -> dict[str, Any]:
    return {**write_csv(folder, rows()), "columns": {"timestamp": "user_id"}}


def people_as_domains(folder: Path) -> dict[str, Any]:
    return {**write_csv(folder, rows()), "columns": {"domain": "user_id"}}


def a_field_too_many(folder: Path) -> dict[str, Any]:
    found = write_csv(folder, rows())
    with (folder / "rows.csv").open("a") as file:
        file.write(f"{USERS[0]},i1,here,2024-01-01,{USERS[1]}\n")
    return found


def no_text(folder: Path) -> dict[str, Any]:
    found = write_csv(folder, rows())
    with (folder / "rows.csv").open("ab") as file:
        file.write(f"{USERS[0]}".encode() + b"\xff,i1,here,2024-01-01\n")
    return found


def an_id_with_a_nul(folder: Path) -> dict[str, Any]:
    return write_csv(folder, pd.concat([rows(), rows().head(1).assign(user_id=f"{USERS[0]}\0")]))


def half_a_parquet_file(folder: Path) -> dict[str, Any]:
    rows().to_parquet(folder / "rows.parquet", compression=None)
    (folder / "rows.parquet").write_bytes((folder / "rows.parquet").read_bytes()[:-100])
    return {"path": "rows.parquet"}


def half_a_gzip_file(folder: Path) -> dict[str, Any]:
    (folder / "rows.csv.gz").write_bytes(gzip.compress(rows().to_csv(index=False).encode())[:-50])
    return {"path": "rows.csv.gz"}


def a_line_that_is_no_json(folder: Path) -> dict[str, Any]:
    lines = rows().to_json(orient="records", lines=True)
    (folder / "rows.jsonl").write_text(f"{lines}{USERS[0]}\n")
    return {"path": "rows.jsonl"}


def numbers_and_people(folder: Path) -> dict[str, Any]:
    (folder / "rows.jsonl").write_text("".join(f'{{"user_id": {user}}}\n' for user in ("7", f'"{USERS[0]}"')))
    return {"path": "rows.jsonl"}


def a_query_of_two_types(folder: Path) -> dict[str, Any]:
    with sqlite3.connect(folder / "rows.db") as connection:
        rows().to_sql("sales", connection)
    connection.close()
    query = "SELECT * FROM sales UNION ALL SELECT 0, 7, 'i1', 'here', '2024-01-01'"
    return {"url": "sqlite:///rows.db", "query": query}


def rows_against_the_rules(folder: Path) -> dict[str, Any]:
    return write_csv(folder, rows().assign(user_id=[f"{user}\x01" for user in rows()["user_id"]]))


CASES = (
    missing_column,
    no_header,
    no_time,
    people_as_times,
    people_as_domains,
    a_field_too_many,
    no_text,
    an_id_with_a_nul,
    half_a_parquet_file,
    half_a_gzip_file,
    a_line_that_is_no_json,
    numbers_and_people,
    a_query_of_two_types,
)


def everything_below(home: Path) -> dict[str, bytes]:
    """Read every file, as it is."""
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def assert_private(home: Path) -> None:
    """Nothing names a person or the key, and nobody else may read, write or enter anything."""
    found = everything_below(home)
    assert not [name for name, content in found.items() if b"canary" in content.lower()]
    assert not [name for name in found if "canary" in name]
    assert not [str(path) for path in (home, *home.rglob("*")) if path.stat().st_mode & 0o077]


@pytest.fixture
def start(tmp_path: Path, own_home: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Give a function that runs a command in a shell whose files others may read."""
    environment = {**os.environ, "CROSSLIFT_DATA": str(tmp_path), "CROSSLIFT_SCENARIOS": str(tmp_path),
                   "CROSSLIFT_KEY": KEY}  # fmt: skip
    code = "import sys\nfrom pipeline.cli import main\n{patch}\nsys.exit(main())\n"

    def call(*arguments: str, patch: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run([sys.executable, "-c", code.format(patch=patch), *arguments], env=environment, cwd=ROOT,
                              capture_output=True, text=True, timeout=300, check=False, umask=0o022)  # fmt: skip

    return call


def write(folder: Path, name: str, table: dict[str, Any], **changes: Any) -> None:
    """Write a scenario with one table."""
    value = {**SCENARIO, "name": name, "tables": {"interactions": [table]}, **changes}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(value))


def test_tables_that_cannot_be_read_name_nobody(tmp_path: Path, own_home: Path, start: Callable[..., Any]) -> None:
    """Each but one ends with a message and exit code 2; all are tried in one process, as the step itself runs them."""
    for case in CASES:
        (tmp_path / case.__name__).mkdir()
        table = case(tmp_path / case.__name__)
        place = {key: f"sqlite:///{case.__name__}/rows.db" if key == "url" else f"{case.__name__}/{table[key]}"
                 for key in ("path", "url") if key in table}  # fmt: skip
        write(tmp_path, case.__name__, table | place)
    patch = (
        "import contextlib\n"
        "from pipeline.config import Options\n"
        "from pipeline.errors import DataError\n"
        "from pipeline.folders import Home\n"
        "from pipeline.scenarios import load_scenario\n"
        "from pipeline import steps\n"
        "from pipeline.runs import processes\n"
        "from pipeline.runs.run import Run\n"
        "from pipeline.privacy import keep_private\n"
        "home = Home.from_env()\n"
        "from types import SimpleNamespace\n"
        "import logging\n"
        "keep_private(home.root)\n"
        f"for name in {[case.__name__ for case in CASES]}:\n"
        "    Run.start(home, name, load_scenario(name), Options())\n"
        "    sent = []\n"
        "    voice = processes._Voice(('ingest', ''), SimpleNamespace(send_bytes=sent.append))\n"
        "    logging.getLogger('pipeline').addHandler(voice)\n"
        "    told = {**processes._called(home, name, ('ingest', ''), steps.call_task), 'notes': voice.notes}\n"
        "    (home.root / 'told').open('a').write(f'{name} {told} {sent}\\n')\n"
        "sys.exit(0)\n"
    )
    done = start(patch=patch)
    assert done.returncode == 0, done.stderr
    told = (own_home / "told").read_text().splitlines()
    assert [line.split()[0] for line in told] == [case.__name__ for case in CASES]
    refused = [line.split()[0] for line in told if "'exit_code': <ExitCode.USER_ERROR: 2>" in line]
    assert refused == [case.__name__ for case in CASES if case is not an_id_with_a_nul]  # it costs one row alone
    logs = list(own_home.glob("logs/*/ingest.log"))
    assert sum("DataError" in log.read_text() for log in logs) == len(CASES) - 1
    assert_private(own_home)


def test_refused_rows_name_nobody(tmp_path: Path, own_home: Path, start: Callable[..., Any]) -> None:
    """Nor does the page of the rules that they broke, in titles that were declared personal."""
    items = [{"item_id": f"i{item}", "domain": domain, "title": f"canary \x01 {item}"}
             for domain in ("here", "there") for item in range(6)]  # fmt: skip
    pd.DataFrame(items + items).to_csv(tmp_path / "items.csv", index=False)
    table = rows_against_the_rules(tmp_path)
    write(tmp_path, "refused", table, tables={"interactions": [table], "items": [{"path": "items.csv"}]})
    done = start("audit", "refused")
    assert done.returncode == 3, done.stderr
    assert (own_home / "runs").is_dir()
    assert list(own_home.rglob("*.html"))
    found = everything_below(own_home)
    stored = {name for name in found if name.endswith(".parquet")}  # the tables themselves
    assert not [name for name, content in found.items() if b"canary" in content.lower() and name not in stored]
    assert not [name for name, content in found.items() if any(user.encode() in content for user in USERS)]
    assert "canary" not in done.stdout + done.stderr


def test_an_error_deep_in_a_step_names_nobody(tmp_path: Path, own_home: Path, start: Callable[..., Any]) -> None:
    """What a library quotes stays out of every file; whoever runs the command sees it on the terminal."""
    write(tmp_path, "deep", write_csv(tmp_path, rows()))
    patch = (
        "from pipeline import steps\n"
        "from tests.integration.test_canaries import broken_step\n"
        "steps.call_task = broken_step\n"
    )
    done = start("audit", "deep", patch=patch)
    assert done.returncode == 1, done.stderr
    assert f"ValueError: {USERS[0]}" in done.stderr
    [log] = own_home.glob("logs/*/validate.log")
    assert "KeyError (message not kept)" in log.read_text()
    assert "in broken_step" in log.read_text()
    assert_private(own_home)


def test_a_command_that_fails_unexpectedly_names_nobody(
    tmp_path: Path, own_home: Path, start: Callable[..., Any]
) -> None:
    """The arguments and what was in hand stay out of the log."""
    patch = (
        "import pipeline.registry.lookup as lookup\n"
        "def fail(*_):\n"
        "    raise KeyError(sys.argv[-1])\n"
        "lookup.model_folder = fail\n"
    )
    done = start("recommend", "demo", "--user", USERS[0], patch=patch)
    assert done.returncode == 1, done.stderr
    assert "$ crosslift recommend" in (own_home / "logs" / "crosslift.log").read_text()
    assert_private(own_home)
