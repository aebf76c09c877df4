"""The first step: fix the scenario for this run and say which lanes it has."""

from pipeline.config import Options, Scenario
from pipeline.folders import Home
from pipeline.runs.graph import graph_of, lanes_of
from pipeline.runs.run import Run, alone


def plan(run_id: str, scenario: Scenario, options: Options) -> dict[str, list[str]]:
    """Start the run and list its lanes.

    Returns:
        Task -> lanes, of each task that has several.

    Raises:
        ConfigError: the options name what the scenario does not have.
        UserError: a command works on the same run.
    """
    home = Home.from_env()
    with alone(home, run_id):
        return lanes_of(graph_of(Run.start(home, run_id, scenario, options).scenario))
