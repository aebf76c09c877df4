"""How a run ended, task by task: what was computed, what was found again, what failed."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Any, Literal

from pipeline.folders import META, read_json
from pipeline.results import REJUDGED, StepResult
from pipeline.runs.graph import RECORDS, Node, graph_of
from pipeline.runs.run import Run

State = Literal["computed", "reused", "failed"]
WIDTH = 150  # of a line in a log


@dataclass(frozen=True)
class Ending:
    """The tasks of a run by how they ended; `failed` has those too that never began because of another."""

    states: dict[Node, State]

    def of(self, state: State) -> list[str]:
        """The tasks that ended so: `ingest`, or `finetune_target joint` for a lane."""
        return [" ".join(node).rstrip() for node, found in self.states.items() if found == state]

    def __str__(self) -> str:
        computed, reused, failed = (self.of(state) for state in ("computed", "reused", "failed"))
        if not computed and not failed:
            return f"nothing changed: all {len(reused)} tasks found their result of an earlier run"
        if not reused and not failed:
            return f"all {len(computed)} tasks computed their result"
        told = [f"{len(reused)} of {len(self.states)} tasks found their result of an earlier run"] if reused else []
        told += [f"{len(computed)} computed it: {', '.join(computed)}"] if computed else []
        return "; ".join([*told, *([f"{len(failed)} failed: {', '.join(failed)}"] if failed else [])])


def ending_of(run: Run) -> Ending:
    """How each task of a run ended."""
    return Ending({node: _state(run, node) for node in graph_of(run.scenario)})


def origin_of(run: Run, node: Node) -> tuple[str, str]:
    """The run that had computed what a task reused, and its scenario; empty where the task computed it."""
    results = _results(run, node)
    if not results or not all(result.reused for result in results):
        return "", ""
    meta = read_json(run.place(results[-1]) / META)
    return str(meta["run_id"]), str(meta["scenario"])


def summary_lines(run: Run) -> Iterator[str]:
    """The comparison, the verdict and the outcome as lines of a log.

    Raises:
        MissingResultError: the run has no report.
    """
    from rich.console import Console

    from pipeline.runs.summary import print_summary

    text = StringIO()
    print_summary(run, Console(file=text, width=WIDTH, soft_wrap=True))
    yield from (line.rstrip() for line in text.getvalue().splitlines() if line.strip())


def _state(run: Run, node: Node) -> State:
    results = _results(run, node)
    if RECORDS[node[0]][-1].name not in {result.step for result in results}:
        return "failed"
    return "reused" if all(result.reused for result in results) else "computed"


def _results(run: Run, node: Node) -> list[StepResult[Any]]:
    task, lane = node
    found = (result for step in RECORDS[task] if step is not REJUDGED for result in run.results(step).values())
    return [result for result in found if not lane or result.name == lane]
