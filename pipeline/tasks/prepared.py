"""From a task to its prepared domains."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.config import (
    BinaryTask,
    Config,
    Encoded,
    MulticlassTask,
    MultilabelTask,
    NextEventTask,
    RankingTask,
    RegressionTask,
)
from pipeline.data.embeddings import Embeddings
from pipeline.rows.behaviour.prepared import EventRows
from pipeline.rows.examples.prepared import Examples
from pipeline.rows.interactions.prepared import Domains
from pipeline.rows.kind import Prepared

Vectors = Mapping[Encoded, Embeddings]
NOTHING: Vectors = {}

# config class of a task -> reader(task, folder of each domain, target, vectors by what was read)
PREPARED: dict[type[Config], Callable[[Any, Mapping[str, Path], str, Vectors], Prepared]] = {
    RankingTask: lambda task, folders, target, embeddings: Domains.read(folders, target, embeddings.get("text")),  # noqa: ARG005
    BinaryTask: Examples.read,
    MulticlassTask: Examples.read,
    MultilabelTask: Examples.read,
    RegressionTask: Examples.read,
    NextEventTask: lambda task, folders, target, embeddings: EventRows.of(task, folders, target),  # noqa: ARG005
}


def read_prepared(task: Config, folders: Mapping[str, Path], target: str, embeddings: Vectors = NOTHING) -> Prepared:
    """Read what `prepare` published of each domain, the target's among them; the order of the sources is kept.

    `embeddings`: what pretrained encoders said of texts and pictures.
    """
    return PREPARED[type(task)](task, folders, target, embeddings)
