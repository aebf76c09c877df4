"""`crosslift`, the command line: the same steps as the DAG, the scenarios, the registry, and cleaning up."""

import signal
import sys
from typing import Any, NoReturn

import typer

from pipeline.cli.app import app
from pipeline.errors import CrossliftError, ExitCode
from pipeline.folders import Home
from pipeline.privacy import keep_private, trace


def main() -> int:
    """Run one command and return its exit code; the codes are those of `pipeline.errors`.

    An error of ours is one message on standard error. Any other leaves its trace in a file below `logs` of the home,
    without its message and the arguments, which may name people: whoever typed the command sees them.
    """
    keep_private(Home.from_env().root)
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as a shell says for what it starts in the background
            signal.signal(number, _interrupt)
    try:
        app()
    except SystemExit as ended:  # how typer ends, also at an interrupt
        if ended.code == ExitCode.INTERRUPTED:
            print("crosslift: interrupted.", file=sys.stderr)
        return ended.code if isinstance(ended.code, int) else ExitCode.OK
    except CrossliftError as error:
        print(f"crosslift: {error}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        print(f"crosslift: {_describe(error)}", file=sys.stderr)
        return ExitCode.FAILURE
    return ExitCode.OK


def _describe(error: Exception) -> str:
    first = (str(error).splitlines() or [""])[0][:300]
    log = Home.from_env().root / "logs" / "crosslift.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            print(f"$ {_command()}\n{trace(error)}", file=file)
    except OSError as trouble:
        return f"{type(error).__name__}: {first} (its trace could not be written: {trouble})"
    return f"{type(error).__name__}: {first} (unexpected; the trace is in {log})"


def _command() -> str:
    """Name the command, without its arguments."""
    found: Any = typer.main.get_command(app)
    named = ["crosslift"]
    for word in sys.argv[1:]:
        found = getattr(found, "commands", {}).get(word)
        if found is None:
            break
        named.append(word)
    return " ".join(named)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    """Interrupt what goes on, once: whoever is impatient must not interrupt the cleaning up."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
