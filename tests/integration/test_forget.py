"""`crosslift forget`: nothing goes while it serves, then all that holds the person or was made of the rows does."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.errors import StorageError, UserError
from pipeline.folders import Home
from pipeline.registry import lookup
from pipeline.registry import promote as registry
from pipeline.steps.promote import promote

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]


def mentions(folder: Path, user: str) -> list[str]:
    """Every file that names the user: in a table, or as text."""
    found = []
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
            named = any(user in set(frame[name].astype(str)) for name in frame)
        else:
            named = user.encode() in path.read_bytes()
        if named:
            found.append(path.relative_to(folder).as_posix())
    return found


def command(*arguments: str) -> tuple[int, dict[str, Any] | None]:
    """Run it as a user does; gives the exit code and the JSON document."""
    done = CliRunner().invoke(app, ["forget", *arguments, "--json"])
    if isinstance(done.exception, UserError | StorageError):
        raise done.exception
    return done.exit_code, json.loads(done.stdout) if done.stdout.startswith("{") else None


def _without(night: Callable[..., Any], user: str) -> Callable[..., Any]:
    """Make the domains of a night in which somebody else stands in a user's place."""
    whole = sys.modules[night.__module__].domain

    def without(*asked: Any) -> Any:
        data = whole(*asked)
        data.users["user_id"] = data.users["user_id"].replace(user, "someone")
        return data

    return without


def test_a_person_is_forgotten(tmp_path: Path, night: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused while version 1 serves; once a model without the rows does, version, package, runs and folders go."""
    monkeypatch.setattr(registry, "check_serves", lambda *_: None)
    monkeypatch.setenv("CROSSLIFT_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    home = Home(tmp_path)
    promote(night(home, "before").run())
    held = mentions(tmp_path, "u007")
    assert any(path.startswith("mlflow/") for path in held)

    code, told = command("u007", "--dry-run")
    assert code == 0
    assert told is not None
    listed = {one["what"] for one in told["found"]}
    assert {"crosslift.toy 1, serves", "runs/before"} <= listed
    assert not (tmp_path / "forgotten.json").exists()
    with pytest.raises(UserError, match=r"crosslift\.toy version 1 serves .* run the scenario again \(toy\)"):
        command("u007", "--yes")
    assert (tmp_path / "forgotten.json").exists()  # no later run reads the rows
    assert mentions(tmp_path, "u007") == held

    monkeypatch.setattr(sys.modules[night.__module__], "domain", _without(night, "u007"))
    promote(night(home, "after", seed=1).run())
    assert lookup.list_models(home)[0].champion == 2

    code, told = command("u007", "--yes")
    assert code == 0
    assert mentions(tmp_path, "u007") == []
    [version] = lookup.show_model(home, "crosslift.toy").versions
    assert (version.version, "champion" in version.aliases) == (2, True)
    assert not (tmp_path / "runs" / "before").exists()
    assert (tmp_path / "runs" / "after").exists()
    assert all((tmp_path / json.loads(path.read_text())["folder"]).is_dir()
               for path in (tmp_path / "runs" / "after" / "results").glob("*.json"))  # fmt: skip
    assert command("u007", "--yes")[1] == {"home": str(tmp_path), "mlflow": "local", "removed": True, "found": []}


def test_a_person_is_forgotten_in_a_server_too(
    tmp_path: Path, night: Callable[..., Any], mlflow_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it keeps, and another MLflow than that of the run, is told, and nothing goes; then all does."""
    monkeypatch.setattr(registry, "check_serves", lambda *_: None)
    home = Home(tmp_path / "home")
    monkeypatch.setenv("CROSSLIFT_HOME", str(home.root))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    artifacts = tmp_path / "mlflow" / "artifacts"
    promote(night(home, "before").run())
    monkeypatch.setattr(sys.modules[night.__module__], "domain", _without(night, "u007"))
    promote(night(home, "after", seed=1).run())
    held = mentions(home.root, "u007"), mentions(artifacts, "u007")
    assert all(held)

    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(UserError, match=rf"Run before was registered in MLflow at {mlflow_server}, .* looked at local"):
        command("u007", "--yes")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    with monkeypatch.context() as kept:
        kept.setattr(MlflowArtifactsRepository, "delete_artifacts", lambda *_: None)
        with pytest.raises(
            StorageError, match=r"toy version 1: its files at .* \(the store has them still\).* runs and"
        ):
            command("u007", "--yes")
    assert (mentions(home.root, "u007"), mentions(artifacts, "u007")) == held

    code, told = command("u007", "--yes")
    assert (code, told and told["mlflow"]) == (0, mlflow_server)
    assert (mentions(home.root, "u007"), mentions(artifacts, "u007")) == ([], [])
    assert [one.version for one in lookup.show_model(home, "crosslift.toy").versions] == [2]
    assert command("u007", "--yes")[1] == {
        "home": str(home.root),
        "mlflow": mlflow_server,
        "removed": True,
        "found": [],
    }
