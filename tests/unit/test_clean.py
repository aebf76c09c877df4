"""Cleaning up: what goes, what stays, and that nothing disappears by halves."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import StorageError
from pipeline.folders import Home, manifest_hash, write_json, written_whole
from pipeline.registry import lookup
from pipeline.registry.lookup import ModelDetails, ModelSummary, VersionDetails
from pipeline.runs.clean import DAY, Unneeded, find_unneeded, remove

NOW = 1_800_000_000.0


@pytest.fixture
def home(own_home: Path) -> Home:
    """An empty home without a registry."""
    own_home.mkdir()
    return Home(own_home)


def age(path: Path, days: float) -> Path:
    """Say that everything in a path was written so many days ago."""
    for one in (*path.rglob("*"), path):
        os.utime(one, (NOW - days * DAY,) * 2)
    return path


def step_folder(home: Home, name: str, days: float, text: str = "") -> Path:
    """Publish a step's folder that is so old."""
    final = home.step("audit", name)
    with written_whole(final) as folder:
        (folder / "table").write_text(text or name)
    return age(final, days)


def record(home: Home, run: str, days: float, *folders: Path) -> Path:
    """Write a run that names these folders and is so old."""
    place = home.run(run)
    write_json(place / "plan.json", {})
    for number, folder in enumerate(folders):
        write_json(place / "results" / f"audit.{number}.json", {"folder": folder.relative_to(home.root).as_posix()})
    return age(place, days)


def found(home: Home, keep_days: int = 7) -> set[tuple[str, str]]:
    """Kind and path of what can go."""
    return {(one.kind, one.path) for one in find_unneeded(home, keep_days, NOW)}


def test_empty_home(home: Home) -> None:
    """Where nothing is, nothing goes, and no registry is made by looking."""
    assert found(home) == set()
    assert list(home.root.iterdir()) == []


def test_runs_keep_what_they_name(home: Home) -> None:
    """A young run keeps its folders, however old; an old run goes with those that only it names."""
    shared, new, old = (step_folder(home, name, 30) for name in ("shared", "new", "old"))
    record(home, "young", 3, shared, new)
    record(home, "aged", 8, shared, old)
    assert found(home) == {("run", "runs/aged"), ("step", "steps/audit/old")}
    assert found(home, keep_days=10) == set()
    assert found(home, keep_days=2) == {
        *(("run", f"runs/{name}") for name in ("aged", "young")),
        *(("step", f"steps/audit/{name}") for name in ("shared", "new", "old")),
    }


def test_what_is_fresh_stays(home: Home) -> None:
    """Nothing of the last day goes, because a running task may need it; older things that no run names do."""
    paths = [
        ("step", step_folder(home, "one", 0.9)),
        ("work", home.work("one")),
        ("generated", home.root / "generated" / "one"),
        ("log", home.root / "logs" / "one"),
        ("model copy", home.root / "cache" / "models" / "crosslift.demo" / "1"),
        ("leftover", home.root / "steps" / "audit" / ".one-x.tmp"),
        ("leftover", home.root / "steps" / "audit" / ".one-y.old"),
        ("leftover", home.root / "generated" / ".one-z.tmp"),
    ]
    for _, path in paths:
        path.mkdir(parents=True, exist_ok=True)
        (path / "file").write_text("abc")
        age(path, 0.9)
    assert found(home) == set()
    for _, path in paths:
        age(path, 1.1)
    assert found(home) == {(kind, path.relative_to(home.root).as_posix()) for kind, path in paths}


def test_one_fresh_file_keeps_a_work_folder(home: Home) -> None:
    """A training that wrote a checkpoint an hour ago may still run, however old its folder is."""
    work = home.work("one")
    work.mkdir(parents=True)
    for name in ("first", "last"):
        (work / name).write_text(name)
    age(work, 5)
    os.utime(work / "last", (NOW - 3600,) * 2)
    assert found(home) == set()


def test_never_touched(home: Home) -> None:
    """The registry, passports, curves, locks (someone may hold one) and the services' files are nobody's leftovers."""
    for name in ("mlflow", "reference", "curves", "airflow", "locks"):
        (home.root / name / "x").mkdir(parents=True)
        (home.root / name / ".x.tmp").write_text("x")
        age(home.root / name, 1000)
    assert found(home, keep_days=1) == set()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give a function that lets the registry hold one model with an aliased version of these tags and one without."""

    def fill(**tags: str) -> None:
        versions = (
            VersionDetails(2, ("previous",), NOW, tags),
            VersionDetails(1, (), NOW, {"crosslift.package": "none", "run_id": "forgotten"}),
        )
        monkeypatch.setattr(lookup, "list_models", lambda _: [ModelSummary("crosslift.demo", None, None, 2)])
        monkeypatch.setattr(lookup, "show_model", lambda *_: ModelDetails("crosslift.demo", versions))

    return fill


def test_aliases_keep_their_run_and_folders(home: Home, registry: Callable[..., None]) -> None:
    """The run, the candidate and the package of a version that an alias names stay, also without their run."""
    candidate, package, report, other = (step_folder(home, name, 90) for name in ("candidate", "package", "re", "ot"))
    run_id = "demo__scheduled__2026-01-01T02:00:00+00:00"
    record(home, run_id, 90, report)
    record(home, "forgotten", 90, other)
    tags = {"candidate": manifest_hash(candidate), "crosslift.package": manifest_hash(package), "run_id": run_id}
    registry(**tags)
    aside = package.with_name(f"{package.name}.damaged")  # has the manifest, but is of no use to anybody
    shutil.copytree(package, aside)
    age(aside, 90)
    assert found(home) == {("run", "runs/forgotten"), *(("step", f"steps/audit/{name}") for name in ("ot", aside.name))}


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_damaged_record_removes_nothing(home: Home, content: str) -> None:
    """Whoever cannot read what a run needs leaves everything, and says which record it is."""
    place = record(home, "young", 3, step_folder(home, "needed", 30))
    (place / "results" / "audit.0.json").write_text(content)
    with pytest.raises(StorageError, match=r"audit.0.json: expected a record that names a folder.*Nothing was removed"):
        find_unneeded(home, 7, NOW)


def test_copies_of_models_that_no_alias_names(home: Home, registry: Callable[..., None]) -> None:
    """Of the server's models only the copies of aliased versions stay."""
    registry()
    for version in ("1", "2"):
        folder = home.root / "cache" / "models" / "crosslift.demo" / version
        folder.mkdir(parents=True)
        age(folder, 30)
    assert found(home) == {("model copy", "cache/models/crosslift.demo/1")}


def test_registry_that_cannot_be_asked(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without knowing what the aliases need nothing is offered."""

    def fail(_: Home) -> None:
        raise StorageError("MLflow at x did not do what was asked")

    monkeypatch.setattr(lookup, "list_models", fail)
    step_folder(home, "one", 30)
    with pytest.raises(StorageError, match="MLflow at x"):
        find_unneeded(home, 7, NOW)


def test_damaged_folder_goes(home: Home, registry: Callable[..., None]) -> None:
    """A folder whose manifest cannot be read is of no use to an alias."""
    registry(candidate="x")
    (step_folder(home, "one", 0) / "manifest.json").write_text("{")
    age(home.step("audit", "one"), 30)
    assert found(home) == {("step", "steps/audit/one")}


def test_removed(home: Home) -> None:
    """What was found is gone, sizes were told, and a second look finds nothing."""
    step_folder(home, "kept", 0.1)
    record(home, "aged", 8, step_folder(home, "old", 8, text="abc"))
    leftover = home.root / "runs" / ".docs-x.tmp"
    leftover.write_text("abcd")
    age(leftover, 8)
    doomed = find_unneeded(home, 7, NOW)
    sizes = {one.path: one.size for one in doomed}
    assert sizes["runs/.docs-x.tmp"] == 4
    assert sizes["steps/audit/old"] > 3
    remove(home, doomed)
    assert found(home) == set()
    assert {path.name for path in (home.root / "steps" / "audit").iterdir()} == {"kept"}
    assert list((home.root / "runs").iterdir()) == []
    remove(home, doomed)  # already gone: nothing to do


def test_killed_while_removing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it is stopped in the middle, the folder is already out of sight, and the next clean takes the rest."""
    folder = step_folder(home, "old", 8)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", stop)
        with pytest.raises(KeyboardInterrupt):
            remove(home, find_unneeded(home, 7, NOW))
    assert not folder.exists()
    assert found(home) == {("leftover", "steps/audit/.old.old")}
    step_folder(home, "old", 8)  # made again meanwhile
    remove(home, find_unneeded(home, 7, NOW))
    assert list((home.root / "steps" / "audit").iterdir()) == []


def test_home_that_cannot_be_written(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without write permission is told as such."""

    def fail(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(Path, "rename", fail)
    (home.root / "work" / "one").mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot be written"):
        remove(home, [Unneeded(kind="work", path="work/one", size=0)])
    assert (home.root / "work" / "one").is_dir()
