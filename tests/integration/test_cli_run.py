"""`crosslift run` from tables to a served model, as a user types it, in processes of its own."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from pipeline.config import Embedded
from pipeline.data.generator import generate
from pipeline.data.pseudonyms import key_id
from tests.commands import Crosslift, commands

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
KEY, PERSON = "canary-key-of-more-than-sixteen", "@canary.example.com"
SMALL: dict[str, Any] = {
    "title": "Small",
    "sources": ["here"],
    "target": "there",
    "bridges": ["users", "item_features"],
    "cold_start": True,
    "split": {"kind": "time"},
    "model": {"dim": 8, "text_buckets": 64},
    "training": {"epochs": 2, "batch_size": 256, "negatives": 64},
    "strategies": [{"tune": {"kind": "scratch"}}, {"tune": {"kind": "fine_tune"}}],
    "baselines": [{"kind": "popularity"}, {"kind": "item_knn"}],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables and scenarios."""
    folder = tmp_path_factory.mktemp("cli")
    generate(Embedded(users=300, items=80), "here", "there", folder)
    people = pd.read_parquet(folder / "interactions.parquet")
    people["user_id"] += PERSON
    people.to_csv(folder / "people.csv", index=False)
    tables = {"interactions": [{"path": "people.csv"}], "items": [{"path": "items.parquet"}]}
    for name, changes in {
        "small": {"tables": tables, "blends": [{"of": ["fine_tune", "item_knn"]}, {"of": ["target_only", "item_knn"]}]},
        "tried": {"tables": tables},
        "strangers": {
            "tables": {"interactions": [{"path": "rows.csv"}]},
            "pseudonymous": True,
            "bridges": ["users"],
            "split": {"kind": "leave_last_out"},
        },
    }.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({**SMALL, "name": name, **changes}))
    rows = [
        f"{domain}-{user},i{item},{domain},{item}"
        for domain in ("here", "there")
        for user in range(30)
        for item in range(6)
    ]
    (folder / "rows.csv").write_text("\n".join(["user_id,item_id,domain,position", *rows]))
    return folder


@pytest.fixture(scope="module")
def environment(place: Path) -> dict[str, str]:
    """What all commands get."""
    return {"CROSSLIFT_SCENARIOS": str(place), "CROSSLIFT_DATA": str(place), "CROSSLIFT_KEY": KEY}


@pytest.fixture(scope="module")
def quick(place: Path, environment: dict[str, str]) -> Crosslift:
    """Give a function that does what a command does in the same home, without its start."""
    return commands(place / "home", ROOT, **environment)


@pytest.fixture(scope="module")
def crosslift(place: Path, environment: dict[str, str]) -> Crosslift:
    """Give a function that runs a command in one home that all tests of this file share."""
    ours = {**os.environ, "CROSSLIFT_HOME": str(place / "home"), **environment}
    ours.pop("MLFLOW_TRACKING_URI", None)

    def call(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "import sys; from pipeline.cli import main; sys.exit(main())", *arguments]
        return subprocess.run(
            command, env=ours | changes, cwd=ROOT, capture_output=True, text=True, timeout=3600, check=False,
            umask=0o022,
        )  # fmt: skip

    return call


@pytest.fixture(scope="module")
def first(crosslift: Crosslift) -> dict[str, Any]:
    """Run the small scenario once."""
    done = crosslift("run", "small", "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_run(first: dict[str, Any]) -> None:
    """All steps and lanes are computed, something serves, and the pages lie where the summary says."""
    assert (first["exit_code"], first["outcome"], first["serves"], first["failed"]) == (0, "promoted", True, [])
    assert {step["state"] for step in first["steps"]} == {"computed"}
    assert {lane["name"] for lane in first["lanes"]} == {
        "target_only", "fine_tune", "popularity", "item_knn", "fine_tune_with_item_knn", "target_only_with_item_knn",
    }  # fmt: skip
    for lane in first["lanes"]:
        assert 0 <= lane["test"]["low"] <= lane["test"]["value"] <= lane["test"]["high"] <= 1
    assert (first["model"], first["alias"]) == ("crosslift.small", "champion")
    assert Path(first["report"]).is_file()
    assert Path(first["data_docs"]).is_file()


def test_repeat(crosslift: Crosslift, first: dict[str, Any]) -> None:
    """A second run with nothing changed computes nothing, says what serves already, and ends well."""
    done = crosslift("run", "small")
    assert done.returncode == 0, done.stderr
    assert "computed" not in done.stderr
    assert done.stderr.count("reused") == len(first["steps"])
    for told in (first["reason"], f"version {first['version']}, champion", first["data_docs"]):
        assert told in done.stdout
    assert f"Verdict: {first['verdict']} (" in done.stdout
    assert "Outcome: serves already" in done.stdout
    assert first_tags(crosslift)["outcome_reason"] in done.stdout


def first_tags(crosslift: Crosslift) -> dict[str, str]:
    """Read the tags of the champion of `small`."""
    versions = json.loads(crosslift("models", "show", "crosslift.small", "--json").stdout)["versions"]
    return dict(next(version["tags"] for version in versions if "champion" in version["aliases"]))


def test_trial(quick: Crosslift) -> None:
    """Another seed than the scenario's takes nothing over, not even where nothing serves; the reason is told."""
    done = quick("run", "tried", "--seed", "9")
    assert done.returncode == 4, done.stderr
    for told in ("Verdict: ", "Outcome: not promoted", "comes from a trial (seed 9 instead of 0)", "(exit code 4)"):
        assert told in done.stdout
    assert "promoted" not in done.stdout.replace("not promoted", "")
    assert "no version has the alias 'champion'" in quick("recommend", "tried", "--user", "nobody").stderr


def test_recommend(quick: Crosslift, first: dict[str, Any], tmp_path: Path) -> None:
    """What was promoted recommends, as a table, CSV or JSON: five items of the target, the best first; a file too."""
    asked = ("recommend", "small", "--user", "nobody", "-k", "5")
    rows = json.loads(quick(*asked, "--format", "json").stdout)
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
    assert {row["served_from"] for row in rows} == {"popularity"}
    table = list(csv.DictReader(io.StringIO(quick(*asked, "--format", "csv").stdout)))
    assert [row["item_id"] for row in table] == [row["item_id"] for row in rows]
    known = quick("recommend", "small", "--history", f"{rows[0]['item_id']},nothing", "-k", "80")
    assert rows[0]["item_id"] not in known.stdout.split()
    assert "history" in known.stdout
    taken = [row["item_id"] for row in rows[:2]]
    (tmp_path / "asked.csv").write_text(f'user_id,history\nnobody,\n,"{", ".join(taken)}"\n', encoding="utf-8")
    answers = quick("predict", "small", str(tmp_path / "asked.csv"), "-k", "5").stdout
    several = list(csv.DictReader(io.StringIO(answers)))
    alone = quick("recommend", "small", "--history", ",".join(taken), "-k", "5", "--format", "csv").stdout
    assert [row["item_id"] for row in several[:5]] == [row["item_id"] for row in rows]
    wanted = {row["item_id"]: float(row["score"]) for row in csv.DictReader(io.StringIO(alone))}
    beside = {row["item_id"]: float(row["score"]) for row in several[5:]}
    assert list(beside) == list(wanted)
    assert beside == pytest.approx(wanted, rel=1e-5)  # a network rounds otherwise beside others
    nothing = quick("recommend", "small")
    assert nothing.returncode == 2
    assert "expected a user id or a history of item ids, got neither" in nothing.stderr


def test_recommend_with_the_key(quick: Crosslift, first: dict[str, Any]) -> None:
    """A customer's own id is served from the model with the key that made the data, and refused with another."""
    user = f"u00042{PERSON}"
    asked = ("recommend", "small", "--user", user, "--format", "json")
    rows = json.loads(quick(*asked).stdout)
    assert rows[0]["served_from"] == "model"
    done = quick(*asked, CROSSLIFT_KEY=KEY[::-1])
    assert (done.returncode, done.stdout) == (2, "")
    wanted, given = (key_id(key.encode()) for key in (KEY, KEY[::-1]))
    assert f"the key of the id {wanted}, and CROSSLIFT_KEY has the id {given}. Set it to that key" in done.stderr
    assert user not in done.stderr


def test_models(quick: Crosslift, first: dict[str, Any]) -> None:
    """The registry is looked up; there is nothing to roll back to."""
    found = {model["name"]: model for model in json.loads(quick("models", "list", "--json").stdout)}
    assert found["crosslift.small"]["champion"] == first["version"]
    assert f"crosslift.small version {first['version']}" in quick("models", "show", "crosslift.small").stdout
    done = quick("models", "rollback", "crosslift.small")
    assert done.returncode == 2
    assert "there is nothing to roll back to" in done.stderr
    assert "Did you mean 'crosslift.small'?" in quick("models", "show", "crosslift.smal").stderr


def test_audit(quick: Crosslift, first: dict[str, Any]) -> None:
    """The audit alone counts by domain and kind, and reuses what the run did."""
    done = quick("audit", "small", "--json")
    assert "computed" not in done.stderr
    assert set(json.loads(done.stdout)["domains"]) == {"here", "there"}
    lines = [line.split()[:3] for line in quick("audit", "small").stdout.splitlines()]
    assert ["there", "test", "any"] in lines
    assert ["there", "validation", "twin"] in lines


def test_clean_keeps_what_serves(quick: Crosslift, first: dict[str, Any]) -> None:
    """On the day of a run nothing goes, and what serves goes on serving."""
    assert json.loads(quick("clean", "--yes", "--json").stdout)["paths"] == []
    assert quick("recommend", "small", "--user", "nobody").returncode == 0


def test_damage_is_seen_told_and_mended(quick: Crosslift, first: dict[str, Any]) -> None:
    """One bit in the registered weights, in a prepared table, in a candidate and in the report, of equal size each.

    Nothing is recommended meanwhile. The next run puts the champion back, makes the folders again, and says both.
    """
    asked = ("recommend", "small", "--user", "nobody", "--format", "json")
    rows, report = quick(*asked).stdout, Path(first["report"])
    home = report.parents[4]
    damaged = [
        *home.glob("mlflow/artifacts/models/*/artifacts/artifacts/*/weights.safetensors"),
        *home.glob("steps/prepare/*/rows.parquet"),
        *home.glob("steps/fit_baseline/*/weights.safetensors"),
        report,
    ]
    assert len(damaged) >= 1 + 2 + 2 + 1
    for path in damaged:
        content = path.read_bytes()
        path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    refused = quick(*asked)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "weights.safetensors: expected" in refused.stderr
    assert "crosslift models rollback crosslift.small" in refused.stderr
    assert "Traceback" not in refused.stderr
    done = quick("run", "small")
    assert done.returncode == 0, done.stderr
    states = {tuple(line.split()[2:4]) for line in done.stderr.splitlines() if " s  " in line}
    assert states >= {("computed", step) for step in ("prepare", "fit_baseline")} | {("reused", "ingest")}
    for told in ("rows.parquet: expected", "is now", "was put back from its package"):
        assert told in done.stderr
    for told in (first["reason"], f"version {first['version']}, champion"):
        assert told in done.stdout
    assert quick(*asked).stdout == rows
    assert {path.parent.suffix for path in home.glob("steps/prepare/*/rows.parquet")} == {"", ".damaged"}


def test_refused(crosslift: Crosslift) -> None:
    """Shops without a common user are refused where a bridge of users is declared: exit code 3, and where to look."""
    done = crosslift("run", "strangers", "--json")
    assert (done.returncode, done.stdout) == (3, "")
    assert "computed  ingest" in done.stderr
    assert "index.html" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_all_of_this_wrote_is_private(crosslift: Crosslift, first: dict[str, Any]) -> None:
    """Nothing of it names a person or the key, and nobody else may read, write or enter anything."""
    home = Path(first["report"]).parents[4]
    paths = [home, *home.rglob("*")]
    assert (home / "mlflow" / "mlflow.db") in paths
    assert not [str(path) for path in paths if path.is_file() and b"canary" in path.read_bytes()]
    assert not [str(path) for path in paths if path.stat().st_mode & 0o077]
