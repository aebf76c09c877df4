"""From a task to how its rows are parted."""

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
from pipeline.rows.behaviour.parting import PartEvents
from pipeline.rows.examples.parting import PartExamples
from pipeline.rows.interactions.parting import PartInteractions
from pipeline.rows.kind import Parting

# config class of a task -> builder
PARTINGS: dict[type[Config], Callable[[Any], Parting]] = {
    RankingTask: PartInteractions,
    BinaryTask: PartExamples,
    MulticlassTask: PartExamples,
    MultilabelTask: PartExamples,
    RegressionTask: PartExamples,
    NextEventTask: PartEvents,
}


def parting_of(task: Config) -> Parting:
    """How the rows of a task are parted."""
    return PARTINGS[type(task)](task)
