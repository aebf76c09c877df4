"""`crosslift forget`: nothing goes while it serves, then all that holds the person or was made of the rows does."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.errors import UserError
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
    if isinstance(done.exception, UserError):
        raise done.exception
    return done.exit_code, json.loads(done.stdout) if done.stdout.startswith("{") else None


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

    module = sys.modules[night.__module__]
    whole = module.domain

    def without(*asked: Any) -> Any:
        data = whole(*asked)
        data.users["user_id"] = data.users["user_id"].replace("u007", "someone")
        return data

    monkeypatch.setattr(module, "domain", without)
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
    assert command("u007", "--yes")[1] == {"home": str(tmp_path), "removed": True, "found": []}
