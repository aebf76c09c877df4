"""The first step: fix the scenario for this run and say which lanes it has."""

import logging

from pipeline.config import Options, Scenario
from pipeline.folders import Home
from pipeline.runs.carrying import refuse_misfits
from pipeline.runs.graph import graph_of, lanes_of
from pipeline.runs.history import last_shown
from pipeline.runs.run import Run, alone
from pipeline.scenarios import apply_options

log = logging.getLogger(__name__)


def plan(run_id: str, scenario: Scenario, options: Options) -> dict[str, list[str]]:
    """Start the run and list its lanes.

    Returns:
        Task -> lanes, of each task that has several.

    Raises:
        ConfigError: the options name what the scenario does not have.
        UserError: a command works on the same run, or a lane cannot begin with the model that stands for sources.
    """
    home = Home.from_env()
    refuse_misfits(home, apply_options(scenario, options))
    with alone(home, run_id):
        run = Run.start(home, run_id, scenario, options)
    lanes = lanes_of(graph_of(run.scenario))
    log.info("run %s of %s: %s to %s", run_id, scenario.name, " and ".join(scenario.teachers), scenario.target)
    for task, names in lanes.items():
        log.info("  %s: %s", task, ", ".join(names))
    judged, shows = last_shown(home, scenario.name)
    if judged:
        log.info("  the test rows of run %s: %s", judged, shows)
    if run.trial:
        serves = "serves if the gate passes it" if run.promote else "is registered and does not serve"
        log.info("  a trial, whose model %s: %s", serves, run.trial)
    return lanes
