"""What somebody most likely meant who misspelt a name: one sentence for the end of a message, or none."""

import difflib
from collections.abc import Iterable
from pathlib import Path


def near(name: str, known: Iterable[str]) -> str:
    """Ask whether the known name was meant that is most like this one.

    Returns:
        ` Did you mean 'demo'?`, or nothing where none is like it. Case does not count, nor do `_`, `-` and blanks.
    """
    found = nearest(name, known)
    return f" Did you mean {found!r}?" if found is not None else ""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one, or None."""
    by_letters = {_letters(one): one for one in reversed(list(known))}  # of two that are one so, the first
    found = difflib.get_close_matches(_letters(name), by_letters, n=1)
    return by_letters[found[0]] if found else None


def near_path(path: Path) -> str:
    """Ask whether a file or folder beside a missing one was meant, at the first part of the path that is not there."""
    missing = next((one for one in reversed((path, *path.parents)) if not one.exists()), None)
    if missing is None or not missing.parent.is_dir():
        return ""
    try:
        beside = sorted(one.name for one in missing.parent.iterdir() if not one.name.startswith("."))
    except OSError:
        return ""
    found = nearest(missing.name, beside)
    if found is None:
        return ""
    whole = missing.parent / found / path.relative_to(missing)
    return f" Did you mean {str(whole if whole.exists() else missing.parent / found)!r}?"


def _letters(name: str) -> str:
    return "".join(one for one in name.casefold() if one not in "_- ") or name
