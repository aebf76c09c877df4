"""From a task to how its rows are parted."""

from pipeline.config import Config, RankingTask
from pipeline.rows.interactions.parting import PartInteractions
from pipeline.rows.kind import Parting

PARTINGS: dict[type[Config], Parting] = {RankingTask: PartInteractions()}  # by config class of a task


def parting_of(task: Config) -> Parting:
    """How the rows of a task are parted."""
    return PARTINGS[type(task)]
