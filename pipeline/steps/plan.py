"""The first step: fix the scenario for this run and say which lanes it has."""

from pipeline.config import Options, Scenario
from pipeline.folders import Home
from pipeline.runs.run import Run, alone


def plan(run_id: str, scenario: Scenario, options: Options) -> dict[str, list[str]]:
    """Start the run and list its lanes by name.

    Returns:
        `adapts`, `strategies` and `baselines`, each a list of names that the mapped tasks expand over.

    Raises:
        ConfigError: the options name what the scenario does not have.
        UserError: a command works on the same run.
    """
    home = Home.from_env()
    with alone(home, run_id):
        return lanes(Run.start(home, run_id, scenario, options).scenario)


def lanes(scenario: Scenario) -> dict[str, list[str]]:
    """The names of the mapped tasks of a scenario."""
    adapts = [strategy.adapt.kind for strategy in scenario.strategies if strategy.start == "adapted"]
    return {
        "adapts": list(dict.fromkeys(adapts)),
        "strategies": [strategy.name for strategy in scenario.strategies],
        "baselines": [baseline.name for baseline in scenario.baselines],
    }
