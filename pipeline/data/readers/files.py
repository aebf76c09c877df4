"""Which files a scenario names: found below the data folder, and never outside it. Loads nothing heavy."""

import glob
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol, get_args
from urllib.parse import unquote

from pipeline.config.files import FORMATS, PACKED, Format, format_of
from pipeline.errors import DataError
from pipeline.folders import hash_file
from pipeline.near import near_path

_NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"


class SourceFile(Protocol):
    """One file that a scenario names, wherever it lies."""

    @property
    def shown(self) -> str:
        """Its name in messages."""
        ...

    @property
    def local(self) -> Path | None:
        """Where it lies on this machine, if it does."""
        ...

    def open(self) -> BinaryIO:
        """Its bytes as a stream."""
        ...

    def size(self) -> int:
        """Its bytes, counted."""
        ...

    def identity(self) -> str:
        """A hash of its bytes."""
        ...

    def state(self) -> object:
        """What differs after somebody wrote to it."""
        ...


@dataclass(frozen=True)
class LocalFile:
    """A file below the data folder."""

    path: Path
    root: Path

    @property
    def shown(self) -> str:
        """Its path below the data folder."""
        return self.path.relative_to(self.root).as_posix()

    @property
    def local(self) -> Path:
        """Its path."""
        return self.path

    def open(self) -> BinaryIO:
        """Its bytes as a stream."""
        return self.path.open("rb")

    def size(self) -> int:
        """Its bytes, counted."""
        return self.path.stat().st_size

    def identity(self) -> str:
        """SHA-256 of its bytes; read again only after it was written."""
        return hash_file(self.path)

    def state(self) -> object:
        """Size and time of the last change.

        Raises:
            DataError: it is not there any more.
        """
        try:
            stat = self.path.stat()
        except OSError as error:
            raise DataError(f"{self.shown}: cannot be read ({error.strerror}).") from error
        return stat.st_size, stat.st_mtime_ns


def find_files(root: Path, pattern: str) -> tuple[Path, ...]:
    """The files that a path, a folder or a glob names, with links followed, sorted by name.

    Args:
        root: The data folder, resolved.
        pattern: Relative to `root`; a path that exists is taken as it is, even if it holds `*`, `?` or `[`. A folder
            stands for all files in it and in its folders, but for those whose names begin with `_` or a dot.

    Raises:
        DataError: nothing is there, or something that is no file, or a path leads out of the data folder.
    """
    if "\0" in pattern or ".." in Path(pattern).parts:
        raise _outside(root, pattern)
    if inside(root, pattern).is_dir() if not glob.has_magic(pattern) else (root / pattern).is_dir():
        return _in_folder(root, pattern)
    if (root / pattern).exists() or not glob.has_magic(pattern):
        return (_checked(root, pattern),)
    names = sorted(glob.glob(pattern, root_dir=root, recursive=True))  # noqa: PTH207  Path.glob refuses absolute ones
    files = tuple(_checked(root, name) for name in names if not (root / name).is_dir())
    if not files:
        raise DataError(f"{pattern}: no file below {root} matches this glob; check the path, or CROSSLIFT_DATA.")
    return files


def inside(root: Path, path: str) -> Path:
    """A path below the data folder with links followed; it need not exist.

    Raises:
        DataError: it leads out of the data folder.
    """
    resolved = (root / path).resolve()
    if not resolved.is_relative_to(root):
        raise _outside(root, path)
    return resolved


def data_format(name: str, stated: Format | None) -> Format:
    """What a file is: as stated, else by its ending before any ending of a compression.

    Raises:
        DataError: nothing is stated and the ending says nothing.
    """
    found = stated or format_of(name)
    if found is None:
        raise DataError(
            f"{name}: expected a file ending in {', '.join(FORMATS)} (also before {', '.join(PACKED)}); for another "
            f"ending set `format: {'`, `'.join(get_args(Format))}` beside `path`."
        )
    return found


def partitions(shown: str) -> Mapping[str, str | None]:
    """What the folders of a path say of all rows in it, as in `country=de/part-0.parquet`."""
    pairs = [part.partition("=") for part in PurePosixPath(shown).parent.parts if "=" in part]
    return {unquote(name): None if value == _NO_PARTITION else unquote(value) for name, _, value in pairs if name}


def is_hidden(name: str) -> bool:
    """Whether a path in a folder is a mark or a checksum, such as `_SUCCESS`, and no table."""
    return any(part.startswith(("_", ".")) and part != ".." for part in PurePosixPath(name).parts)


def _in_folder(root: Path, folder: str) -> tuple[Path, ...]:
    top = inside(root, folder)
    names = sorted(path.relative_to(top).as_posix() for path in top.rglob("*") if not path.is_dir())
    files = tuple(_checked(root, f"{folder}/{name}") for name in names if not is_hidden(name))
    if not files:
        raise DataError(f"{folder}: expected a folder with files, got an empty one.")
    return files


def _checked(root: Path, name: str) -> Path:
    path = inside(root, name)
    if not path.exists():
        told = f"{name}: there is no such file below {root}; check the path, or CROSSLIFT_DATA."
        raise DataError(f"{told}{near_path(path)}")
    if not path.is_file():
        raise DataError(f"{name}: expected an ordinary file.")
    return path


def _outside(root: Path, path: str) -> DataError:
    return DataError(
        f"{path!r}: leads out of the data folder {root}. Tables are read only below it: move the file there, or set "
        "CROSSLIFT_DATA to a folder that holds all tables."
    )
