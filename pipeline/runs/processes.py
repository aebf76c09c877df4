"""A task in a process of its own: memory goes back when it ends, and a killed one takes no other down."""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import active_children, connection, forkserver, get_context, parent_process, resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from pipeline.errors import CrossliftError, ExitCode
from pipeline.folders import Home, run_folder, storage_errors
from pipeline.privacy import trace
from pipeline.results import StepResult
from pipeline.runs.graph import Node
from pipeline.runs.progress import Progress, name_of
from pipeline.runs.run import Run

# Loaded once by the server that tasks are forked from: what training needs, where most of them have something to
# compute, else what the last task needs to ask the registry whether anything is left to do.
TRAINED = ("pandas", "pyarrow.parquet", "scipy.sparse", "torch", "pytorch_lightning", "implicit.als")
ASKED = ("mlflow",)
GRACE = 10.0  # seconds between asking a process to end and ending it

Call = Callable[[Run, str, str], list[StepResult[Any]]]


class Outcome(BaseModel):
    """How one task ended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    lane: str = ""
    state: Literal["computed", "reused", "failed"]
    seconds: float = 0.0  # wall clock, with the start of the process
    message: str = ""  # why it failed
    notes: tuple[str, ...] = ()  # what it warned of
    exit_code: int = ExitCode.OK

    @property
    def name(self) -> str:
        """`ingest`, or `fit_baseline ials`."""
        return name_of((self.step, self.lane))


_TOLD: TypeAdapter[Progress | Outcome] = TypeAdapter(Progress | Outcome)


@dataclass(frozen=True)
class Task:
    """A process that runs one node, and the end of the pipe on which it tells how it gets on and how it ended."""

    node: Node
    process: BaseProcess
    receiver: connection.Connection
    started: float = field(default_factory=time.monotonic)


def start_server(preloaded: Sequence[str]) -> None:
    """Start the server that tasks are forked from; it loads the modules while other tasks are at work."""
    get_context("forkserver").set_forkserver_preload(["__main__", __name__, *preloaded])
    with _deaf():
        forkserver.ensure_running()


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Let what is started meanwhile never hear Ctrl-C, which a terminal sends to all: whoever started it ends it."""
    resource_tracker.ensure_running()  # it would hear again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_task(run: Run, node: Node, call: Call, *, forked: bool) -> Task:
    """Run a node in a process of its own.

    Args:
        run: The run, which lies on the disk: the process reads it there.
        node: The step and its lane.
        call: What runs a step; a function of a module.
        forked: Fork it from the server, see `start_server`; else a fresh interpreter.
    """
    context = get_context("forkserver") if forked else get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(str(run.home.root), run.run_id, node, call, sender))
    with _deaf():
        process.start()
    sender.close()  # so that the end of the process is the end of the pipe
    return Task(node, process, receiver)


def hear_task(task: Task) -> Progress | Outcome:
    """Hear what a task says next: how it gets on, or how it ended; one that was killed says nothing of that."""
    step, lane = task.node
    seconds = round(time.monotonic() - task.started, 3)
    try:
        told = _TOLD.validate_json(task.receiver.recv_bytes())
        if isinstance(told, Progress):
            return told
        task.process.join()
    except EOFError:
        task.process.join()
        message = _killed(task.process.exitcode)
        told = Outcome(step=step, lane=lane, state="failed", message=message, exit_code=ExitCode.FAILURE)
    task.receiver.close()
    return told.model_copy(update={"seconds": seconds})


def end_tasks() -> None:
    """End all tasks of this process, with all that they started: ask, so that they clean up, then insist.

    Which there are is asked of multiprocessing: an interrupt may come before the caller has taken note of a task that
    just began, and leaving would then wait for the task's own end.
    """
    processes = active_children()
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            if process.is_alive() and process.pid:
                _signal_group(process.pid, number)
        deadline = time.monotonic() + GRACE
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))


def log_file(home: Home, run_id: str, node: Node) -> Path:
    """Where a task's process writes what libraries print, and the trace of an error."""
    return home.root / "logs" / run_folder(run_id) / f"{'.'.join(part for part in node if part)}.log"


def _killed(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return (
            "its process was killed (signal 9), most likely because memory ran out. Free some memory or take "
            "`--jobs 1`, and repeat the command: training goes on from its last checkpoint."
        )
    return f"its process ended without a result ({f'signal {-code}' if code and code < 0 else f'exit code {code}'})."


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:  # it has not come to make its group, and so has started nothing
        with contextlib.suppress(ProcessLookupError):
            os.kill(group, number)


# --- inside the task's process --------------------------------------------------------------------------------------


def _work(home: str, run_id: str, node: Node, call: Call, sender: connection.Connection) -> None:
    """Run one node and tell how it ended."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # an exception, so that temporary folders are removed
    os.setpgid(0, 0)  # Ctrl-C reaches the parent alone, which then ends this group
    threading.Thread(target=_end_with_parent, daemon=True).start()
    root = Home(Path(home))
    voice = _Voice(node, sender)
    logger = logging.getLogger("pipeline")
    logger.setLevel(logging.INFO)
    logger.addHandler(voice)
    with contextlib.suppress(KeyboardInterrupt):
        ended = _called(root, run_id, node, call)
        voice.send(Outcome(step=node[0], lane=node[1], notes=tuple(voice.notes), **ended))


class _Voice(logging.StreamHandler):  # type: ignore[type-arg]
    """Sends what our own code says to whoever started the task, but keeps its warnings for the end; all is logged."""

    def __init__(self, node: Node, sender: connection.Connection) -> None:
        super().__init__()
        self.node, self.sender = node, sender
        self.notes: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.levelno >= logging.WARNING:
            if message not in self.notes:  # a fit that is tried with several settings says it each time
                self.notes.append(message)
        else:
            epochs = {key: int(getattr(record, key)) for key in ("epoch", "epochs") if hasattr(record, key)}
            self.send(Progress(step=self.node[0], lane=self.node[1], message=message, **epochs))
        super().emit(record)

    def send(self, told: Progress | Outcome) -> None:
        """Send one message whole, whichever thread sends another one meanwhile."""
        assert self.lock
        with self.lock, contextlib.suppress(BrokenPipeError):  # who started the task is gone, and it ends as well
            self.sender.send_bytes(told.model_dump_json().encode())


def _called(home: Home, run_id: str, node: Node, call: Call) -> dict[str, Any]:
    log = log_file(home, run_id, node)
    try:
        _redirect(log)
        results = call(Run.load(home, run_id), *node)
    except CrossliftError as error:
        print(f"{trace(error)}{error}", file=sys.stderr)
        return {"state": "failed", "message": str(error), "exit_code": error.exit_code}
    except Exception as error:  # whatever it is, the other lanes go on
        print(trace(error), file=sys.stderr)
        first = (str(error).splitlines() or [""])[0][:300]
        message = f"{type(error).__name__}: {first} (the trace is in {log})"
        return {"state": "failed", "message": message, "exit_code": ExitCode.FAILURE}
    return {"state": "reused" if all(result.reused for result in results) else "computed"}


def _redirect(log: Path) -> None:
    """Let everything that this process and its children print go to a file."""
    with storage_errors(log.parent):
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab", buffering=0) as file:
            os.dup2(file.fileno(), sys.__stdout__.fileno() if sys.__stdout__ else 1)
            os.dup2(file.fileno(), sys.__stderr__.fileno() if sys.__stderr__ else 2)


def _end_with_parent() -> None:
    """End this process with all that it started when the one that started it is gone, even if that was killed."""
    parent = parent_process()
    if parent is None:
        return
    parent.join()
    _signal_group(0, signal.SIGTERM)
    time.sleep(GRACE)
    _signal_group(0, signal.SIGKILL)
