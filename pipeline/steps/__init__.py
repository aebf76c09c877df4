"""One file a step: the only layer that decides where things are read and written. A step is found by its task."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from pipeline.errors import ConfigError
from pipeline.near import near
from pipeline.results import StepResult
from pipeline.runs.graph import RECORDS, graph_of
from pipeline.runs.run import Run

# Where the function of a task's name is defined, if not in a module of that name. Loaded when it is called: a task
# imports nothing that only another one needs.
_ELSEWHERE = {
    "pretrain_source": "pretrain",
    "adapt_domain": "adapt",
    "finetune_target": "finetune",
    "fit_baseline": "baseline",
    "blend_lanes": "blend",
}
_TAUGHT = {"pretrain_source": "carry"}  # the same, where a registered model stands in the place of sources


def function_of(task: str, run: Run) -> Callable[..., StepResult[Any] | Mapping[str, StepResult[Any]]]:
    """The function that runs a task of a run: it takes the run, and the lane where the task has several."""
    elsewhere = _ELSEWHERE | (_TAUGHT if run.scenario.source_model else {})
    module = import_module(f"{__name__}.{elsewhere.get(task, task)}")
    found: Callable[..., StepResult[Any] | Mapping[str, StepResult[Any]]] = getattr(module, task)
    return found


def call_task(run: Run, task: str, lane: str = "") -> list[StepResult[Any]]:
    """Run one task of a run in this process, and give its results.

    Raises:
        ConfigError: there is no such task, or the run has no such lane of it.
        CrossliftError: the task failed.
    """
    if task not in RECORDS:
        raise ConfigError(f"step: expected one of plan, {', '.join(RECORDS)}, got {task!r}.{near(task, RECORDS)}")
    lanes = [node[1] for node in graph_of(run.scenario) if node[0] == task]
    if lane not in lanes:
        expected = "a lane, one of " + ", ".join(lanes) if any(lanes) else "no lane"
        raise ConfigError(
            f"{task} of run {run.run_id}: expected {expected}, got {lane or 'none'!r}.{near(lane, lanes)}"
        )
    function = function_of(task, run)
    found = function(run, lane) if lane else function(run)
    return list(found.values()) if isinstance(found, Mapping) else [found]
