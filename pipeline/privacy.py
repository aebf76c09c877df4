"""What is for its owner alone: files that nobody else can open, and traces that tell no value."""

import os
import stat
import traceback
from contextlib import suppress
from pathlib import Path


def keep_private(root: Path) -> None:
    """Let the owner alone open what this process writes from now on, and nobody else enter the home.

    That closes all below it, also what was left open there before. A folder is taken for a home if it is empty or holds
    runs; one that belongs to somebody else, or that all may write to by design, such as /tmp, stays as it is.
    """
    os.umask(0o077)
    with suppress(OSError):
        found = root.stat()
        names = {path.name for path in root.iterdir()}
        ours = found.st_uid == os.geteuid() and not found.st_mode & stat.S_ISVTX and ("runs" in names or not names)
        if ours and found.st_mode & 0o077:
            root.chmod(0o700)


def trace(error: BaseException) -> str:
    """Where an error came from, and its type, for a file that others may read: messages quote cells and ids."""
    parts = []
    current: BaseException | None = error
    while current is not None:
        frames = "".join(traceback.format_tb(current.__traceback__))
        parts.append(f"Traceback (most recent call last):\n{frames}{type(current).__qualname__} (message not kept)\n")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\nwhich came of this one or while it was handled:\n\n".join(parts)
