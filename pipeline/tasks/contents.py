"""The texts and pictures of a prepared domain."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.config import Encoded
from pipeline.config.base import TaskConfig
from pipeline.tasks.prepared import read_prepared


def contents_of(task: TaskConfig, folder: Path, domain: str, kind: Encoded) -> Sequence[str]:
    """The different texts of what `prepare` published of a domain but for empty ones, or the names of its pictures."""
    return read_prepared(task, {domain: folder}, domain).contents(kind)
