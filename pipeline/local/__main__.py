"""`python -m pipeline.local up | down | demo`: what the Makefile calls."""

import signal
import sys
from datetime import datetime
from typing import NoReturn

from rich.console import Console

from pipeline.errors import CrossliftError, ExitCode
from pipeline.folders import Home
from pipeline.local import supervisor
from pipeline.local.demo import demo
from pipeline.local.services import Ended, alone, end_lost, recall, stop_stack, up_stack, wait_until_healthy
from pipeline.local.settings import USER, USUAL, holder_of, is_free
from pipeline.local.stack import Stack
from pipeline.privacy import keep_private

USAGE = "usage: python -m pipeline.local up | down | demo"


def up(home: Home, console: Console) -> None:
    """See to it that Airflow and the MLflow server run, and leave them running."""
    found = None
    try:
        with console.status("starting Airflow and MLflow ..."):
            found = up_stack(home)
            wait_until_healthy(found.stack)
    except BaseException:
        if found and found.fresh:
            with alone(home):
                stop_stack(found.stack)
        raise
    stack = found.stack
    if found.lost:
        _tell_lost(found.lost, console)
    if found.changed:
        told = "what ran of tasks is tried again"
        console.print(f"Started anew, with another {', '.join(found.changed)}; {told}.", highlight=False)
    for state in supervisor.states(stack.folder):
        console.print(_line(stack, state, now=found.fresh or state.name in found.again), highlight=False)
    console.print(f"Airflow  {stack.ports.airflow_url}  user {USER}, password {stack.password}", highlight=False)
    console.print(f"MLflow   {stack.ports.mlflow_url}", highlight=False)
    for port, usual in ((stack.ports.airflow, USUAL.airflow), (stack.ports.mlflow, USUAL.mlflow)):
        if port != usual and not is_free(usual):
            console.print(f"Port {port}, because {usual} is taken by {holder_of(usual)}.", highlight=False)
    console.print("DAGs are paused: unpause one for its nightly runs, or trigger it. `make down` ends all of this.")


def _line(stack: Stack, state: supervisor.State, *, now: bool) -> str:
    """`scheduler      runs since 02:14:03`, and how it died before that."""
    since = f"{datetime.fromtimestamp(state.since).astimezone():%Y-%m-%d %H:%M:%S}"
    line = f"{state.name:<15}{'started' if now else 'runs since'} {since}"
    died = supervisor.deaths(stack.home.root / "logs", state.name)
    return f"{line}, after it had died ({', '.join(died)}); see {stack.log(state.name)}" if died else line


def down(home: Home, console: Console) -> None:
    """End every process that `up` or a killed demo started."""
    with alone(home):
        lost = end_lost(home)
        stack = recall(home)
        ended = stop_stack(stack) if stack else None
    if lost:
        _tell_lost(lost, console)
    if stack and ended:
        names = ", ".join(state.name for state in ended.states if state.runs)
        console.print(f"Ended: {names or 'the supervisor'}.", highlight=False)
        for state in ended.states:
            if not state.runs:
                console.print(f"Dead already: {state.name}, which was given up; see {stack.log(state.name)}.")
    if not lost and not ended:
        console.print("Nothing was running.")


def _tell_lost(lost: Ended, console: Console) -> None:
    left = f"{lost.processes} processes that were left are ended now" if lost.processes else "none of them was left"
    console.print(f"Nobody looked after services that had been started earlier: {left}.", highlight=False)


COMMANDS = {"up": up, "down": down, "demo": demo}


def main() -> int:
    """Run one command; the exit code tells what went wrong."""
    console = Console(soft_wrap=True)
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        console.print(USAGE)
        return ExitCode.USER_ERROR
    signal.signal(signal.SIGTERM, _interrupt)
    home = Home.from_env()
    keep_private(home.root)  # the services inherit it
    try:
        COMMANDS[sys.argv[1]](home, console)
    except CrossliftError as error:
        Console(stderr=True, soft_wrap=True).print(str(error), markup=False, highlight=False)
        return error.exit_code
    except KeyboardInterrupt:
        console.print("Interrupted; what was started has ended.")
        return 128 + signal.SIGINT
    return ExitCode.OK


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
