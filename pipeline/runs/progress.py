"""What is told of a run while it goes on, and how long the rest may take."""

from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from pipeline.folders import read_json, write_json
from pipeline.runs.graph import Graph, Node
from pipeline.runs.run import Run, planned

_SECONDS = "seconds.json"  # of a run: task -> seconds that it took to compute


class Progress(BaseModel):
    """What a running task tells: a line of its log, perhaps of an epoch that ended; no message says that it began."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    lane: str = ""
    message: str = ""
    epoch: int | None = None  # how many have ended
    epochs: int | None = None  # how many there are at most

    @property
    def name(self) -> str:
        """`ingest`, or `fit_baseline ials`."""
        return name_of((self.step, self.lane))


def name_of(node: Node) -> str:
    """`ingest`, or `fit_baseline ials`."""
    return " ".join(node).rstrip()


def keep_seconds(run: Run, seconds: Mapping[str, float]) -> None:
    """Note what each task took, by its name, for the estimate of a later run."""
    path = run.folder / _SECONDS
    if seconds:
        write_json(path, {**(read_json(path) if path.exists() else {}), **seconds})


def seconds_before(run: Run) -> dict[str, float]:
    """What each task took when it was computed last in a run of the same scenario from the shell, by its name."""
    found: list[tuple[str, Path]] = []
    for path in run.home.root.glob(f"runs/*/{_SECONDS}"):
        plan = planned(path.parent)
        scenario = plan.get("scenario") if isinstance(plan, dict) else None
        if isinstance(scenario, dict) and scenario.get("name") == run.scenario.name:
            found.append((str(plan.get("began", "")), path))
    seconds: dict[str, float] = {}
    for _, path in sorted(found):
        seconds |= read_json(path)
    return seconds


def seconds_left(
    graph: Graph, before: Mapping[str, float], running: Mapping[Node, float], left: Collection[Node], jobs: int
) -> float | None:
    """How long the rest of a run takes at least, if each task takes as long as before; in seconds.

    Args:
        graph: All tasks, and what each waits for.
        before: Seconds of each task by its name.
        running: Seconds since each running task began.
        left: Tasks that have not ended, the running ones among them.
        jobs: How many work at a time.

    Returns:
        The longest chain of what is left, or all of it divided among the jobs, whichever takes longer; None where
        nothing is known of a task.
    """
    if any(name_of(node) not in before for node in left):
        return None
    wait = {node: max(0.0, before[name_of(node)] - running.get(node, 0.0)) for node in left}
    ends: dict[Node, float] = {}

    def end(node: Node) -> float:
        if node not in ends:
            ends[node] = wait.get(node, 0.0) + max(map(end, graph[node]), default=0.0)
        return ends[node]

    return max(sum(wait.values()) / jobs, max(map(end, left), default=0.0))
