"""What a task does: call a step of its run, say what it did, and fail so that a person can read why."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule, get_current_context
from airflow.sdk.exceptions import AirflowSkipException
from pydantic import ValidationError

from pipeline.airflow.names import run_name, run_of
from pipeline.errors import CrossliftError, ExitCode, StorageError
from pipeline.folders import Home
from pipeline.privacy import keep_private, trace
from pipeline.results import REPORT, StepResult
from pipeline.runs.ending import ending_of
from pipeline.runs.run import Run
from pipeline.runs.summary import summary_lines
from pipeline.steps import function_of

Record = Any  # a small dict; a task annotated as dict would push one XCom for each key

log = logging.getLogger(__name__)

MENDS_NOTHING = ExceptionRetryPolicy([RetryRule(SystemExit, RetryAction.FAIL, reason="trying again mends nothing")])


def call(name: str, *arguments: Any) -> Record:
    """Run one task of this DAG run and give back what XCom should keep: where the results lie, not what they say."""

    def step() -> Any:
        run = this_run()
        return function_of(name, run)(run, *arguments)

    found = told(step)
    return {name: _record(one) for name, one in found.items()} if isinstance(found, Mapping) else _record(found)


def told(step: Callable[[], Any]) -> Any:
    """Call the step; an error that trying again cannot mend ends the task at once, with its message alone.

    Of an unexpected one the log gets type and place: its message, and those of what led to an error, may quote cells.
    """
    keep_private(Home.from_env().root)
    try:
        return step()
    except StorageError as error:
        raise StorageError(str(error)) from None
    except CrossliftError as error:
        give_up(str(error), error.exit_code)
    except ValidationError as error:
        give_up(str(error), ExitCode.USER_ERROR)
    except Exception as error:
        log.error(trace(error))
        raise RuntimeError(f"{type(error).__name__}, which nobody expected; the lines above say where") from None


def give_up(message: str, code: ExitCode = ExitCode.FAILURE) -> NoReturn:
    """Fail the task with a message that ends its log; of `MENDS_NOTHING` it is not tried again.

    An exit and no exception, because below the message of each exception Airflow writes the lines of code it passed.
    """
    log.error("%s", message)
    raise SystemExit(int(code))


def tell_summary() -> None:
    """Say in short what the report says, if there is one, and once the outcome is known, how each task ended."""
    for line in told(lambda: list(summary_lines(this_run())) if this_run().results(REPORT) else []):
        log.info("%s", line)


def fail_if_one_did() -> None:
    """Nothing, where every task of the run left its result; else fail with the names of those that did not."""
    if failed := told(lambda: ending_of(this_run())).of("failed"):
        there = "The report and what serves are there" if this_run().results(REPORT) else "What serves is there"
        give_up(f"Failed, or not run: {', '.join(failed)}; their logs say why. {there} all the same.")


def skip_unless(needed: bool, message: str) -> None:
    """Skip the task, with the reason in its log."""
    if not needed:
        log.info("%s", message)
        raise AirflowSkipException(message)


def this_run() -> Run:
    """The run that this task belongs to.

    Raises:
        ConfigError, StorageError: it was not planned, or its plan is damaged.
    """
    context = get_current_context()
    return run_of(str(context["dag"].dag_id), context["dag_run"].run_id)


def this_run_name() -> str:
    """What this run is called below CROSSLIFT_HOME."""
    context = get_current_context()
    return run_name(str(context["dag"].dag_id), context["dag_run"].run_id)


def planned(kind: str) -> set[str]:
    """The lanes that `plan` listed: all of the scenario have tasks, those not chosen in the form are skipped."""
    lanes = get_current_context()["ti"].xcom_pull(task_ids="plan") or {}
    return set(lanes.get(kind, ()))


def _record(result: StepResult[Any]) -> Record:
    return result.model_dump(mode="json", exclude={"facts"})
