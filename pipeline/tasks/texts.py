"""The texts of a prepared domain."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.config import ExamplesTask
from pipeline.rows.examples.prepared import Examples


def texts_of(task: ExamplesTask, folder: Path, domain: str) -> Sequence[str]:
    """The different texts of what `prepare` published of a domain, but for empty ones."""
    return Examples.read(task, {domain: folder}, domain).texts()
