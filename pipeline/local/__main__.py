"""`python -m pipeline.local up | down | demo`: what the Makefile calls."""

import signal
import sys
from typing import NoReturn

from rich.console import Console

from pipeline.errors import CrossliftError, ExitCode
from pipeline.folders import Home
from pipeline.local.demo import demo
from pipeline.local.services import (
    refuse_if_running,
    start_stack,
    stop_stack,
    wait_until_healthy,
)
from pipeline.local.settings import USER, choose_ports
from pipeline.privacy import keep_private

USAGE = "usage: python -m pipeline.local up | down | demo"


def up(home: Home, console: Console) -> None:
    """Start Airflow and the MLflow server, and leave them running."""
    refuse_if_running(home)
    ports = choose_ports()
    try:
        with console.status("starting Airflow and MLflow ..."):
            stack = start_stack(home, ports, mlflow=True, schedules=True)
            wait_until_healthy(stack)
    except BaseException:
        stop_stack(home)
        raise
    console.print(f"Airflow  {ports.airflow_url}  user {USER}, password {stack.password}", highlight=False)
    console.print(f"MLflow   {ports.mlflow_url}", highlight=False)
    if (ports.airflow, ports.mlflow) != (8080, 5000):
        console.print("Not the usual ports 8080 and 5000: those were taken, or others were named.", highlight=False)
    console.print("DAGs are paused: unpause one for its nightly runs, or trigger it. `make down` ends all of this.")


def down(home: Home, console: Console) -> None:
    """End every process that `up` or a killed demo started."""
    ended = stop_stack(home)
    console.print(f"{ended} services ended." if ended else "Nothing was running.")


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
