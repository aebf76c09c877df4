"""What makes tonight's lane the same recipe as last night's."""

from pipeline.config import Baseline, JudgeSettings, Scenario, Strategy
from pipeline.folders import digest


def recipe_of(scenario: Scenario | JudgeSettings, lane: str) -> str:
    """Name a lane's recipe: the lane with a digest of its settings in the scenario, whatever the data and the seed.

    Raises:
        StopIteration: the scenario has no such lane.
    """
    if blend := next((one for one in scenario.blends if one.name == lane), None):
        return f"{lane} {digest([recipe_of(scenario, member) for member in blend.of])[:12]}"
    lanes: tuple[Strategy | Baseline, ...] = (*scenario.strategies, *scenario.baselines)
    config = next(one for one in lanes if one.name == lane)
    settings = [config.model_dump(mode="json"), scenario.teachers, scenario.bridges, scenario.target_labels]
    if config in scenario.strategies:
        settings += [scenario.model.model_dump(mode="json"), scenario.training.model_dump(mode="json")]
    return f"{lane} {digest(settings)[:12]}"
