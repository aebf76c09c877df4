"""From a model to what trains it."""

from collections.abc import Callable

from pipeline.config import Config, HistoryModel
from pipeline.models.lanes import HistoryLearner
from pipeline.models.learner import Learner, Learning

LEARNERS: dict[type[Config], Callable[[Learning], Learner]] = {HistoryModel: HistoryLearner}  # config class of a model


def build_learner(learning: Learning) -> Learner:
    """The learner of a model with the settings of a fit."""
    return LEARNERS[type(learning.model)](learning)
