"""Cleaning up: what no alias, no report of a kept run and no running task needs.

What is needed is found by marking. Roots are the runs with a record of the last `keep_days` days and the runs whose
model an alias names; they keep every folder that their records name. The manifests that an aliased version carries as
tags keep the folders they are the hashes of. A running task cannot be seen from here, it may be on another machine; so
whatever was written within the last day stays, which is longer than a step (3 hours) or a run (12 hours) may take.
"""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from pipeline.errors import StorageError
from pipeline.folders import MANIFEST, Home, manifest_hash, read_json, run_folder, storage_errors, vanish
from pipeline.integrity import DAMAGED

DAY = 24 * 60 * 60.0
LEFTOVERS = (".*.tmp", ".*.old")
Kind = Literal["run", "log", "step", "work", "generated", "model copy", "leftover"]


class Unneeded(BaseModel):
    """Something that can go; `path` is below the home, `size` in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    path: str
    size: int


def find_unneeded(home: Home, keep_days: int, now: float | None = None) -> list[Unneeded]:
    """Find what can go, runs first: what is removed half-way leaves no record that names a folder which is gone.

    Args:
        home: Where to look.
        keep_days: Runs with a younger record stay; at least 1.
        now: Seconds since 1970; None: the clock.

    Raises:
        StorageError: the registry cannot be reached or a record is damaged, so that nobody knows what is needed.
    """
    now = time.time() if now is None else now
    root = home.root
    tags, copies = _aliased(home)
    gone, kept = _runs(home, now - keep_days * DAY, tags)
    named = {folder for run in kept for folder in _folders(run)}
    logs = {run.name for run in kept}
    old = now - DAY
    doomed: list[tuple[Kind, Path]] = [("run", run) for run in gone]
    doomed += [("log", path) for path in _visible(root / "logs") if path.name not in logs and _newest(path) < old]
    doomed += [
        ("step", path)
        for step in _visible(root / "steps")
        for path in _visible(step)
        if path.relative_to(root).as_posix() not in named and _newest(path) < old and not _tagged(path, tags)
    ]
    doomed += [("work", path) for path in _visible(root / "work") if _newest(path) < old]
    doomed += [("generated", path) for path in _visible(root / "generated") if _newest(path) < old]
    doomed += [
        ("model copy", path)
        for model in _visible(root / "cache" / "models")
        for path in _visible(model)
        if (model.name, path.name) not in copies and _newest(path) < old
    ]
    doomed += [("leftover", path) for path in _leftovers(root, kept) if _newest(path) < old]
    return [Unneeded(kind=kind, path=path.relative_to(root).as_posix(), size=_size(path)) for kind, path in doomed]


def remove(home: Home, found: Iterable[Unneeded]) -> None:
    """Remove what was found.

    Raises:
        StorageError: a folder cannot be written; repeat it when it can.
    """
    for one in found:
        path = home.root / one.path
        with storage_errors(path.parent):
            if path.exists():
                vanish(path)


def _aliased(home: Home) -> tuple[set[str], set[tuple[str, str]]]:
    """Values of the tags of all versions that an alias names, and (model, version) of these."""
    from pipeline.registry.lookup import list_models, made_of, show_model

    tags: set[str] = set()
    copies: set[tuple[str, str]] = set()
    for model in list_models(home):
        for version in show_model(home, model.name).versions:
            if version.aliases:
                tags |= set(version.tags.values()) | made_of(version.tags)
                copies.add((model.name, str(version.version)))
    return tags, copies


def _runs(home: Home, oldest: float, tags: set[str]) -> tuple[list[Path], list[Path]]:
    """Runs that can go, and runs that stay; one that an alias names by its id stays."""
    names = {run_folder(tag) for tag in tags}
    runs = _visible(home.root / "runs")
    kept = [run for run in runs if run.name in names or _newest(run) >= oldest]
    return [run for run in runs if run not in kept], kept


def _folders(run: Path) -> Iterator[str]:
    for record in (run / "results").glob("*.json"):
        try:
            yield str(read_json(record)["folder"])
        except (StorageError, KeyError, TypeError) as error:
            raise StorageError(
                f"{record}: expected a record that names a folder; it is damaged, and nobody knows what its run needs. "
                f"Nothing was removed; remove {run} and repeat."
            ) from error


def _tagged(folder: Path, tags: set[str]) -> bool:
    from pipeline.registry.lookup import shortened

    try:
        if not (folder / MANIFEST).exists() or folder.suffix == DAMAGED:
            return False
        manifest = manifest_hash(folder)
        return manifest in tags or shortened(manifest) in tags
    except StorageError:
        return False  # damaged, so of no use to anybody


def _leftovers(root: Path, kept: Iterable[Path]) -> Iterator[Path]:
    """What a killed process left beside what it was about to write."""
    folders = [root / "generated", root / "runs", *_visible(root / "steps"), *kept, *(run / "results" for run in kept)]
    for folder in (*folders, root / "logs", root / "work", *_visible(root / "cache" / "models")):
        for pattern in LEFTOVERS:
            yield from folder.glob(pattern)


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if not path.name.startswith("."))


def _newest(path: Path) -> float:
    """When anything in it was written last; now, if it disappears meanwhile."""
    try:
        return max(one.lstat().st_mtime for one in (path, *path.rglob("*")))
    except FileNotFoundError:
        return time.time()


def _size(path: Path) -> int:
    return sum(one.lstat().st_size for one in (path, *path.rglob("*")) if one.is_file() and not one.is_symlink())
