"""The DAG file in a fresh interpreter: what it loads, which DAGs it makes, and how they are wired."""

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import pipeline.scenarios

SCENARIOS = Path(pipeline.scenarios.__file__).parent
LOADER = Path(__file__).with_name("load_dags.py")
LOAD = f"import runpy; runpy.run_path({str(LOADER)!r}, run_name='__main__')"

EDGES = {
    "plan": [],
    "ingest": ["plan"],
    "validate": ["ingest"],
    "prepare": ["validate"],
    "audit": ["prepare"],
    "pretrain_source": ["audit"],
    "adapt_domain.coral": ["pretrain_source"],
    "finetune_target.target_only": ["audit"],
    "finetune_target.fine_tune": ["pretrain_source"],
    "finetune_target.coral_and_fine_tune": ["adapt_domain.coral"],
    "fit_baseline.ease_and_source": ["audit"],
    "promote": ["evaluate"],
    "champion_moved": ["promote"],
}


HOSTILE = {
    "date": "title: 2026-02-30",
    "digits": f"seed: {'9' * 5000}",
    "nested": f"title: {'[' * 3000}",
    "laughs": "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{two}: &{two} [{', '.join([f'*{one}'] * 10)}]\n" for one, two in pairwise("abcdefghij")),
    "cron": (SCENARIOS / "demo.yaml").read_text(encoding="utf-8").replace("0 2 * * *", "0 0 31 2 *"),
    "bytes": "\0",
}


@pytest.fixture(scope="module")
def scenarios(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a user's own folder with broken files of all kinds; the name of one is no name for a DAG either."""
    folder = tmp_path_factory.mktemp("scenarios")
    (folder / "my shop!.yaml").write_text("name: shop\nsorces: [a]\n", encoding="utf-8")
    for name, content in HOSTILE.items():
        (folder / f"{name}.yaml").write_text(content, encoding="utf-8")
    (folder / "folder.yaml").mkdir()
    os.mkfifo(folder / "pipe.yaml")
    text = (SCENARIOS / "demo.yaml").read_text(encoding="utf-8")
    (folder / "shop_.yaml").write_text(text.replace("name: demo", "name: shop_"), encoding="utf-8")
    (folder / "shop!.yaml").write_text("a: 1", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def loaded(run_python: Callable[..., str], scenarios: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Everything that the fresh interpreter tells, with the broken file beside the built-in scenarios."""
    home = str(tmp_path_factory.mktemp("airflow"))
    told = run_python(LOAD, AIRFLOW_HOME=home, CROSSLIFT_SCENARIOS=str(scenarios), CROSSLIFT_SCHEDULES="on")
    found: dict[str, Any] = json.loads(told.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def demo(loaded: dict[str, Any]) -> dict[str, Any]:
    """Pick the DAG of the demo scenario."""
    found: dict[str, Any] = loaded["dags"]["retrain__demo"]
    return found


def test_parsing_loads_nothing_heavy(loaded: dict[str, Any]) -> None:
    """No PyTorch, pandas, MLflow, Great Expectations or NumPy beyond what Airflow itself loads."""
    assert loaded["heavy"] == []


def test_parsing_costs_little(loaded: dict[str, Any]) -> None:
    """A thousand tasks less than the CPU seconds of Airflow's own import, on whatever machine."""
    tasks = sum(len(one["tasks"]) for one in loaded["dags"].values())
    assert tasks > 300  # most of the time is Airflow's, of which each copies the parameters of its DAG
    assert loaded["seconds"]["retrain"] / tasks < loaded["seconds"]["airflow"] / 1000


def test_every_scenario_has_a_dag(loaded: dict[str, Any]) -> None:
    """Built-in scenarios and the broken file, under a name that Airflow allows."""
    names = {"retrain__demo", "retrain__cross_category", "retrain__cross_category_phones", "broken__my_shop_"}
    assert set(loaded["dags"]) >= names


@pytest.mark.parametrize("name", [*HOSTILE, "folder", "pipe"])
def test_a_hostile_file_takes_no_other_down(loaded: dict[str, Any], name: str) -> None:
    """Whatever it holds, it gets a DAG that fails with the message; the built-in ones are all there (see above)."""
    assert list(loaded["dags"][f"broken__{name}"]["tasks"]) == ["read_scenario"]


def test_a_broken_file_never_takes_the_name_of_a_sound_one(loaded: dict[str, Any]) -> None:
    """`shop!` gives a DAG of its own beside that of `shop_`."""
    assert "ingest" in loaded["dags"]["retrain__shop_"]["tasks"]
    assert list(loaded["dags"]["broken__shop_"]["tasks"]) == ["read_scenario"]


TOLD = """
import logging, os, sys
from pathlib import Path
from pipeline.errors import ConfigError, RefusedError, StorageError
from pipeline.airflow import calling

def fail(how):
    try:
        raise KeyError("ann@example.com")
    except KeyError as error:
        raise how("of ann@example.com" if how is ValueError else "told") from error

logging.basicConfig(stream=sys.stdout)
for how in (ValueError, ConfigError, RefusedError, StorageError):
    try:
        calling.told(lambda: fail(how))
    except BaseException as error:
        print("raised", type(error).__name__, error, error.__cause__, error.__suppress_context__)
Path(os.environ["CROSSLIFT_HOME"], "made").write_text("x")
print("mode", oct(Path(os.environ["CROSSLIFT_HOME"], "made").stat().st_mode & 0o777),
      oct(Path(os.environ["CROSSLIFT_HOME"]).stat().st_mode & 0o777))
"""


def test_an_unexpected_error_tells_no_value(run_python: Callable[..., str], tmp_path: Path) -> None:
    """Type and place stand in the task's log, what the exceptions say does not; a foreseen error keeps its message.

    What a task writes is for its owner alone, also in an Airflow that is not ours.
    """
    home = tmp_path / "home"
    (home / "runs").mkdir(parents=True)
    home.chmod(0o755)
    told = run_python(TOLD, AIRFLOW_HOME=str(tmp_path / "airflow"), CROSSLIFT_HOME=str(home))
    assert "ann@example.com" not in told
    assert "raised RuntimeError ValueError, which nobody expected; the lines above say where None True" in told
    assert "in fail" in told
    assert "KeyError (message not kept)" in told
    assert re.search(r"error *\] told .*\nraised SystemExit 2\b", told)
    assert re.search(r"error *\] told .*\nraised SystemExit 3\b", told)
    assert "raised StorageError told None True" in told
    assert "mode 0o600 0o700" in told


ENDED = """
import logging, sys
from types import SimpleNamespace as Made
from pipeline.airflow import calling
logging.basicConfig(stream=sys.stdout)
calling.keep_private = lambda root: None
calling.ending_of = lambda run: Made(of=lambda state: ["fit_baseline ials", "evaluate"])
calling.summary_lines = lambda run: iter(["what the report says"])
for found in ({}, {"": "a report"}):
    calling.this_run = lambda: Made(results=lambda step: found)
    calling.tell_summary()
    try:
        calling.fail_if_one_did()
    except SystemExit as ended:
        print("code", ended.code)
"""


def test_a_run_without_a_report_names_what_failed(run_python: Callable[..., str], tmp_path: Path) -> None:
    """Where every lane failed there is nothing to sum up, and it is the lanes that are named, not the report."""
    told = run_python(ENDED, AIRFLOW_HOME=str(tmp_path))
    without, with_report, _ = told.split("code 1\n")
    for one in (without, with_report):
        assert "Failed, or not run: fit_baseline ials, evaluate; their logs say why." in one
    assert "what the report says" not in without
    assert "What serves is there all the same." in without
    assert "what the report says" in with_report
    assert "The report and what serves are there all the same." in with_report


def test_a_broken_file_gets_one_task(loaded: dict[str, Any]) -> None:
    """Its DAG is red by itself, has nothing but the task that fails with the message, and says it in its docs."""
    broken = loaded["dags"]["broken__my_shop_"]
    assert list(broken["tasks"]) == ["read_scenario"]
    assert (broken["schedule"], broken["paused"]) == ("0 0 * * *", False)
    assert broken["tags"] == ["broken", "crosslift"]
    assert "sorces" in broken["doc"]


def test_the_edges_are_those_of_the_design(demo: dict[str, Any]) -> None:
    """A lane waits for what it starts from; what goes without saying is left out."""
    tasks = demo["tasks"]
    assert {name: tasks[name]["upstream"] for name in EDGES} == EDGES
    lanes = {name for name in tasks if "." in name}
    assert set(tasks["summary"]["upstream"]) == {"promote", *lanes}
    assert set(tasks["evaluate"]["upstream"]) == {name for name in lanes if not name.startswith("adapt_domain")}


def test_a_failed_lane_leaves_the_rest_alive(demo: dict[str, Any]) -> None:
    """What judges and tells begins if anything came so far, and not where nothing did; the rest needs what it reads."""
    rules = {name: task["rule"].rpartition(".")[2].lower() for name, task in demo["tasks"].items()}
    assert {name for name, rule in rules.items() if rule == "all_done_min_one_success"} == {"evaluate", "summary"}
    assert set(rules.values()) == {"all_done_min_one_success", "all_success"}


def test_lanes_have_names_before_they_run(demo: dict[str, Any]) -> None:
    """One task for each adaptation, strategy and baseline of the scenario, shown by the name of its lane."""
    shown: dict[str, list[str]] = {}
    for name, task in demo["tasks"].items():
        shown.setdefault(name.partition(".")[0], []).append(task["shown"])
    assert shown["adapt_domain"] == ["coral", "dann"]
    assert {"target_only", "direct", "coral+fine_tune", "dann+fine_tune"} <= set(shown["finetune_target"])
    assert {"popularity", "ease", "ease+source"} <= set(shown["fit_baseline"])
    assert shown["ingest"] == ["ingest"]


def test_tasks_link_to_what_they_left(demo: dict[str, Any]) -> None:
    """Each step to the run that it reuses, and to what MLflow was told of it; the last two to all pages."""
    reused, pages = "Reused: the run that computed it", ["MLflow run", "Report", "Data Docs", "Registered version"]
    links = {name: task["links"] for name, task in demo["tasks"].items()}
    assert links["summary"] == pages
    assert links["promote"] == [reused, *pages]
    assert links["ingest"] == [reused]
    assert links["validate"] == [reused, "Data Docs"]
    assert links["evaluate"] == [reused, "Report"]
    for name in ("pretrain_source", "adapt_domain.coral", "finetune_target.fine_tune", "fit_baseline.ease"):
        assert links[name] == [reused, "MLflow run"]


def test_what_cannot_be_mended_is_not_tried_again(demo: dict[str, Any]) -> None:
    """An exit, as a foreseen error ends, fails each task of several tries at once; anything else is tried again."""
    tried = {name: task["again"] for name, task in demo["tasks"].items() if task["retries"]}
    assert {tuple(again) for again in tried.values()} == {("fail", "default")}


def test_every_step_is_documented_and_limited(demo: dict[str, Any]) -> None:
    """Each task that does something has a doc, a timeout, and one XCom; those that train are tried again."""
    steps = demo["tasks"]
    assert all(task["doc"] and task["timeout"] and not task["many_xcoms"] for task in steps.values())
    assert {name for name, task in steps.items() if not task["retries"]} == {"plan", "summary"}


def test_the_champion_is_an_asset(demo: dict[str, Any]) -> None:
    """Only the task updates it that is skipped where no alias moved: Airflow gives each success an event."""
    outlets = {name: task["outlets"] for name, task in demo["tasks"].items() if task["outlets"]}
    assert outlets == {"champion_moved": ["crosslift.demo.champion"]}


MOVED = """
import json
from types import SimpleNamespace as Made
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.context import OutletEventAccessors
import dags.retrain as retrain
from pipeline.airflow import calling
from pipeline.results import PromoteFacts
facts = FACTS
events = OutletEventAccessors()
context = {"dag": Made(dag_id="retrain__demo"), "dag_run": Made(run_id="r"), "outlet_events": events}
retrain.get_current_context = lambda: context
retrain.this_run = lambda: Made(result=lambda step: Made(facts=PromoteFacts(**facts)))
try:
    retrain.champion_moved.function()
    print(json.dumps([event.extra for event in events.values()]))
except AirflowSkipException as skipped:
    print(skipped, len(events))
"""


@pytest.mark.parametrize(
    ("model", "outcome", "told"),
    [
        ("crosslift.demo", "promoted", '[{"model": "crosslift.demo", "version": 3, "verdict": "passed"}]'),
        ("crosslift.demo", "serves already", "crosslift.demo: serves already. Why. 0"),
        ("crosslift.demo", "not promoted", "crosslift.demo: not promoted. Why. 0"),
        ("crosslift.demo.share_30", "promoted", "crosslift.demo.share_30: promoted. Why. 0"),
    ],
)
def test_only_a_moved_alias_is_an_event(
    run_python: Callable[..., str], tmp_path: Path, model: str, outcome: str, told: str
) -> None:
    """The asset is that of the scenario's own model; what moved nothing there is skipped, with the reason."""
    facts = {"model": model, "outcome": outcome, "version": 3, "verdict": "passed", "reason": "Why.", "lane": "joint",
             "alias": "champion", "serving": 3, "trial": ""}  # fmt: skip
    code = MOVED.replace("FACTS", repr(facts))
    assert run_python(code, AIRFLOW_HOME=str(tmp_path)).splitlines()[-1] == told


def test_a_night_has_a_data_interval(demo: dict[str, Any]) -> None:
    """Cron with data interval, no catching up, one run at a time, with docs and tags."""
    assert (demo["timetable"], demo["schedule"]) == ("CronDataIntervalTimetable", "0 2 * * *")
    assert demo["catchup"] is False
    assert demo["max_active_runs"] == 1
    assert {"crosslift", "grocer", "florist"} <= set(demo["tags"])
    assert "Two generated shops" in demo["doc"]


def test_without_schedules_nothing_runs_by_itself(run_python: Callable[..., str], tmp_path: Path) -> None:
    """CROSSLIFT_SCHEDULES=off is what the demo sets, so that unpausing starts no night."""
    told = run_python(LOAD, AIRFLOW_HOME=str(tmp_path), CROSSLIFT_SCHEDULES="off")
    found = json.loads(told.splitlines()[-1])["dags"]
    assert {dag["schedule"] for dag in found.values()} == {None}


FIRST_NIGHT = """
import sys
from datetime import datetime, timedelta, UTC
from airflow.timetables.base import TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable
import dags.retrain as retrain
start = retrain.retrain__demo.start_date
night = CronDataIntervalTimetable("0 2 * * *", timezone="UTC").next_dagrun_info(
    last_automated_data_interval=None, restriction=TimeRestriction(earliest=start, latest=None, catchup=False))
print((night.run_after - datetime.now(UTC)).total_seconds())
"""


@pytest.mark.parametrize(("hours", "waits"), [(23, True), (72, False)])
def test_no_night_before_the_first_start_is_made_up_for(
    run_python: Callable[..., str], tmp_path: Path, hours: int, waits: bool
) -> None:
    """As Airflow itself reckons: with less than a day before now as CROSSLIFT_SINCE the first night is to come.

    An hour less than what `make up` sets, so that a night may begin while the test runs.
    """
    since = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
    told = run_python(FIRST_NIGHT, AIRFLOW_HOME=str(tmp_path), CROSSLIFT_SINCE=since, CROSSLIFT_SCHEDULES="on")
    seconds = float(told.splitlines()[-1])
    assert (0 < seconds <= 25 * 3600) if waits else seconds <= 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("strategies", ["; rm -rf /"]),
        ("strategies", []),
        ("strategies", ["joint", "joint"]),
        ("strategies", "joint"),
        ("seed", -1),
        ("seed", 2**31),
        ("seed", "0"),
        ("epochs", 0),
        ("epochs", 1001),
        ("epochs", 1.5),
        ("target_share", 0),
        ("target_share", 1.01),
        ("target_share", 30),
        ("target_share", "all"),
        ("force", "yes"),
        ("force", None),
        ("promote", 1),
    ],
)
def test_the_form_refuses(demo: dict[str, Any], field: str, value: object) -> None:
    """A hostile or impossible value does not fit the schema by which the API judges it."""
    schema = dict(demo["params"][field])
    jsonschema.validate(schema.pop("value"), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, schema)
