"""From a task to its prepared domains."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.config import BinaryTask, Config, MulticlassTask, MultilabelTask, RankingTask, RegressionTask
from pipeline.rows.examples.prepared import Examples
from pipeline.rows.interactions.prepared import Domains
from pipeline.rows.kind import Prepared

# config class of a task -> reader(task, folder of each domain, target)
PREPARED: dict[type[Config], Callable[[Any, Mapping[str, Path], str], Prepared]] = {
    RankingTask: lambda task, folders, target: Domains.read(folders, target),  # noqa: ARG005
    BinaryTask: Examples.read,
    MulticlassTask: Examples.read,
    MultilabelTask: Examples.read,
    RegressionTask: Examples.read,
}


def read_prepared(task: Config, folders: Mapping[str, Path], target: str) -> Prepared:
    """Read what `prepare` published of each domain, the target's among them; the order of the sources is kept."""
    return PREPARED[type(task)](task, folders, target)
