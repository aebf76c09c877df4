"""How a run ended, task by task: what was computed, what was found again, what failed."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from pipeline.folders import META, read_json
from pipeline.results import REJUDGED, StepResult
from pipeline.runs.graph import RECORDS, Node, graph_of
from pipeline.runs.progress import name_of
from pipeline.runs.run import Run

State = Literal["computed", "reused", "failed"]


@dataclass(frozen=True)
class Ending:
    """The tasks of a run by how they ended; `failed` has those too that never began because of another."""

    states: dict[Node, State]

    def of(self, state: State) -> list[str]:
        """The tasks that ended so: `ingest`, or `finetune_target joint` for a lane."""
        return [name_of(node) for node, found in self.states.items() if found == state]

    @property
    def counts(self) -> dict[str, int]:
        """How many ended how."""
        return {state: len(self.of(state)) for state in get_args(State)}

    def __str__(self) -> str:
        computed, reused, failed = (self.of(state) for state in get_args(State))
        if not computed and not failed:
            return f"{len(reused)} tasks: nothing changed, all were found as an earlier run had left them"
        told = f"{len(self.states)} tasks: {len(computed)} computed, {len(reused)} reused"
        if computed and reused:
            told = f"{told} ({', '.join(computed)} computed)"
        return f"{told}, {len(failed)} failed or not run ({', '.join(failed)})" if failed else told


def ending_of(run: Run) -> Ending:
    """How each task of a run ended; one that left no record failed, or was not run."""
    graph = graph_of(run.scenario)
    found = {task: _results(run, (task, "")) for task, _ in graph}
    return Ending({node: _state(node, found[node[0]]) for node in graph})


def origin_of(run: Run, node: Node) -> tuple[str, str]:
    """The run that had computed what a task reused, and its scenario; empty where the task computed it."""
    results = _results(run, node)
    if not results or not all(result.reused for result in results):
        return "", ""
    meta = read_json(run.place(results[-1]) / META)
    return str(meta["run_id"]), str(meta["scenario"])


def _state(node: Node, results: list[StepResult[Any]]) -> State:
    task, lane = node
    own = [result for result in results if not lane or result.name == lane]
    if RECORDS[task][-1].name not in {result.step for result in own}:
        return "failed"
    return "reused" if all(result.reused for result in own) else "computed"


def _results(run: Run, node: Node) -> list[StepResult[Any]]:
    task, lane = node
    found = (result for step in RECORDS[task] if step is not REJUDGED for result in run.results(step).values())
    return [result for result in found if not lane or result.name == lane]
