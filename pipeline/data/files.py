"""Which files a scenario names: found below the data folder, and never outside it. Loads nothing heavy."""

import glob
from pathlib import Path
from typing import get_args

from pipeline.config.files import FORMATS, PACKED, Format, format_of
from pipeline.errors import DataError


def find_files(root: Path, pattern: str) -> tuple[Path, ...]:
    """The files that a path or glob names, with links followed, sorted by name.

    Args:
        root: The data folder, resolved.
        pattern: Relative to `root`; a path that exists is taken as it is, even if it holds `*`, `?` or `[`.

    Raises:
        DataError: nothing is there, or something that is no file, or a path leads out of the data folder.
    """
    if "\0" in pattern or ".." in Path(pattern).parts:
        raise _outside(root, pattern)
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


def _checked(root: Path, name: str) -> Path:
    path = inside(root, name)
    if path.is_dir():
        raise DataError(f"{name}: expected a file, got a folder; name the files in it, for example {name}/*.parquet.")
    if not path.exists():
        raise DataError(f"{name}: there is no such file below {root}; check the path, or CROSSLIFT_DATA.")
    if not path.is_file():
        raise DataError(f"{name}: expected an ordinary file.")
    return path


def _outside(root: Path, path: str) -> DataError:
    return DataError(
        f"{path!r}: leads out of the data folder {root}. Tables are read only below it: move the file there, or set "
        "CROSSLIFT_DATA to a folder that holds all tables."
    )
