"""Where things lie below `CROSSLIFT_HOME`, and how a folder is published whole or not at all."""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline import locks
from pipeline.errors import StorageError

MANIFEST = "manifest.json"  # the artifacts and their hashes: equal inputs give equal manifests
META = "meta.json"  # what may differ between equal runs: times, costs, host
UNHASHED = "unhashed"  # a folder inside a step's folder for pages that carry times; META states their hashes
_SETTLED = 1_000_000_000  # ns; a file written just now may be written again without its times telling


@dataclass(frozen=True)
class Home:
    """The one folder that Crosslift writes to."""

    root: Path

    @classmethod
    def from_env(cls) -> "Home":
        """The folder named by `CROSSLIFT_HOME`, else `.crosslift` in the current folder."""
        return cls(Path(os.environ.get("CROSSLIFT_HOME") or ".crosslift").expanduser().resolve())

    def step(self, step: str, fingerprint: str) -> Path:
        """The published folder of a step."""
        return self.root / "steps" / step / fingerprint

    def work(self, fingerprint: str) -> Path:
        """The unpublished folder that keeps a step's checkpoints between tries."""
        return self.root / "work" / fingerprint

    def lock(self, fingerprint: str) -> Path:
        """The lock file of a step, or of another thing of that name that two processes might make at once.

        Two runs that need the same folder take turns, and the second one reuses it.
        """
        return self.root / "locks" / fingerprint

    def run(self, run_id: str) -> Path:
        """The folder with the records of one run."""
        return self.root / "runs" / run_folder(run_id)

    @property
    def mlflow(self) -> Path:
        """The folder of the local MLflow store."""
        return self.root / "mlflow"


def run_folder(run_id: str) -> str:
    """A folder name for an Airflow run id, which may hold `:` and `+`.

    Ids that differ give names that differ; an id of plain characters is its own name.
    """
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", run_id)[:80]
    unlike_a_hashed_one = not re.search(r"-[0-9a-f]{8}$", run_id)
    return (
        plain
        if plain == run_id and unlike_a_hashed_one
        else f"{plain}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"
    )


@contextmanager
def exclusive(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold this lock file alone; a process that dies lets go of it.

    Raises:
        HeldError: another process holds it, and `wait` is false.
        StorageError: the folder cannot be written.
    """
    with storage_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = locks.take(path, wait=wait)
    try:
        yield
    finally:
        locks.release(file)


def canonical_json(value: Any) -> bytes:
    """JSON with one spelling per value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of a value, in hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex; a process reads a file again only after it was written."""
    stat = path.stat()
    if time.time_ns() - stat.st_ctime_ns < _SETTLED:
        return _sha256(path)
    return _sha256_of(path, (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))


@lru_cache(maxsize=10_000)
def _sha256_of(path: Path, _stamp: tuple[int, ...]) -> str:
    return _sha256(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> Any:
    """The JSON value in a file.

    Raises:
        StorageError: the file is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: expected a readable JSON file ({error}).") from error


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file in one move."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with storage_errors(path.parent):
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(value, file, indent=2, sort_keys=True, allow_nan=False)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turn a full disk or a folder without write permission into an error that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"{folder}: the disk is full. Nothing was published; free some space (`crosslift clean` removes "
                "what no alias, report or running task needs) and repeat the command."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageError(
                f"{folder}: cannot be written. Nothing was published; make it writable or set CROSSLIFT_HOME to a "
                "folder that is."
            ) from error
        raise


def manifest_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Relative path -> size and SHA-256 of every artifact in a folder, but for what may differ between equal runs."""
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {
        path.as_posix(): {"bytes": (folder / path).stat().st_size, "sha256": hash_file(folder / path)}
        for path in files
        if path.parts[0] != UNHASHED and path.as_posix() not in (MANIFEST, META)
    }


def manifest_hash(folder: Path) -> str:
    """The identity of a published folder: the hash of its manifest."""
    return digest(read_json(folder / MANIFEST))


@contextmanager
def written_whole(final: Path, meta: Mapping[str, Any] | None = None) -> Iterator[Path]:
    """Give a temporary folder to write to and publish it at `final` with a manifest, or leave nothing behind.

    A folder that is already there is replaced; readers of the old one keep their open files. `meta` is read when the
    block ends, so the caller may fill it inside the block; the hashes of the pages below `unhashed` are added to it.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    with storage_errors(final.parent):
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name[:24]}-", suffix=".tmp"))
        try:
            yield temporary
            write_json(temporary / MANIFEST, manifest_of(temporary))
            write_json(temporary / META, {**(meta or {}), UNHASHED: manifest_of(temporary / UNHASHED)})
            _sync(temporary)
            _publish(temporary, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def vanish(path: Path) -> None:
    """Remove a folder or a file: it disappears in one move before its files go, so that nobody meets half of it."""
    old = path if path.name.startswith(".") else hidden(path)
    if old != path:
        if old.exists():
            shutil.rmtree(old)
        path.rename(old)
    if old.is_dir():
        shutil.rmtree(old)
    else:
        old.unlink()


def hidden(path: Path) -> Path:
    """Where something lies while it vanishes, and after a crash."""
    return path.with_name(f".{path.name}.old")


def _sync(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _publish(temporary: Path, final: Path) -> None:
    if final.exists():
        old = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name[:24]}-", suffix=".old"))
        final.rename(old / "old")
        temporary.rename(final)
        shutil.rmtree(old, ignore_errors=True)
    else:
        temporary.rename(final)
    handle = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
