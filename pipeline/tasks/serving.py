"""From the task that a package names to what answers requests."""

from pipeline.config import Config, RankingTask
from pipeline.errors import StorageError
from pipeline.rows.interactions.served import ServeInteractions
from pipeline.rows.kind import Serving

SERVING: dict[type[Config], Serving] = {RankingTask: ServeInteractions()}


def serving_of(kind: str) -> Serving:
    """What serves a kind of task.

    Raises:
        StorageError: this version knows no such task.
    """
    known = {str(config.model_fields["kind"].default): config for config in SERVING}
    if kind not in known:
        raise StorageError(f"package: expected one of the tasks {', '.join(known)}, got {kind!r}, of another version.")
    return SERVING[known[kind]]
