"""One retraining DAG for each scenario, from its tables to a promoted model.

This file only wires, by the graph of `pipeline.runs.graph`. What a task does is a function of `pipeline.steps`, whose
module is imported inside the task: the file itself loads pydantic and pathlib only, so that parsing it stays at tenths
of a second.
"""

import logging
import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import (
    DAG,
    Asset,
    CronDataIntervalTimetable,
    Param,
    TriggerRule,
    dag,
    get_current_context,
    get_parsing_context,
    task,
)
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from pydantic import ValidationError

from pipeline.config import Options, Scenario
from pipeline.errors import CrossliftError, StorageError
from pipeline.folders import Home
from pipeline.privacy import keep_private, trace
from pipeline.results import AUDIT, PROMOTE, StepResult
from pipeline.runs.graph import graph_of, lanes_of, tasks_of
from pipeline.runs.run import Run
from pipeline.scenarios import Found, about, find_scenarios, load_scenario
from pipeline.steps import function_of

DEFAULTS: dict[str, Any] = {
    "retries": 2,  # a killed training goes on from its last checkpoint
    "retry_delay": timedelta(seconds=5),
    "execution_timeout": timedelta(hours=3),
}
LANE = "{{ task.op_kwargs['lane'] }}"  # what the grid shows for a mapped task, instead of a number
PREFIX = "retrain__"
TRIAL = "A run whose strategies, seed or epochs are not the scenario's is only registered, unless this is set."
Record = Any  # a small dict; a task annotated as dict would push one XCom for each key


def call(name: str, *arguments: Any) -> Any:
    """Run one task of this DAG run and give back what XCom should keep: where the results lie, not what they say."""
    found = _told(lambda: function_of(name)(Run.load(Home.from_env(), _run_id()), *arguments))
    return {name: _record(one) for name, one in found.items()} if isinstance(found, Mapping) else _record(found)


def form(scenario: Scenario) -> dict[str, Param]:
    """Describe the trigger form; the API refuses a value that does not fit, with the reason."""
    names = [strategy.name for strategy in scenario.strategies]
    less = "Below 1 training rows are left out, by a hash; such a run has a champion of its own."
    each = "Which strategies run; target_only always does, because every gain is measured against it."
    chosen = Param(names, type="array", items={"type": "string", "enum": names}, examples=names, minItems=1,
                   uniqueItems=True, description=each)  # fmt: skip
    share = Param(scenario.target_share, type="number", exclusiveMinimum=0, maximum=1, title="Share of target data",
                  description=less)  # fmt: skip
    return {
        "strategies": chosen,
        "seed": Param(scenario.seed, type="integer", minimum=0, maximum=2**31 - 1),
        "epochs": Param(
            scenario.training.epochs, type="integer", minimum=1, maximum=1000, description="At most so many passes."
        ),
        **({"target_share": share} if scenario.target_labels else {}),
        "force": Param(False, type="boolean", description="Compute again what could be reused."),
        "promote": Param(False, type="boolean", title="Let a trial serve", description=TRIAL),
    }


def lane_task(**options: Any) -> Callable[[Callable[[str], Record]], Any]:
    """Make a task that is mapped over lanes; Airflow takes the docstring of a task that is not mapped by itself."""
    return lambda function: task(map_index_template=LANE, doc_md=function.__doc__, **options)(function)


@task(retries=0)
def plan() -> Record:
    """Fix the scenario with the form's values and list the lanes to run."""
    from pipeline.steps.plan import plan as step

    context = get_current_context()
    scenario = load_scenario(_scenario_name())
    return _told(lambda: step(_run_id(), scenario, Options.model_validate(dict(context["params"]))))


@task
def ingest() -> Record:
    """Copy what the scenario reads into an immutable, content-addressed snapshot."""
    return call("ingest")


@task
def validate() -> Record:
    """Check every table with Great Expectations: stop the run, or quarantine single rows and issue a passport."""
    return call("validate", get_current_context().get("data_interval_end"))


@task
def prepare() -> Record:
    """Split the rows, and number users and items, domain by domain."""
    return call("prepare")


@task
def audit() -> Record:
    """Mark the test rows whose answer leaks into training, and close the passport."""
    return call("audit")


@task
def pretrain_source() -> Record:
    """Train the model on the source domains."""
    return call("pretrain_source")


@lane_task()
def adapt_domain(lane: str) -> Record:
    """Bring the source model's features closer to the target's, without target labels."""
    _skip_unless(lane in _planned("adapt_domain"), f"{lane} was not chosen for this run.")
    return call("adapt_domain", lane)


@lane_task(trigger_rule=TriggerRule.ALL_DONE)
def finetune_target(lane: str) -> Record:
    """Fit one strategy's candidate; a failed adaptation fails only its own lanes."""
    _skip_unless(lane in _planned("finetune_target"), f"{lane} was not chosen for this run.")
    audited = bool(Run.load(Home.from_env(), _run_id()).results(AUDIT))
    _skip_unless(audited, f"{lane} has nothing to train on, because the audit did not succeed.")
    return call("finetune_target", lane)


@lane_task()
def fit_baseline(lane: str) -> Record:
    """Fit one simple strong method, tuned on validation rows."""
    return call("fit_baseline", lane)


@task(trigger_rule=TriggerRule.ALL_DONE)
def evaluate() -> Record:
    """Judge the test rows by every candidate, compare, decide, and write the report; failed lanes are named."""
    return call("evaluate")


@task
def promote() -> Record:
    """Register the candidate and move the champion's alias if the gate says so."""
    return call("promote")


@task
def champion_moved() -> None:
    """Update the asset if this run moved the champion's alias of the scenario's own model; else be skipped."""
    from pipeline.registry.lookup import model_name

    name = _scenario_name()
    facts = Run.load(Home.from_env(), _run_id()).result(PROMOTE).facts
    own = facts.model == model_name(load_scenario(name))
    _skip_unless(own and facts.outcome == "promoted", f"{facts.model}: {facts.outcome}. {facts.reason}")
    extra = facts.model_dump(include={"model", "version", "verdict"})
    get_current_context()["outlet_events"][champion(name)].extra = extra


TASKS: dict[str, Any] = {
    "ingest": ingest,
    "validate": validate,
    "prepare": prepare,
    "audit": audit,
    "pretrain_source": pretrain_source,
    "adapt_domain": adapt_domain,
    "finetune_target": finetune_target,
    "fit_baseline": fit_baseline,
    "evaluate": evaluate,
    "promote": promote,
}


def champion(name: str) -> Asset:
    """Name the asset that a promotion updates; its extra says model, version and verdict."""
    return Asset(f"crosslift.{name}.champion")


def retrain_dag(scenario: Scenario) -> DAG:
    """Build the DAG of one scenario; without a schedule where CROSSLIFT_SCHEDULES is `off`.

    Unpausing a DAG starts its last nightly run at once, unless that night began before CROSSLIFT_SINCE.
    """
    schedule = None if os.environ.get("CROSSLIFT_SCHEDULES") == "off" else scenario.schedule

    @dag(
        dag_id=f"{PREFIX}{scenario.name}",
        description=scenario.title,
        doc_md=about(scenario),
        schedule=CronDataIntervalTimetable(schedule, timezone="UTC") if schedule else None,
        start_date=datetime.fromisoformat(os.environ.get("CROSSLIFT_SINCE", "2026-01-01T00:00:00+00:00")),
        catchup=False,
        max_active_runs=1,
        max_active_tasks=4,
        dagrun_timeout=timedelta(hours=12),
        default_args=DEFAULTS,
        params=form(scenario),
        tags=["crosslift", "retrain", scenario.target, *scenario.sources],
    )
    def retrain() -> None:
        graph = graph_of(scenario)
        lanes, waits = lanes_of(graph), tasks_of(graph)
        made = {name: TASKS[name].expand(lane=lanes[name]) if name in lanes else TASKS[name]() for name in waits}
        begin = plan()
        for name, needs in waits.items():
            ([made[need] for need in needs] or [begin]) >> made[name]
        made["promote"] >> champion_moved.override(outlets=[champion(scenario.name)])()
        # Runs nothing. A failed lane leaves report and champion alive, but the run as a whole is not green.
        every_lane = EmptyOperator(task_id="every_lane", trigger_rule=TriggerRule.NONE_FAILED)
        [made[name] for name in (*lanes, "promote")] >> every_lane

    return retrain()


def broken_dag(found: Found) -> DAG:
    """Build the DAG of a scenario file that cannot be read: its one task fails with the reason."""

    @task(retries=0)
    def read_scenario() -> None:
        """Fail with what is wrong in the file."""
        raise AirflowFailException(found.error)

    @dag(
        dag_id=f"{PREFIX}{re.sub(r'[^A-Za-z0-9_.-]', '_', found.name)[:200]}",
        description=f"{found.name}.yaml cannot be read",
        doc_md="The scenario file cannot be read. Trigger the DAG for the reason, or `crosslift scenarios check FILE`.",
        schedule=None,
        tags=["crosslift", "retrain", "broken"],
    )
    def retrain() -> None:
        read_scenario()

    return retrain()


def _run_id() -> str:
    """Name the run below CROSSLIFT_HOME: two scenarios with one schedule have runs of the same Airflow id."""
    return f"{_scenario_name()}__{get_current_context()['dag_run'].run_id}"


def _scenario_name() -> str:
    return str(get_current_context()["dag"].dag_id).removeprefix(PREFIX)


def _planned(kind: str) -> set[str]:
    """Find the lanes that `plan` listed: all of the scenario are mapped, those not chosen in the form are skipped."""
    lanes = get_current_context()["ti"].xcom_pull(task_ids="plan") or {}
    return set(lanes.get(kind, ()))


def _skip_unless(needed: bool, message: str) -> None:
    if not needed:
        raise AirflowSkipException(message)


def _told(step: Callable[[], Any]) -> Any:
    """Call the step; an error that trying again cannot mend fails the task at once, with its message alone.

    Of an unexpected one the log gets type and place: its message, and those of what led to an error, may quote cells.
    """
    keep_private(Home.from_env().root)
    try:
        return step()
    except StorageError as error:
        raise StorageError(str(error)) from None
    except (CrossliftError, ValidationError) as error:
        raise AirflowFailException(str(error)) from None
    except Exception as error:
        logging.getLogger(__name__).error(trace(error))
        raise RuntimeError(f"{type(error).__name__}, which nobody expected; the lines above say where") from None


def _record(result: StepResult[Any]) -> Record:
    return result.model_dump(mode="json", exclude={"facts"})


def _publish_dags() -> None:
    """Put every DAG into this module, or only the one that a task needs; a broken file costs no other its DAG."""
    wanted = get_parsing_context().dag_id
    for found in sorted(find_scenarios().values(), key=lambda one: one.scenario is not None):  # names of DAGs may meet
        if found.scenario is None or wanted in (None, f"{PREFIX}{found.name}"):
            built = broken_dag(found) if found.scenario is None else retrain_dag(found.scenario)
            globals()[built.dag_id] = built


_publish_dags()
