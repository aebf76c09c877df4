"""Whether a folder is still what was published: its files are held against its manifest before anything uses them."""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import StorageError
from pipeline.folders import MANIFEST, META, UNHASHED, manifest_of, read_json, storage_errors

log = logging.getLogger(__name__)

DAMAGED = ".damaged"  # what the name of a folder that was set aside ends in
_NAMED = 3  # files that a message names


def damage(folder: Path) -> str:
    """Say what of a published folder is not as it was published, file by file; empty where it is whole.

    Artifacts are held against the manifest, and the pages below `unhashed` against what the meta file states of them.
    """
    if told := stated_damage(folder):
        return told
    try:
        pages = read_json(folder / META)[UNHASHED]
        return _differences(pages, manifest_of(folder / UNHASHED), f"{UNHASHED}/")
    except (StorageError, OSError) as error:
        return str(error)
    except (KeyError, TypeError):
        return f"{META}: expected what it states of the pages below {UNHASHED}/"


def stated_damage(folder: Path, *, beyond: bool = True) -> str:
    """Say which files of a folder are not as its manifest states; empty where all are.

    Args:
        folder: The folder with the manifest.
        beyond: Whether a file that the manifest does not name counts as damage too.
    """
    try:
        stated, found = read_json(folder / MANIFEST), manifest_of(folder)
    except (StorageError, OSError) as error:
        return str(error)
    if not isinstance(stated, dict):
        return f"{MANIFEST}: expected a JSON object of files, got {type(stated).__name__}"
    return _differences(stated, found if beyond else {name: found[name] for name in found if name in stated})


def refuse_damaged(folder: Path, what: str, *, beyond: bool = True) -> None:
    """Refuse what is about to serve, unless its files are as its manifest states.

    Args:
        folder: The folder with the manifest.
        what: What should lie there, for the message.
        beyond: Whether a file that the manifest does not name is refused too.

    Raises:
        StorageError: a file is damaged; it is named.
    """
    if why := stated_damage(folder, beyond=beyond):
        raise StorageError(
            f"{folder}: the {what} is damaged and is not served: {why}. Run the scenario again, which puts what serves "
            "back, or let the model before it serve: `crosslift models rollback NAME`."
        )


def set_aside(folder: Path, why: str) -> None:
    """Move a damaged folder out of the way and say so; a person may look at it, and only the last one is kept."""
    aside = folder.with_name(f"{folder.name}{DAMAGED}")
    with storage_errors(folder.parent):
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
    log.warning("%s was damaged since it was published (%s); it is now %s and is made again.", folder, why, aside.name)


def _differences(stated: Mapping[str, Any], found: Mapping[str, Any], prefix: str = "") -> str:
    told = [
        f"{prefix}{name}: expected {_described(stated.get(name))}, found {_described(found.get(name))}"
        for name in sorted({*stated, *found})
        if stated.get(name) != found.get(name)
    ]
    more = f"; and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    return "; ".join(told[:_NAMED]) + more


def _described(entry: Any) -> str:
    if entry is None:
        return "no such file"
    if not isinstance(entry, dict) or set(entry) != {"bytes", "sha256"}:
        return "no size and hash"
    return f"{entry['bytes']} bytes with SHA-256 {str(entry['sha256'])[:12]}"
