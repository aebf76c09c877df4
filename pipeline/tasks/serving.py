"""From the task that a package names to what answers requests."""

from typing import get_args

from pipeline.config import (
    BinaryTask,
    Config,
    MulticlassTask,
    MultilabelTask,
    NextEventTask,
    RankingTask,
    RegressionTask,
)
from pipeline.errors import StorageError
from pipeline.rows.behaviour.served import ServeEvents
from pipeline.rows.examples.served import ServeExamples
from pipeline.rows.interactions.served import ServeInteractions
from pipeline.rows.kind import Serving

SERVING: dict[type[Config], Serving] = {
    RankingTask: ServeInteractions(),
    BinaryTask: ServeExamples(),
    MulticlassTask: ServeExamples(),
    MultilabelTask: ServeExamples(),
    RegressionTask: ServeExamples(),
    NextEventTask: ServeEvents(),
}


def serving_of(kind: str) -> Serving:
    """What serves a kind of task.

    Raises:
        StorageError: this version knows no such task.
    """
    known = {str(get_args(config.model_fields["kind"].annotation)[0]): config for config in SERVING}
    if kind not in known:
        raise StorageError(f"package: expected one of the tasks {', '.join(known)}, got {kind!r}, of another version.")
    return SERVING[known[kind]]
