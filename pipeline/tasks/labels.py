"""From a task to the kind of its gated label."""

from collections.abc import Callable
from typing import Any

from pipeline.config import Config, RankingTask
from pipeline.labels.items import Items
from pipeline.labels.kind import LabelKind

LABELS: dict[type[Config], Callable[[Any], LabelKind]] = {RankingTask: Items}  # config class of a task -> builder


def build_label(task: Config) -> LabelKind:
    """The kind of label that is gated, with the task's settings."""
    return LABELS[type(task)](task)
