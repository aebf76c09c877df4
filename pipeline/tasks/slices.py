"""From a task to the groups that its rows are shown in."""

from collections.abc import Callable
from typing import Any

from pipeline.config import Config, RankingTask
from pipeline.rows.interactions.slices import make_slices
from pipeline.views import Slice, View

# config class of a task -> slices(task, view)
SLICES: dict[type[Config], Callable[[Any, View], list[Slice]]] = {
    RankingTask: lambda task, view: make_slices(view),  # noqa: ARG005
}


def slice_rows(task: Config, view: View) -> list[Slice]:
    """Groups of the rows of a view, each row in one of a kind."""
    return SLICES[type(task)](task, view)
