"""What a task's log and the end of a run say, against runs whose records are written by hand."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.airflow import names
from pipeline.config import Options
from pipeline.folders import META, Home, write_json
from pipeline.registry.pages import pages
from pipeline.results import (
    ADAPT,
    AUDIT,
    BASELINE,
    CLEAN,
    INGEST,
    PROMOTE,
    TUNE,
    AuditFacts,
    CleanFacts,
    Facts,
    Finding,
    IngestFacts,
    LaneFacts,
    PromoteFacts,
    Step,
    StepResult,
    TableCounts,
    TrainFacts,
)
from pipeline.runs import telling
from pipeline.runs.ending import Ending, State, ending_of, origin_of
from pipeline.runs.graph import RECORDS, graph_of
from pipeline.runs.run import Run
from pipeline.scenarios import load_scenario

FINISHED = datetime(2026, 11, 26, 2, 13, tzinfo=UTC).timestamp()
LANE = LaneFacts(lane="ials", valid={"ndcg@10": 0.1084}, valid_domain="florist", settings={"alpha": 0.1 + 0.2})
PROMOTED = PromoteFacts(
    outcome="serves already", reason="It served before.", model="crosslift.demo", version=3, lane="ials",
    alias="champion", serving=3, trial="", verdict="passed", logged="abc",
)  # fmt: skip


@pytest.fixture
def run(own_home: Path) -> Run:
    """Start a run of the demo with two strategies."""
    options = Options(strategies=("target_only", "fine_tune"))
    return Run.start(Home(own_home), "demo__scheduled__1", load_scenario("demo"), options)


def recorded(run: Run, step: Step[Any], facts: Facts, name: str = "", *, reused: bool = False) -> StepResult[Any]:
    """Write the record of a step, and the meta file of its folder, which an earlier run computed if it is reused."""
    folder = f"steps/{step.name}/{name or 'one'}"
    by = "demo__manual__2026-11-26T02:00:00+00:00" if reused else run.run_id
    cost = {"cpu_seconds": 1.5, "wall_seconds": 2.25, "peak_mebibytes": 300.4}
    meta = {"step": step.name, "run_id": by, "scenario": "demo", "cost": cost, "finished": FINISHED}
    (run.home.root / folder).mkdir(parents=True, exist_ok=True)
    write_json(run.home.root / folder / META, meta)
    made = StepResult[Any](
        step=step.name, name=name, fingerprint="f", folder=folder, manifest="m", reused=reused, facts=facts
    )
    run.record(made)
    return made


def test_what_was_computed_is_told_with_its_cost(run: Run) -> None:
    """Wall clock, CPU, memory, then what is in it."""
    result = recorded(run, INGEST, IngestFacts(rows=12345, counted={"item_rows": 7}), "grocer")
    assert list(telling.told(run, result)) == [
        "ingest grocer: computed in 2.2 s (1.5 s of CPU, at most 300 MiB of memory)",
        "  12,345 rows, 7 item rows",
    ]


def test_what_was_reused_names_the_run_that_computed_it(run: Run) -> None:
    """With the time at which it did; metrics and settings in a readable form."""
    told = list(telling.told(run, recorded(run, BASELINE, LANE, "ials", reused=True)))
    assert "run demo__manual__2026-11-26T02:00:00+00:00 computed it in 2.2 s, 2026-11-26 02:13 UTC" in told[0]
    assert told[1:] == ["  on the validation rows of florist: NDCG@10 10.84 %", "  chosen by them: alpha 0.3"]


def test_what_moved_is_told(run: Run) -> None:
    """Of an adaptation what it found out, of a lane each layer's way from its start."""
    found = TrainFacts(epochs=6, told={"effective_source_rows": 412.5, "mmd.after": 0.0123412})
    told = list(telling.told(run, recorded(run, ADAPT, found, "reweight")))
    assert told[1:] == ["  6 epochs", "  effective_source_rows 412.5, mmd.after 0.01234"]
    moved = LANE.model_copy(update={"moved": {"encoder.numbers": 0.0421, "head.rows": 1.5}})
    told = list(telling.told(run, recorded(run, TUNE, moved, "fine_tune")))
    assert told[-1] == "  moved from the start, relative to it: encoder.numbers 0.042, head.rows 1.5"


def test_rows_are_told_by_table_and_rule(run: Run) -> None:
    """What was read, what was kept, and what went into quarantine by which rule."""
    counts = {"interactions": TableCounts(rows_read=1000, rows=990, rules={"no_user": 10})}
    told = list(telling.told(run, recorded(run, CLEAN, CleanFacts(tables=counts, main="interactions"), "grocer")))
    assert told[1] == "  interactions: 1,000 rows read, 990 kept; in quarantine: 10 no_user"


def test_what_a_person_should_know_is_a_warning(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """Findings of the audit are logged at a level of their own, and no line is too wide for a page of logs."""
    finding = Finding(rule="r", where="florist", what="a word " * 40, remedy="look")
    facts = AuditFacts(test_rows=10, marked=3, kinds={"copies": 3}, findings=(finding,))
    with caplog.at_level(logging.INFO, "pipeline"):
        telling.tell(run, recorded(run, AUDIT, facts))
    levels = [record.levelname for record in caplog.records]
    assert levels == ["INFO", "INFO", "WARNING"]
    assert "10 test rows of the target, 3 of them marked as leaks (3 copies)" in caplog.text


def test_long_lines_are_broken_between_words(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is lost at the edge of a page."""
    facts = PROMOTED.model_copy(update={"reason": "because " * 50})
    with caplog.at_level(logging.INFO, "pipeline"):
        telling.tell(run, recorded(run, PROMOTE, facts))
    lines = [record.getMessage() for record in caplog.records]
    assert max(map(len, lines)) <= telling.WIDTH
    assert sum(line.count("because") for line in lines) == 50


def test_every_step_has_lines() -> None:
    """Whatever a task records can be told."""
    assert set(telling.LINES) == {step.name for steps in RECORDS.values() for step in steps}


def test_pages_are_those_that_a_browser_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """None without an address; that of the pages goes before the tracking server's, and none tells a password."""
    named = ("7", "abc", "crosslift.demo", 3)
    monkeypatch.delenv("CROSSLIFT_MLFLOW_URL", raising=False)
    assert pages(*named) == {}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////tmp/mlflow.db")
    assert pages(*named) == {}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://anna:secret@mlflow:5000/here/")
    assert pages(*named)["MLflow run"] == (
        "https://mlflow:5000/here/#/experiments/7/runs/abc?workflowType=machine_learning"
    )
    monkeypatch.setenv("CROSSLIFT_MLFLOW_URL", "https://models.example.org/")
    assert pages(*named)["Registered version"].startswith(
        "https://models.example.org/#/models/crosslift.demo/versions/3"
    )
    assert set(pages(*named)) == {"MLflow run", "Report", "Data Docs", "Registered version"}


def test_an_end_says_what_was_computed_reused_and_failed(run: Run) -> None:
    """A task without a record failed, or never began."""
    recorded(run, INGEST, IngestFacts(rows=1), "grocer", reused=True)
    recorded(run, TUNE, LANE, "fine_tune")
    ending = ending_of(run)
    assert (ending.of("reused"), ending.of("computed")) == (["ingest"], ["finetune_target fine_tune"])
    assert "finetune_target target_only" in ending.of("failed")
    assert len(ending.of("failed")) == len(graph_of(run.scenario)) - 2
    every = len(graph_of(run.scenario))
    assert ending.counts == {"computed": 1, "reused": 1, "failed": every - 2}
    assert str(ending).startswith(
        f"{every} tasks: 1 computed, 1 reused (finetune_target fine_tune computed), {every - 2} failed or not run ("
    )


@pytest.mark.parametrize(
    ("states", "told"),
    [
        (("reused", "reused"), "2 tasks: nothing changed, all were found as an earlier run had left them"),
        (("computed", "computed"), "2 tasks: 2 computed, 0 reused"),
        (("computed", "failed"), "2 tasks: 1 computed, 0 reused, 1 failed or not run (fit_baseline ials)"),
    ],
)
def test_an_end_in_one_line(states: tuple[State, State], told: str) -> None:
    """Names stand there only where they tell something."""
    assert str(Ending(dict(zip((("ingest", ""), ("fit_baseline", "ials")), states, strict=True)))) == told


def test_a_task_is_computed_if_one_of_its_parts_is(run: Run) -> None:
    """Of two domains one did not change."""
    recorded(run, INGEST, IngestFacts(rows=1), "grocer", reused=True)
    recorded(run, INGEST, IngestFacts(rows=1), "florist")
    assert ending_of(run).of("computed") == ["ingest"]
    assert origin_of(run, ("ingest", "")) == ("", "")


def test_a_reused_lane_links_to_the_run_in_airflow(run: Run) -> None:
    """The page of the run that computed it; a run of the shell has none."""
    recorded(run, BASELINE, LANE, "ials", reused=True)
    name, scenario = origin_of(run, ("fit_baseline", "ials"))
    assert names.page_of(name, scenario) == "/dags/retrain__demo/runs/manual__2026-11-26T02:00:00+00:00"
    assert names.page_of("demo__cli__20261126T020000", "demo") == ""
    assert names.page_of("", "") == ""


def test_names_are_ones_that_airflow_allows() -> None:
    """A lane's plus, and whatever a broken file is called."""
    assert names.lane_name("coral+fine_tune") == "coral_and_fine_tune"
    assert names.broken_name("my shop!") == "broken__my_shop_"
    assert names.scenario_name(names.dag_name("demo")) == "demo"
