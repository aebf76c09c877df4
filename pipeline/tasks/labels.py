"""From a task to the kind of its gated label."""

from collections.abc import Callable
from typing import Any

from pipeline.config import (
    BinaryTask,
    Config,
    ExamplesTask,
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
from pipeline.labels.several import Several
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
    """The kind of label that is judged, with the task's settings; of several the first is gated."""
    if isinstance(task, ExamplesTask) and task.also:
        return Several({one.label: LABELS[type(one)](one) for one in task.each})
    return LABELS[type(task)](task)
