"""From a task to how its baselines are fitted."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from pipeline.config import (
    Baseline,
    BinaryTask,
    Config,
    MulticlassTask,
    MultilabelTask,
    NextEventTask,
    RankingTask,
    RegressionTask,
)
from pipeline.models import baselines, example_baselines
from pipeline.views import Predictor, Views


class Fit(Protocol):
    """Fits a baseline with one combination of settings."""

    def __call__(
        self, config: Any, views: Views, target: str, settings: dict[str, Any], seed: int, *, shared: bool
    ) -> Predictor:
        """A predictor of the target's rows."""
        ...


_OF_EXAMPLES = (example_baselines.fit_baseline, example_baselines.candidates)

# config class of a task -> (fit, the settings that a baseline of it may have)
BASELINES: dict[type[Config], tuple[Fit, Callable[[Any], Iterator[dict[str, Any]]]]] = {
    RankingTask: (baselines.fit_baseline, baselines.candidates),
    BinaryTask: _OF_EXAMPLES,
    MulticlassTask: _OF_EXAMPLES,
    MultilabelTask: _OF_EXAMPLES,
    RegressionTask: _OF_EXAMPLES,
    NextEventTask: _OF_EXAMPLES,
}


def fit_of(task: Config) -> Fit:
    """How a baseline of a task is fitted."""
    return BASELINES[type(task)][0]


def candidates_of(task: Config, baseline: Baseline) -> Iterator[dict[str, Any]]:
    """Every combination of settings that a baseline may have; validation picks one."""
    return BASELINES[type(task)][1](baseline)
