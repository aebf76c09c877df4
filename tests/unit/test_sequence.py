"""A whole run outside Airflow: what a lost task costs, and that no process is left behind."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import active_children
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pipeline.config import Options
from pipeline.errors import ExitCode, RefusedError, StorageError
from pipeline.folders import Home
from pipeline.results import AUDIT, BASELINE, VERDICT, StepResult, TrainFacts
from pipeline.runs import graph as tasks
from pipeline.runs import processes, sequence
from pipeline.runs.processes import Outcome, Task, end_tasks, log_file, start_task
from pipeline.runs.progress import Progress, keep_seconds, seconds_before, seconds_left
from pipeline.runs.run import Run
from pipeline.scenarios import load_scenario
from tests.publishing import result_of

ROOT = Path(__file__).parents[2]
PATIENCE = 900  # seconds; waits end when something happens, this only bounds what never does


DETAILS = "of a library\nwith details"
Told = Progress | Outcome


def stub(run: Run, step: str, lane: str) -> list[StepResult[Any]]:
    """Be any step: some lanes fail in their own way."""
    print("printed by a library")
    logging.getLogger("not.ours").info("what others say")
    if step == "ingest":
        logging.getLogger("pipeline.steps.ingest").info("%s rows are read", 3)
        logging.getLogger("pipeline.steps.ingest").debug("nobody wants to know")
    if lane == "target_only":
        logging.getLogger("pipeline.training").info("epoch %s of %s", 2, 5, extra={"epoch": 2, "epochs": 5})
    if lane == "ials":
        os.kill(os.getpid(), signal.SIGKILL)
    if lane == "joint":
        raise ZeroDivisionError(DETAILS)
    if lane == "frozen":
        raise StorageError("the disk is full")
    if lane == "ease":
        os._exit(5)
    if step == "prepare":
        logging.getLogger("pipeline.integrity").warning("%s was damaged", "a folder")
    if run.run_id == "refused" and step == "validate":
        raise RefusedError("a rule")
    if run.run_id == "slow" and step == "ingest":
        (run.folder / "child").write_text(str(os.getpid()))
        time.sleep(2 * PATIENCE)
    told = {"step": step, "name": lane, "fingerprint": "f", "folder": "x", "manifest": "m"}
    return [StepResult[Any](**told, reused=lane == "ease+source", facts=TrainFacts(epochs=0))]


def stub_again(run: Run, step: str, lane: str) -> list[StepResult[Any]]:
    """Find everything as it was."""
    return [result.model_copy(update={"reused": True}) for result in stub(run, step, lane)]


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Load nothing ahead of the tasks, and leave none behind where a test fails."""
    monkeypatch.setattr(sequence, "TRAINED", ())
    yield
    for process in active_children():
        process.kill()


def started(run_id: str) -> Run:
    """Start a run of the demo scenario."""
    return Run.start(Home.from_env(), run_id, load_scenario("demo"), Options(strategies=("joint", "frozen")))


@pytest.mark.usefixtures("stubbed")
def test_a_lane_that_dies_costs_only_itself(capfd: pytest.CaptureFixture[str]) -> None:
    """A lane that is killed, fails or vanishes is named with its reason; the others and the evaluation go on."""
    run = started("r")
    told: list[Told] = []
    outcomes = sequence.run_graph(run, tasks.graph_of(run.scenario), stub, 3, told.append)
    assert [one for one in told if isinstance(one, Outcome)] == outcomes
    began = [one.name for one in told if isinstance(one, Progress) and not one.message]
    assert sorted(began) == sorted(outcome.name for outcome in outcomes)
    assert [one for one in told if isinstance(one, Progress) and one.message] == [
        Progress(step="ingest", message="3 rows are read"),
        Progress(step="finetune_target", lane="target_only", message="epoch 2 of 5", epoch=2, epochs=5),
    ]
    lines = log_file(run.home, "r", ("finetune_target", "target_only")).read_text()
    assert "epoch 2 of 5" in lines
    assert "of a library" not in lines
    failed = {outcome.lane: outcome.message for outcome in outcomes if outcome.state == "failed"}
    assert set(failed) == {"ials", "joint", "frozen", "ease"}
    assert failed["ials"].startswith("its process was killed (signal 9), most likely because memory ran out.")
    assert failed["ease"] == "its process ended without a result (exit code 5)."
    assert failed["frozen"] == "the disk is full"
    log = log_file(run.home, "r", ("finetune_target", "joint"))
    assert failed["joint"] == f"ZeroDivisionError: of a library (the trace is in {log})"
    assert "ZeroDivisionError (message not kept)" in log.read_text()
    assert "in stub" in log.read_text()
    assert "with details" not in log.read_text()
    assert log_file(run.home, "r", ("finetune_target", "frozen")).read_text().endswith("the disk is full\n")
    assert {outcome.name: outcome.notes for outcome in outcomes if outcome.notes} == {
        "prepare": ("a folder was damaged",)
    }
    assert "a folder was damaged" in log_file(run.home, "r", ("prepare", "")).read_text()
    assert [outcome.step for outcome in outcomes[:4]] == list(tasks.DATA)
    assert outcomes[-1].step == "promote"
    assert {outcome.lane for outcome in outcomes if outcome.state == "reused"} == {"ease+source"}
    assert capfd.readouterr().out == ""


@pytest.mark.usefixtures("stubbed")
def test_a_step_that_all_need() -> None:
    """A refused table stops the run with the step's exit code; nothing after it starts."""
    run = started("refused")
    told: list[Told] = []
    with pytest.raises(sequence.StepFailedError, match="validate: a rule") as raised:
        sequence.run_graph(run, tasks.graph_of(run.scenario), stub, 3, told.append)
    assert raised.value.exit_code == ExitCode.REFUSED
    assert [one.name for one in told if isinstance(one, Outcome)] == ["ingest", "validate"]


@pytest.mark.usefixtures("stubbed")
def test_an_earlier_try_leaves_no_results() -> None:
    """Results of the steps that run again are dropped first, so that none is taken for tonight's; others stay."""
    run = started("refused")
    for step in (BASELINE, VERDICT):
        run.record(result_of(step))
    run.record(result_of(AUDIT).model_copy(update={"step": "other"}))
    with pytest.raises(sequence.StepFailedError):
        sequence.run_graph(run, tasks.graph_of(run.scenario), stub, 1, lambda _: None)
    assert [path.name for path in (run.folder / "results").iterdir()] == ["other..json"]


def test_what_ran_before_is_known() -> None:
    """A run of the same plan that came to a verdict says that there may be nothing to do; force says otherwise."""
    run = started("one")
    assert not sequence.ran_before(run)
    run.record(result_of(VERDICT))
    assert sequence.ran_before(started("two"))
    (started("damaged").folder / "plan.json").write_text("{")
    Run(run.home, "damaged", run.scenario).record(run.result(VERDICT))
    assert sequence.ran_before(started("two"))
    assert not sequence.ran_before(Run.start(run.home, "three", run.scenario, Options(force=True)))
    assert not sequence.ran_before(Run.start(run.home, "four", run.scenario, Options(seed=9)))


@pytest.mark.usefixtures("stubbed")
def test_what_tasks_took_is_known_the_next_time() -> None:
    """Of the last run that computed a task, in the same scenario; what was reused or failed says nothing."""
    assert seconds_before(started("first")) == {}
    run = started("first")
    sequence.run_graph(run, tasks.graph_of(run.scenario), stub, 3, lambda _: None)
    found = seconds_before(started("second"))
    lanes = {name for name in found if name.startswith("fit_baseline")}
    assert {"ingest", "promote", "finetune_target target_only"} <= set(found)
    assert lanes.isdisjoint({"fit_baseline ials", "fit_baseline ease+source"})
    assert all(0 < seconds < PATIENCE for seconds in found.values())
    keep_seconds(started("second"), {"ingest": 4000.0})
    assert seconds_before(started("third")) == {**found, "ingest": 4000.0}
    other = Run.start(run.home, "other", load_scenario("new_shop"), Options())
    assert seconds_before(other) == {}


def test_how_long_the_rest_takes() -> None:
    """By hand: two lanes of 6 s and 2 s after 3 s, one process or two; what runs counts for what is left of it."""
    graph: tasks.Graph = {("a", ""): (), ("b", "x"): (("a", ""),), ("b", "y"): (("a", ""),), ("c", ""): (("b", "x"),)}
    before = {"a": 3.0, "b x": 6.0, "b y": 2.0, "c": 1.0}
    assert seconds_left(graph, before, {}, set(graph), 1) == 3 + 6 + 2 + 1
    assert seconds_left(graph, before, {}, set(graph), 2) == 3 + 6 + 1
    after = set(graph) - {("a", "")}
    assert seconds_left(graph, before, {("b", "x"): 2.0}, after, 2) == 4 + 1
    assert seconds_left(graph, before, {("b", "x"): 99.0}, after, 2) == 2
    assert seconds_left(graph, before, {}, set(), 2) == 0
    assert seconds_left(graph, {"a": 3.0}, {}, after, 2) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left(own_home: Path, number: signal.Signals) -> None:
    """Ctrl-C and a request to end give 130, say how to go on and leave no child; children of a killed one end too."""
    code = (
        "import sys\n"
        "from pipeline.cli import main\n"
        "import pipeline.steps\n"
        "from tests.unit.test_sequence import stub\n"
        "pipeline.steps.call_task = stub\n"
        "sys.exit(main())\n"
    )
    home = Home(own_home)
    command = [sys.executable, "-c", code, "run", "demo", "--run-id", "slow"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            pid = int(wait_for((home.run("slow") / "child").read_text))
            process.send_signal(number)
            process.send_signal(number)  # who is impatient ends no sooner, and leaves nothing behind either
            process.wait(PATIENCE)
        finally:
            process.kill()
        assert process.returncode == (-9 if number == signal.SIGKILL else 130)
        assert process.stderr is not None
        told = process.stderr.read()
        assert "Traceback" not in told
        assert told.count("The same command goes on from there: crosslift run demo --run-id slow\n") == (
            0 if number == signal.SIGKILL else 1
        )
    assert wait_for(lambda: "gone" if not alive(pid) else "")


def test_a_terminals_interrupt_reaches_all_and_one_answers(own_home: Path) -> None:
    """Ctrl-C goes to every process of the foreground, also to a task that is only starting: it prints no trace."""
    code = (
        "import pathlib, signal, sys, time\n"
        "from pipeline.cli import main\n"
        "if __name__ == '__main__': sys.exit(main())\n"
        "deaf = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())\n"
        f"pathlib.Path({str(begun := own_home.parent / 'begun')!r}).write_text('deaf' if deaf else 'hears')\n"
        "time.sleep(60)\n"  # a task that takes long to start
    )
    (own_home.parent / "program.py").write_text(code)
    command = [sys.executable, str(own_home.parent / "program.py"), "run", "demo", "--run-id", "starts"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert wait_for(begun.read_text) == "deaf"
            os.killpg(process.pid, signal.SIGINT)
            process.wait(PATIENCE)
        finally:
            process.kill()
        assert process.stderr is not None
        told = process.stderr.read()
        assert process.returncode == 130, told
        assert "Traceback" not in told
        assert told.startswith("crosslift: interrupted; every task has ended")


@pytest.mark.usefixtures("stubbed")
def test_an_interrupt_while_a_task_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C before the run took note of a task ends that task too; else leaving would wait for it."""

    def interrupted(run: Run, node: processes.Node, call: processes.Call, *, forked: bool) -> NoReturn:
        start_task(run, node, call, forked=forked)
        raise KeyboardInterrupt

    monkeypatch.setattr(sequence, "start_task", interrupted)
    run = started("slow")
    with pytest.raises(KeyboardInterrupt):
        sequence.run_graph(run, tasks.graph_of(run.scenario), stub, 1, lambda _: None)
    assert active_children() == []


@pytest.mark.usefixtures("stubbed")
@pytest.mark.parametrize(("call", "loaded"), [(stub, "TRAINED"), (stub_again, "ASKED")], ids=["news", "none"])
def test_what_is_loaded_ahead_is_what_will_be_needed(
    call: processes.Call, loaded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that ran before meets new tables: training is loaded once, not by each lane; else the registry is."""
    found: list[object] = []
    monkeypatch.setattr(sequence, "TRAINED", "TRAINED")
    monkeypatch.setattr(sequence, "ran_before", lambda run: True)
    monkeypatch.setattr(sequence, "ASKED", "ASKED")
    monkeypatch.setattr(sequence, "start_server", found.append)
    run = started("again")
    sequence.run_graph(run, tasks.graph_of(run.scenario), call, 2, lambda _: None)
    assert found == [loaded]


def unready(*_: object) -> None:
    """Be a task that has not come so far as to make its own process group."""
    time.sleep(PATIENCE)


@pytest.mark.usefixtures("stubbed")
def test_a_task_that_only_begins_ends_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may be so busy that a task has no group yet when it is to end."""
    monkeypatch.setattr(processes, "_work", unready)
    task: Task = start_task(started("slow"), ("ingest", ""), stub, forked=False)
    end_tasks()
    assert task.process.exitcode == -signal.SIGTERM


def wait_for(told: Callable[[], str]) -> str:
    """Ask until there is an answer."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if answer := told():
                return answer
        except FileNotFoundError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"no answer within {PATIENCE} s")


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
