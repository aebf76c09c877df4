"""One retraining DAG for each scenario, from its tables to a promoted model.

This file only wires, by the graph of `pipeline.runs.graph`. What a task does is a function of `pipeline.steps`, whose
module is imported inside the task: the file itself loads pydantic and pathlib only, so that parsing it stays at tenths
of a second.
"""

import os
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import (
    DAG,
    Asset,
    CronDataIntervalTimetable,
    TaskGroup,
    TriggerRule,
    dag,
    get_current_context,
    get_parsing_context,
    task,
)

from pipeline.airflow.calling import (
    MENDS_NOTHING,
    Record,
    call,
    fail_if_one_did,
    give_up,
    planned,
    skip_unless,
    tell_summary,
    this_run,
    this_run_name,
    told,
)
from pipeline.airflow.form import form
from pipeline.airflow.links import SUMMARY, buttons, tell_addresses
from pipeline.airflow.names import broken_name, dag_name, lane_name, scenario_name
from pipeline.config import Scenario
from pipeline.errors import ExitCode
from pipeline.results import PROMOTE
from pipeline.runs.graph import Node, direct, graph_of, lanes_of
from pipeline.scenarios import Found, about, find_scenarios, load_scenario, read_options

DEFAULTS: dict[str, Any] = {
    "retries": 2,  # a killed training goes on from its last checkpoint
    "retry_delay": timedelta(seconds=5),
    "retry_policy": MENDS_NOTHING,
    "execution_timeout": timedelta(hours=3),
    "show_return_value_in_logs": False,  # what a task did stands there in words
}
# Begins although some of what it waits for failed, but not where all of that did, because nothing came so far.
WHAT_CAME = TriggerRule.ALL_DONE_MIN_ONE_SUCCESS


@task(retries=0)
def plan() -> Record:
    """Fix the scenario with the form's values and list the lanes to run."""
    from pipeline.steps.plan import plan as step

    context = get_current_context()
    scenario = load_scenario(scenario_name(str(context["dag"].dag_id)))
    return told(lambda: step(this_run_name(), scenario, read_options(context["params"], "conf")))


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
def embed() -> Record:
    """Turn texts into vectors of the pretrained encoder that the scenario names; known texts are looked up."""
    return call("embed")


@task
def pretrain_source() -> Record:
    """Train the model on the source domains."""
    return call("pretrain_source")


@task
def adapt_domain(lane: str) -> Record:
    """Bring the source model's features closer to the target's, without target labels."""
    skip_unless(lane in planned("adapt_domain"), f"{lane} was not chosen for this run.")
    return call("adapt_domain", lane)


@task
def finetune_target(lane: str) -> Record:
    """Fit one strategy's candidate."""
    skip_unless(lane in planned("finetune_target"), f"{lane} was not chosen for this run.")
    return call("finetune_target", lane)


@task
def fit_baseline(lane: str) -> Record:
    """Fit one simple strong method, tuned on validation rows."""
    return call("fit_baseline", lane)


@task
def blend_lanes(lane: str) -> Record:
    """Blend two lanes by the length of the history; how much each counts is chosen on validation rows."""
    skip_unless(lane in planned("blend_lanes"), f"{lane} was not chosen for this run.")
    return call("blend_lanes", lane)


@task(trigger_rule=WHAT_CAME)
def evaluate() -> Record:
    """Judge the test rows by every candidate, compare, decide, and write the report; failed lanes are named."""
    made = call("evaluate")
    tell_summary()
    return made


@task
def promote() -> Record:
    """Register the candidate and move the champion's alias if the gate says so."""
    return call("promote")


@task
def champion_moved() -> None:
    """Update the asset if this run moved the champion's alias of the scenario's own model; else be skipped."""
    from pipeline.registry.lookup import model_name

    context = get_current_context()
    name = scenario_name(str(context["dag"].dag_id))
    facts = told(lambda: this_run().result(PROMOTE)).facts
    own = facts.model == model_name(load_scenario(name))
    skip_unless(own and facts.outcome == "promoted", f"{facts.model}: {facts.outcome}. {facts.reason}")
    extra = facts.model_dump(include={"model", "version", "verdict"})
    context["outlet_events"][champion(name)].extra = extra


@task(trigger_rule=WHAT_CAME, retries=0)
def summary() -> None:
    """Tell how the run ended, and fail where a lane did: report and champion are there, but the run is not green."""
    tell_summary()
    tell_addresses()
    fail_if_one_did()


TASKS: dict[str, Any] = {
    "ingest": ingest,
    "validate": validate,
    "prepare": prepare,
    "audit": audit,
    "embed": embed,
    "pretrain_source": pretrain_source,
    "adapt_domain": adapt_domain,
    "finetune_target": finetune_target,
    "fit_baseline": fit_baseline,
    "blend_lanes": blend_lanes,
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

    @dag(
        dag_id=dag_name(scenario.name),
        description=scenario.title,
        doc_md=about(scenario),
        schedule=_nightly(scenario.schedule),
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
        graph = direct(graph_of(scenario))
        groups = {name: TaskGroup(name, tooltip=TASKS[name].function.__doc__) for name in lanes_of(graph)}
        begin, end = plan(), summary()
        made: dict[Node, Any] = {}
        for node, needs in graph.items():
            made[node] = _task(node, groups)
            ([made[need] for need in needs] or [begin]) >> made[node]
        last = made[PROMOTE.name, ""]
        last >> champion_moved.override(outlets=[champion(scenario.name)])()
        [last, *(one for (_, lane), one in made.items() if lane)] >> end
        end.operator.operator_extra_links = buttons(SUMMARY)

    return retrain()


def broken_dag(found: Found) -> DAG:
    """Build the DAG of a scenario file that cannot be read: red each day, with what is wrong in log and docs.

    It has a name of its own, and begins by itself: the DAG of the mended file keeps its runs, and is paused as it was.
    """
    fence = "`" * 9  # more than a message has
    what = f"The scenario file `{found.name}.yaml` cannot be read, and its DAG is missing until it can.\n\n"

    @task(retries=0)
    def read_scenario() -> None:
        """Fail with what is wrong in the file."""
        give_up(found.error, ExitCode.USER_ERROR)

    @dag(
        dag_id=broken_name(found.name),
        description=f"{found.name}.yaml cannot be read",
        doc_md=f"{what}{fence}text\n{found.error}\n{fence}\n\n`crosslift scenarios check FILE` tells the same.",
        schedule=_nightly("0 0 * * *"),
        start_date=datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
        catchup=False,
        is_paused_upon_creation=False,
        tags=["crosslift", "broken"],
    )
    def broken() -> None:
        read_scenario()

    return broken()


def _task(node: Node, groups: dict[str, TaskGroup]) -> Any:
    """Make the task of a node; a lane's is in the group of its step and shows the name of the lane."""
    name, lane = node
    if lane:
        with groups[name]:
            made = TASKS[name].override(task_id=lane_name(lane), task_display_name=lane)(lane)
    else:
        made = TASKS[name]()
    made.operator.operator_extra_links = buttons(node)
    return made


def _nightly(schedule: str | None) -> CronDataIntervalTimetable | None:
    wanted = schedule and os.environ.get("CROSSLIFT_SCHEDULES") != "off"
    return CronDataIntervalTimetable(schedule, timezone="UTC") if wanted else None


def _publish_dags() -> None:
    """Put every DAG into this module, or only the one that a task needs; a broken file costs no other its DAG."""
    wanted = get_parsing_context().dag_id
    for found in find_scenarios().values():
        if found.scenario is None:
            built = broken_dag(found)
        elif wanted in (None, dag_name(found.name)):
            built = retrain_dag(found.scenario)
        else:
            continue
        globals()[built.dag_id] = built


_publish_dags()
