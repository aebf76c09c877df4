"""The texts of a prepared domain."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.config.base import TaskConfig
from pipeline.tasks.prepared import read_prepared


def texts_of(task: TaskConfig, folder: Path, domain: str) -> Sequence[str]:
    """The different texts of what `prepare` published of a domain, but for empty ones."""
    return read_prepared(task, {domain: folder}, domain).texts()
