"""What the commands that run steps share: options, the run that no other command works on, and how it is told."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pipeline.config import Options
from pipeline.errors import ConfigError, Interrupted
from pipeline.folders import Home
from pipeline.scenarios import apply_options, load_scenario, read_options

if TYPE_CHECKING:
    from pipeline.runs.graph import Graph
    from pipeline.runs.processes import Outcome
    from pipeline.runs.run import Run


def options_of(strategies: str | None, **values: Any) -> Options:
    """The options of a run.

    Raises:
        ConfigError: one cannot be.
    """
    names = [] if strategies is None else [name.strip() for name in strategies.split(",")]
    return read_options({"strategies": tuple(names), **values}, "options")


@contextmanager
def resumable() -> Iterator[None]:
    """Say at an interrupt how to go on: what is done is found again, a training goes on from its last epoch.

    Raises:
        Interrupted: instead of `KeyboardInterrupt`.
    """
    try:
        yield
    except KeyboardInterrupt:
        again = shlex.join(("crosslift", *sys.argv[1:]))
        told = "interrupted; every task has ended, and what was done is kept. The same command goes on from there"
        raise Interrupted(f"{told}: {again}") from None


@contextmanager
def running(scenario: str, run_id: str | None, options: Options | None) -> "Iterator[Run]":
    """A run that no other command works on meanwhile: started with these options, or an earlier one as it stands."""
    from pipeline.runs.carrying import refuse_misfits
    from pipeline.runs.run import Run, alone

    known = load_scenario(scenario)
    home = Home.from_env()
    name = run_id or f"{scenario}__cli__{datetime.now(UTC):%Y%m%dT%H%M%S_%f}"
    if options is not None:
        refuse_misfits(home, apply_options(known, options))  # what cannot be is refused before anything is written
    if options is None or (home.run(name) / "plan.json").exists():
        load_run(name, scenario)
    with resumable(), alone(home, name):
        yield Run.load(home, name) if options is None else Run.start(home, name, known, options)


def load_run(run_id: str, scenario: str) -> "Run":
    """An earlier run of a scenario.

    Raises:
        ConfigError: there is none, or it is of another scenario.
    """
    from pipeline.runs.run import Run

    found = Run.load(Home.from_env(), run_id)
    if found.scenario.name != scenario:
        raise ConfigError(f"run {run_id}: it is a run of {found.scenario.name!r}, not of {scenario!r}.")
    return found


def run_shown(run: "Run", graph: "Graph", jobs: int | None, *, summed: bool = False) -> "list[Outcome]":
    """Run a graph's tasks and show how it gets on.

    Args:
        run: The run.
        graph: Its tasks.
        jobs: How many work at a time; the number of cores if not given.
        summed: Whether what is to be known before any number is told at the end, and so not meanwhile.
    """
    from pipeline.cli.progress import Shown
    from pipeline.runs.sequence import run_graph
    from pipeline.steps import call_task

    several = jobs or len(os.sched_getaffinity(0))
    with Shown(run, graph, several, summed) as shown:
        return run_graph(run, graph, call_task, several, shown)
