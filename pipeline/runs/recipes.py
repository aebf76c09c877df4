"""What makes tonight's lane the same recipe as last night's."""

from pipeline.config import JudgeSettings, Scenario
from pipeline.folders import digest


def recipe_of(scenario: Scenario | JudgeSettings, lane: str) -> str:
    """Name a lane's recipe: the lane with a digest of its settings in the scenario, whatever the data and the seed.

    Raises:
        StopIteration: the scenario has no such lane.
    """
    config = next(one for one in (*scenario.strategies, *scenario.baselines) if one.name == lane)
    settings = [config.model_dump(mode="json"), scenario.sources, scenario.bridges, scenario.target_labels]
    if config in scenario.strategies:
        settings += [scenario.model.model_dump(mode="json"), scenario.training.model_dump(mode="json")]
    return f"{lane} {digest(settings)[:12]}"
