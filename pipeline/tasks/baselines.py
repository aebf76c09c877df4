"""From a task to how its baselines are fitted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from pipeline.config import (
    BinaryTask,
    Config,
    MulticlassTask,
    MultilabelTask,
    NextEventTask,
    RankingTask,
    RegressionTask,
)
from pipeline.models import baselines, example_baselines
from pipeline.models.carried_baselines import Carried
from pipeline.views import Predictor, Views


class Fit(Protocol):
    """Fits a baseline with one combination of settings."""

    def __call__(
        self, config: Any, views: Views, target: str, settings: dict[str, Any], seed: int, *, shared: bool
    ) -> Predictor:
        """A predictor of the target's rows."""
        ...


Candidates = Callable[[Any], Iterator[dict[str, Any]]]
_OF_EXAMPLES = (example_baselines.fit_baseline, example_baselines.candidates)

# config class of a task -> (fit, the settings that a baseline of it may have)
BASELINES: dict[type[Config], tuple[Fit, Candidates]] = {
    RankingTask: (baselines.fit_baseline, baselines.candidates),
    BinaryTask: _OF_EXAMPLES,
    MulticlassTask: _OF_EXAMPLES,
    MultilabelTask: _OF_EXAMPLES,
    RegressionTask: _OF_EXAMPLES,
    NextEventTask: _OF_EXAMPLES,
}


def ways_of(task: Config, start: Path | None = None) -> tuple[Fit, Candidates]:
    """How a baseline of a task is fitted, and every combination of settings that it may have; validation picks one.

    `start` is where the registered model lies that it begins with, if it does.
    """
    if start is None:
        return BASELINES[type(task)]
    begun = Carried.read(start)
    return begun.fit, begun.candidates
