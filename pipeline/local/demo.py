"""The whole pipeline once, as a real Airflow DAG run on this machine, watched from the shell."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.status import Status

from pipeline.errors import CrossliftError
from pipeline.folders import Home
from pipeline.local.api import AirflowApi
from pipeline.local.next_commands import next_commands
from pipeline.local.services import demo_stack
from pipeline.local.settings import USER
from pipeline.local.stack import Stack, StartError
from pipeline.runs.run import Run
from pipeline.runs.summary import print_summary

SCENARIO = "demo"
DAG = f"retrain__{SCENARIO}"
POLL_SECONDS = 1.0
DONE = {
    "success": "done",
    "failed": "FAILED",
    "upstream_failed": "not run",
    "skipped": "skipped",
    "up_for_retry": "again",
}


class RunFailedError(CrossliftError):
    """The DAG run ended, but not well."""


@dataclass
class Watch:
    """Tells every change of a task's state once; on a terminal the last line says what runs now."""

    console: Console
    status: Status
    started: float = field(default_factory=time.monotonic)
    told: dict[str, str] = field(default_factory=dict)

    def tell(self, tasks: list[dict[str, Any]]) -> None:
        """Print what ended since the last call, and show what runs."""
        for task in sorted(tasks, key=lambda one: one.get("end_date") or ""):
            key, state = task["task_id"], task["state"]
            if state in DONE and self.told.get(key) != state:
                seconds = f"{task['duration']:5.1f} s" if task.get("duration") is not None else ""
                self.console.print(f"{self._clock()}  {DONE[state]:8}{seconds:>8}  {task_name(task)}", highlight=False)
            self.told[key] = state
        ended = sum(task["state"] in DONE and task["state"] != "up_for_retry" for task in tasks)
        now = ", ".join(task_name(task) for task in tasks if task["state"] == "running")
        self.status.update(f"{self._clock()}  {ended} of {len(tasks)} tasks, now: {now or 'waiting'}")

    def _clock(self) -> str:
        return f"{time.monotonic() - self.started:6.1f} s"


def task_name(task: dict[str, Any]) -> str:
    """`ingest`, or `finetune_target joint` for a lane."""
    group, dot, _ = task["task_id"].partition(".")
    return f"{group} {task['task_display_name']}" if dot else group


def demo(home: Home, console: Console) -> None:
    """Start Airflow, run `retrain__demo`, print what came out, and end everything that was started.

    Raises:
        UserError: services of this home run already, or a port that was named is taken.
        StartError: Airflow did not become healthy.
        RunFailedError: a task failed; the message names it and its log.
    """
    with console.status("starting Airflow ...") as status:
        began = time.monotonic()
        with demo_stack(home) as stack:
            console.print(f"Airflow is healthy after {time.monotonic() - began:.1f} s: {stack.ports.airflow_url}")
            console.print(f"  to look on: user {USER}, password {stack.password}", highlight=False)
            run_id = _run(stack, Watch(console, status))
    print_summary(Run.load(home, f"{SCENARIO}__{run_id}"), console)
    console.print("\nTry next:")
    for command in next_commands(home, SCENARIO):
        console.print(f"  {command}", markup=False, highlight=False, soft_wrap=True)


def _run(stack: Stack, watch: Watch) -> str:
    """Trigger the DAG, follow it to its end, and give its run id."""
    api = AirflowApi(stack.ports.airflow_url, USER, stack.password)
    _wait(lambda: api.has_dag(DAG), 120.0, f"{DAG} did not appear; see {stack.log('dag-processor')}.")
    run_id = api.trigger(DAG, {})
    api.pause(DAG, paused=False)
    watch.console.print(f"{DAG} runs as {run_id}", highlight=False)
    try:
        state = "queued"
        while state not in ("success", "failed"):
            time.sleep(POLL_SECONDS)
            try:
                state, tasks = api.state(DAG, run_id), api.tasks(DAG, run_id)
                watch.tell(tasks)
            except OSError:
                stack.healthy()  # a server that died is started again; one that was given up ends this
    finally:
        with contextlib.suppress(OSError):
            api.pause(DAG, paused=True)
    if state == "failed":
        raise RunFailedError(_failures(stack.home, run_id, tasks))
    return run_id


def _wait(ready: Callable[[], bool], seconds: float, complaint: str) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise StartError(complaint)
        time.sleep(POLL_SECONDS)


def _failures(home: Home, run_id: str, tasks: list[dict[str, Any]]) -> str:
    logs = home.root / "airflow" / "logs" / f"dag_id={DAG}" / f"run_id={run_id}"
    names = [task_name(task) for task in tasks if task["state"] == "failed"]
    return f"{DAG} failed: {', '.join(names) or 'no task did, see the scheduler'}. The logs are in {logs}."
