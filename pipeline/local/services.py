"""The one stack of a home: started, found again by any command, mended and ended as a whole."""

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no types of its own
from pydantic import TypeAdapter

from pipeline.errors import ConfigError, UserError
from pipeline.folders import Home, exclusive, read_json, write_json
from pipeline.local import processes, supervisor
from pipeline.local.database import make_database
from pipeline.local.processes import Process
from pipeline.local.settings import USUAL, Ports, choose_ports, environment, holder_of, is_free, named_ports
from pipeline.local.stack import AIRFLOW, MLFLOW, Stack, StartError, log_file

SERVICES = (*AIRFLOW, MLFLOW)
START_SECONDS = 600.0  # of a machine with much else to do; what dies is told at once
_STACK = TypeAdapter(Stack)
# Of the variables that services and tasks get, those that say what they do.
_SETTINGS = ("CROSSLIFT_", "MLFLOW_", "AIRFLOW__", "AWS_", "CUDA_VISIBLE_DEVICES")


@dataclass(frozen=True)
class Ended:
    """What was ended: how the services fared, none if their supervisor did not answer, and how many processes."""

    ports: Ports
    states: tuple[supervisor.State, ...]
    processes: int


@dataclass(frozen=True)
class Up:
    """A stack that was found or started."""

    stack: Stack
    lost: Ended | None  # what had to be ended first because nobody looked after it any more
    fresh: bool
    again: tuple[str, ...] = ()  # services that had been given up and were started again
    changed: tuple[str, ...] = ()  # variables that are others now, for which all was started anew


def alone(home: Home) -> AbstractContextManager[None]:
    """Keep other commands from starting or ending the services of this home; held for no longer than that takes."""
    return exclusive(home.lock("services"))


def record(home: Home) -> Path:
    """Where the running services are written down."""
    return home.root / "services.json"


def recall(home: Home) -> Stack | None:
    """Read which services were started and not ended by a command since, whatever became of them."""
    value = read_json(record(home)) if record(home).exists() else []
    if not isinstance(value, dict):
        return None
    found: Stack = _STACK.validate_python(value)
    return found if found.home == home else None  # a copied home does not own the services of the first one


def remember(stack: Stack) -> None:
    """Write down what runs, so that another command finds it."""
    write_json(record(stack.home), _STACK.dump_python(stack, mode="json"))


def up_stack(home: Home) -> Up:
    """Find the services of a home, or start them; start again what was given up, and all where a setting has changed.

    Raises:
        UserError: a demo runs in this home, or a port was named that is taken; nothing was ended.
        StartError, DatabaseError: something cannot be started.
    """
    with alone(home):
        lost = end_lost(home)
        stack = recall(home)
        if stack is None:
            wanted = lost.ports if lost else USUAL
            return Up(start_stack(home, SERVICES, wanted, schedules=True), lost, fresh=True)
        _refuse_demo(stack)
        if changed := _changed(stack):
            stop_stack(stack)
            return Up(start_stack(home, SERVICES, stack.ports, schedules=True), lost, fresh=True, changed=changed)
        again = tuple(state.name for state in supervisor.states(stack.folder) if not state.runs)
        for name in again:
            supervisor.start_again(stack.folder, name)
        return Up(stack, lost, fresh=False, again=again)


def start_stack(
    home: Home, services: tuple[str, ...], wanted: Ports, *, schedules: bool, owner: Process | None = None
) -> Stack:
    """Start the services of a home in which none run; the caller holds `alone`.

    Raises:
        ConfigError: a port that was named is taken.
        DatabaseError: the database of Airflow could not be made.
        StartError: the supervisor did not start.
    """
    ports = choose_ports(wanted)
    environ = {**os.environ, "CROSSLIFT_HOME": str(home.root)}  # before libraries add to it: `_changed` looks at it
    env = environment(home, ports, schedules=schedules)
    make_database(home, env, log_file(home, "database"))
    if MLFLOW in services:
        from pipeline.registry.tracking import make_store

        make_store(home)
    folder = Path(tempfile.mkdtemp(prefix="crosslift-", dir="/tmp"))  # a socket's path has at most 107 bytes
    stack = None
    try:
        with supervisor.prepare(folder, programs(services), environ, home.root / "logs") as process:
            stack = Stack(home, services, ports, schedules, process, folder, owner)
            remember(stack)
        if not supervisor.answers(folder, process, START_SECONDS):
            raise StartError(f"the supervisor of the services did not start; its log is {stack.log(supervisor.NAME)}.")
    except BaseException:
        if stack:
            stop_stack(stack)
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return stack


def programs(services: tuple[str, ...]) -> dict[str, list[str]]:
    """Write the command that the supervisor has for each service: the same one, which takes the service's name."""
    return {name: [sys.executable, "-m", "pipeline.local.launch", name] for name in services}


def wait_until_healthy(stack: Stack, seconds: float = START_SECONDS) -> None:
    """Return when every service answers.

    Raises:
        StartError: a service was given up, or one does not answer in time.
    """
    deadline = time.monotonic() + seconds
    while not stack.healthy():
        if time.monotonic() > deadline:
            raise StartError(
                f"the services did not answer within {seconds:.0f} s; their logs are in {stack.home.root / 'logs'}."
            )
        time.sleep(0.5)


def stop_stack(stack: Stack) -> Ended:
    """End every process of a stack and forget it; the caller holds `alone`."""
    try:
        states = tuple(supervisor.states(stack.folder))
    except supervisor.SilentError:
        states = ()
    ended = Ended(stack.ports, states, processes.end(stack.supervisor))
    shutil.rmtree(stack.folder, ignore_errors=True)
    if recall(stack.home) == stack:
        record(stack.home).unlink()
    return ended


def end_lost(home: Home) -> Ended | None:
    """End services that nobody looks after any more; the caller holds `alone`."""
    stack = recall(home)
    if stack and stack.is_lost():
        return stop_stack(stack)
    return None if stack else _end_unsupervised(home)


def _end_unsupervised(home: Home) -> Ended | None:
    """End what was started before there was a supervisor: a list of processes that lead sessions of their own."""
    value = read_json(record(home)) if record(home).exists() else None
    if not isinstance(value, list):
        return None
    count = 0
    for one in value:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if psutil.Process(one["pid"]).create_time() == one["started"]:
                count += processes.end(Process.of(one["pid"]))
    record(home).unlink()
    return Ended(USUAL, (), count)


def _refuse_demo(stack: Stack) -> None:
    if stack.owner:
        raise UserError(
            f"{stack.home.root}: `make demo` runs in this home (process {stack.owner.pid}); wait for its end, or give "
            "the other command a home of its own by CROSSLIFT_HOME."
        )


def _changed(stack: Stack) -> tuple[str, ...]:
    """Name the variables that are others now than when the services were started, which have them from then.

    Raises:
        ConfigError: a port was named that something else has.
    """
    used = {"CROSSLIFT_AIRFLOW_PORT": stack.ports.airflow, "CROSSLIFT_MLFLOW_PORT": stack.ports.mlflow}
    named = {variable: port for variable, port in named_ports().items() if port != used[variable]}
    for variable, port in named.items():
        if port not in used.values() and not is_free(port):
            raise ConfigError(
                f"{variable}: port {port} is taken by {holder_of(port)}; name another one or unset the variable. The "
                f"services of {stack.home.root} run on."
            )
    before = psutil.Process(stack.supervisor.pid).environ()
    settings = {name for name in {*before, *os.environ} if name.startswith(_SETTINGS) and name not in used}
    others = {name for name in settings - {"CROSSLIFT_HOME"} if before.get(name) != os.environ.get(name)}
    return tuple(sorted({*named, *others}))


@contextmanager
def demo_stack(home: Home) -> Iterator[Stack]:
    """Airflow without schedules, which ends with the block, also when it is left by an error or Ctrl-C.

    Raises:
        UserError: services of this home run already.
        StartError, DatabaseError: it cannot be started.
    """
    stack = None
    try:
        with alone(home):
            end_lost(home)
            if running := recall(home):
                _refuse_demo(running)
                raise UserError(f"{home.root}: its services run already; end them with `make down`.")
            stack = start_stack(home, AIRFLOW, USUAL, schedules=False, owner=Process.of(os.getpid()))
        wait_until_healthy(stack)
        yield stack
    finally:
        if stack:
            with alone(home):
                stop_stack(stack)
