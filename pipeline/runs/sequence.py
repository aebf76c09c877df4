"""A whole run outside Airflow: the same steps in their order, lanes beside each other in processes of their own."""

from collections.abc import Callable
from contextlib import suppress
from graphlib import TopologicalSorter
from multiprocessing import connection

from pipeline.errors import CrossliftError, ExitCode, StorageError
from pipeline.results import VERDICT
from pipeline.runs.graph import DATA, RECORDS, TRAINING, Graph, Node
from pipeline.runs.processes import (
    ASKED,
    TRAINED,
    Call,
    Outcome,
    Task,
    end_tasks,
    hear_task,
    start_server,
    start_task,
)
from pipeline.runs.progress import Progress, keep_seconds
from pipeline.runs.run import Run, planned
from pipeline.runs.transaction import limit_threads


class StepFailedError(CrossliftError):
    """A step that all later ones need failed; carries its name, its message and its exit code."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"{outcome.name}: {outcome.message}")
        self.step = outcome.name
        self.exit_code = ExitCode(outcome.exit_code)


Tell = Callable[[Progress | Outcome], None]


def run_graph(run: Run, graph: Graph, call: Call, jobs: int, tell: Tell) -> list[Outcome]:
    """Run the tasks of a graph in their order, at most `jobs` at a time, each in a fresh process.

    Results of an earlier try of the same run are dropped first; what did not change is found again by its fingerprint.

    Args:
        run: The run.
        graph: Which tasks, and what each waits for.
        call: What runs a task; a function of a module.
        jobs: How many processes may work at a time; at least 1.
        tell: Called when a task begins, with what it says meanwhile, and with each outcome as it comes.

    Returns:
        The outcomes in the order in which the tasks ended; only tasks that train may have failed.

    Raises:
        StepFailedError: a task that all later ones need failed. What ran beside it is ended.
    """
    again, served = ran_before(run), False
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
                forked = node[0] not in DATA
                if forked and not served:
                    start_server(TRAINED)
                    served = True
                task = start_task(run, node, call, forked=forked)
                running[task.receiver] = task
                tell(Progress(step=node[0], lane=node[1]))
            for receiver in connection.wait(list(running)):
                assert isinstance(receiver, connection.Connection)
                task = running[receiver]
                told = hear_task(task)
                tell(told)
                if isinstance(told, Progress):
                    continue
                del running[receiver]
                outcomes.append(told)
                if again and len(outcomes) == 1 and outcomes[0].state == "reused":
                    start_server(ASKED)  # the tables did not change either: most likely nothing is left to compute
                    served = True
                if outcomes[-1].state == "failed" and task.node[0] not in TRAINING:
                    raise StepFailedError(outcomes[-1])
                sorter.done(task.node)
    finally:
        end_tasks()
        with suppress(StorageError):  # they are for an estimate only
            keep_seconds(run, {one.name: one.seconds for one in outcomes if one.state == "computed"})
    return outcomes


def ran_before(run: Run) -> bool:
    """Whether an earlier run of this very plan came to a verdict, so that most likely nothing is left to compute."""
    if run.force:
        return False
    plan = run.scenario.model_dump(mode="json")
    verdicts = run.home.root.glob(f"runs/*/results/{VERDICT.name}..json")
    plans = (planned(path.parents[1]) for path in verdicts)
    return any(isinstance(other, dict) and other.get("scenario") == plan for other in plans)


def _forget(run: Run, graph: Graph) -> None:
    """Drop the records of the tasks, so that a failed try leaves none of an earlier one to be mistaken for its own."""
    steps = {step.name for task, _ in graph for step in RECORDS[task]}
    for record in run.folder.glob("results/*.json"):
        if record.name.partition(".")[0] in steps:
            record.unlink()
