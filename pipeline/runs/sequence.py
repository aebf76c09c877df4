"""A whole run outside Airflow: the same steps in their order, lanes beside each other in processes of their own."""

from collections.abc import Callable, Mapping
from graphlib import TopologicalSorter
from importlib import import_module
from multiprocessing import connection
from typing import Any

from pipeline.config import Scenario
from pipeline.errors import ConfigError, CrossliftError, ExitCode
from pipeline.results import StepResult
from pipeline.runs.inputs import start_of
from pipeline.runs.processes import Node, Outcome, Task, end_tasks, finish_task, start_task
from pipeline.runs.run import Run, planned
from pipeline.runs.transaction import limit_threads

Graph = dict[Node, tuple[Node, ...]]  # what must have ended before

# Step -> the module of `pipeline.steps` that holds the function of that name.
MODULES = {
    "ingest": "ingest",
    "validate": "validate",
    "prepare": "prepare",
    "audit": "audit",
    "pretrain_source": "pretrain",
    "adapt_domain": "adapt",
    "finetune_target": "finetune",
    "fit_baseline": "baseline",
    "evaluate": "evaluate",
    "promote": "promote",
}
DATA = ("ingest", "validate", "prepare", "audit")
TRAINING = ("pretrain_source", "adapt_domain", "finetune_target", "fit_baseline")  # a failure costs only what needs it
PARTS = ("verdict", "rejudged", "report", "package")  # what evaluate and promote record beside their own results


class StepFailedError(CrossliftError):
    """A step that all later ones need failed; carries its message and its exit code."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"{outcome.name}: {outcome.message}")
        self.exit_code = ExitCode(outcome.exit_code)


def graph_of(scenario: Scenario) -> Graph:
    """List the tasks of a run, each with what must have ended before it; the longest chain stands first."""
    audit, pretrain = ("audit", ""), ("pretrain_source", "")
    graph: Graph = {("ingest", ""): (), ("validate", ""): (("ingest", ""),), ("prepare", ""): (("validate", ""),)}
    graph |= {audit: (("prepare", ""),), pretrain: (audit,)}
    for strategy in scenario.strategies:
        begins = start_of(strategy)
        start = (begins[0].name, begins[1]) if begins else audit
        graph.setdefault(start, (pretrain,))  # an adaptation
        graph[("finetune_target", strategy.name)] = (start,)
    graph |= {("fit_baseline", baseline.name): (audit,) for baseline in scenario.baselines}
    graph[("evaluate", "")] = tuple(node for node in graph if node[0] in TRAINING)
    graph[("promote", "")] = (("evaluate", ""),)
    return graph


def data_graph(scenario: Scenario) -> Graph:
    """List the tasks from `ingest` to `audit`."""
    return {node: needs for node, needs in graph_of(scenario).items() if node[0] in DATA}


def call_step(run: Run, step: str, lane: str = "") -> list[StepResult[Any]]:
    """Run one step of a run in this process, and give its results.

    Raises:
        ConfigError: there is no such step, or the run has no such lane of it.
        CrossliftError: the step failed.
    """
    if step not in MODULES:
        raise ConfigError(f"step: expected one of plan, {', '.join(MODULES)}, got {step!r}.")
    lanes = [node[1] for node in graph_of(run.scenario) if node[0] == step]
    if lane not in lanes:
        expected = "a lane, one of " + ", ".join(lanes) if any(lanes) else "no lane"
        raise ConfigError(f"{step} of run {run.run_id}: expected {expected}, got {lane or 'none'!r}.")
    function = getattr(import_module(f"pipeline.steps.{MODULES[step]}"), step)
    found: StepResult[Any] | Mapping[str, StepResult[Any]] = function(run, lane) if lane else function(run)
    return list(found.values()) if isinstance(found, Mapping) else [found]


def run_graph(run: Run, graph: Graph, jobs: int, tell: Callable[[Outcome], None]) -> list[Outcome]:
    """Run the tasks of a graph in their order, at most `jobs` at a time, each in a fresh process.

    Results of an earlier try of the same run are dropped first; what did not change is found again by its fingerprint.

    Args:
        run: The run.
        graph: Which tasks, and what each waits for.
        jobs: How many processes may work at a time; at least 1.
        tell: Called with each outcome as it comes.

    Returns:
        The outcomes in the order in which the tasks ended; only tasks that train may have failed.

    Raises:
        StepFailedError: a task that all later ones need failed. What ran beside it is ended.
    """
    again = ran_before(run)
    _forget(run, graph)
    limit_threads()  # inherited by the processes before they load anything numeric
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    places = {node: place for place, node in enumerate(graph)}
    ready: list[Node] = []
    running: dict[connection.Connection, Task] = {}
    outcomes: list[Outcome] = []
    try:
        while sorter.is_active():
            ready = sorted((*ready, *sorter.get_ready()), key=places.__getitem__)
            while ready and len(running) < jobs:
                node = ready.pop(0)
                news = not again or any(outcome.state == "computed" for outcome in outcomes)
                task = start_task(run, node, call_step, forked=node[0] not in DATA, preload=news)
                running[task.receiver] = task
            for receiver in connection.wait(list(running)):
                assert isinstance(receiver, connection.Connection)
                task = running.pop(receiver)
                outcomes.append(finish_task(task))
                tell(outcomes[-1])
                if outcomes[-1].state == "failed" and task.node[0] not in TRAINING:
                    raise StepFailedError(outcomes[-1])
                sorter.done(task.node)
    finally:
        end_tasks()
    return outcomes


def ran_before(run: Run) -> bool:
    """Whether an earlier run of this very plan came to a verdict, so that most likely nothing is left to compute."""
    if run.force:
        return False
    plan = run.scenario.model_dump(mode="json")
    verdicts = run.home.root.glob("runs/*/results/verdict..json")
    plans = (planned(path.parents[1]) for path in verdicts)
    return any(isinstance(other, dict) and other.get("scenario") == plan for other in plans)


def _forget(run: Run, graph: Graph) -> None:
    """Drop the records of the steps, so that a failed try leaves none of an earlier one to be mistaken for its own."""
    steps = {step for step, _ in graph}
    if "validate" in steps:
        steps.add("clean")
    if "evaluate" in steps:
        steps |= set(PARTS)
    for record in run.folder.glob("results/*.json"):
        if record.name.partition(".")[0] in steps:
            record.unlink()
