"""From a task to the groups that its rows are shown in."""

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
from pipeline.rows.examples import slices as examples
from pipeline.rows.interactions import slices as interactions
from pipeline.views import Slice, View

# config class of a task -> slices(task, view)
SLICES: dict[type[Config], Callable[[Any, View], list[Slice]]] = {
    RankingTask: lambda task, view: interactions.make_slices(view),  # noqa: ARG005
    BinaryTask: examples.make_slices,
    MulticlassTask: examples.make_slices,
    MultilabelTask: examples.make_slices,
    RegressionTask: examples.make_slices,
    NextEventTask: lambda task, view: examples.make_slices(task.examples, view),
}


def slice_rows(task: Config, view: View) -> list[Slice]:
    """Groups of the rows of a view, each row in one of a kind."""
    return SLICES[type(task)](task, view)
