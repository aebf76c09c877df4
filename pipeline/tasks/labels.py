"""From a task to the kind of its gated label."""

from collections.abc import Callable
from typing import Any

from pipeline.config import (
    BinaryTask,
    Config,
    MulticlassTask,
    MultilabelTask,
    NextEventTask,
    RankingTask,
    RegressionTask,
)
from pipeline.labels.class_kind import Classes, TwoClasses
from pipeline.labels.event_kind import NextEvents
from pipeline.labels.items import Items
from pipeline.labels.kind import LabelKind
from pipeline.labels.number_kind import Numbers
from pipeline.labels.tag_kind import Tags

# config class of a task -> builder
LABELS: dict[type[Config], Callable[[Any], LabelKind]] = {
    RankingTask: Items,
    BinaryTask: TwoClasses,
    MulticlassTask: Classes,
    MultilabelTask: Tags,
    RegressionTask: Numbers,
    NextEventTask: NextEvents,
}


def build_label(task: Config) -> LabelKind:
    """The kind of label that is gated, with the task's settings."""
    return LABELS[type(task)](task)
