"""From a task to what only shows when its domains are looked at together."""

from collections.abc import Callable, Mapping

import pandas as pd

from pipeline.config import (
    BinaryTask,
    CheckSettings,
    Config,
    MulticlassTask,
    MultilabelTask,
    NextEventTask,
    RankingTask,
    RegressionTask,
)
from pipeline.data.rules import Check
from pipeline.rows.behaviour import crossings as behaviour
from pipeline.rows.examples import crossings as examples
from pipeline.rows.interactions import crossings as interactions
from pipeline.rows.kind import CleanTables

Crossed = tuple[pd.DataFrame, tuple[Check, ...]]  # one row of figures, and a check for each of them


# config class of a task -> checks(settings, clean tables of each domain)
CROSSINGS: dict[type[Config], Callable[[CheckSettings, Mapping[str, CleanTables]], Crossed]] = {
    RankingTask: interactions.crossing_checks,
    BinaryTask: examples.crossing_checks,
    MulticlassTask: examples.crossing_checks,
    MultilabelTask: examples.crossing_checks,
    RegressionTask: examples.crossing_checks,
    NextEventTask: behaviour.crossing_checks,
}


def check_crossings(settings: CheckSettings, domains: Mapping[str, CleanTables]) -> Crossed:
    """Figures about the domains together, and the checks on them."""
    return CROSSINGS[type(settings.task)](settings, domains)
