"""From a model to what trains it."""

from collections.abc import Callable

from pipeline.config import Config, EventModel, HistoryModel, SequenceModel, TabularModel, TrainSettings
from pipeline.models.lanes import ItemLearner
from pipeline.models.learner import NOTHING, Learner, Taught
from pipeline.models.tabular import TabularLearner

# config class of a model
LEARNERS: dict[type[Config], Callable[[TrainSettings, Taught], Learner]] = {
    HistoryModel: ItemLearner,
    SequenceModel: ItemLearner,
    TabularModel: TabularLearner,
    EventModel: TabularLearner,
}


def build_learner(settings: TrainSettings, taught: Taught = NOTHING) -> Learner:
    """The learner of a model with the settings of a step; `taught` is what a registered model knows, see `Learner`."""
    return LEARNERS[type(settings.model)](settings, taught)
