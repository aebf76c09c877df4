"""How a run gets on, as it is shown: plain lines for a log, a live line for each running task on a terminal."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cli import progress
from pipeline.cli.progress import Pace, Shown
from pipeline.config import Options
from pipeline.errors import StorageError
from pipeline.folders import Home
from pipeline.results import AUDIT, AuditFacts, Finding, StepResult
from pipeline.runs.graph import data_graph, graph_of
from pipeline.runs.processes import Outcome
from pipeline.runs.progress import Progress, keep_seconds, name_of
from pipeline.runs.run import Run
from pipeline.scenarios import load_scenario

ROOT = Path(__file__).parents[2]
FOUND = Finding(rule="small_part", where="florist", what="three rows", remedy="bring more")


@pytest.fixture
def run() -> Run:
    """Start a run of the demo scenario."""
    return Run.start(Home.from_env(), "shown", load_scenario("demo"), Options())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Give a clock that stands where it is put."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def epoch(number: int, epochs: int = 9) -> Progress:
    """Make what a training says after an epoch."""
    message = f"epoch {number} of {epochs}: train/loss 0.4"
    return Progress(step="finetune_target", lane="joint", message=message, epoch=number, epochs=epochs)


def test_plain_lines(run: Run, clock: list[float], capfd: pytest.CaptureFixture[str]) -> None:
    """A line for each task that ends; a long training speaks twice a minute at most; no control characters."""
    with Shown(run, graph_of(run.scenario), 2) as shown:
        shown(Progress(step="ingest"))
        shown(Progress(step="ingest", message="is not worth a line"))
        shown(Outcome(step="ingest", state="computed", seconds=3.21, notes=("a note",)))
        shown(Progress(step="finetune_target", lane="joint"))
        for number, seconds in enumerate((10.0, 29.0, 31.0, 45.0, 60.0, 62.0), start=1):
            clock[0] = 1000 + seconds
            shown(epoch(number))
        shown(Outcome(step="finetune_target", lane="joint", state="failed", seconds=70.0, message="[full] disk"))
        shown(Progress(step="evaluate"))
        shown(Outcome(step="evaluate", state="failed", seconds=1.0, message="with this the run ends"))
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "    3.2 s  computed  ingest",
        "           a note",
        "   31.0 s  running   finetune_target joint: epoch 3 of 9: train/loss 0.4",
        "   62.0 s  running   finetune_target joint: epoch 6 of 9: train/loss 0.4",
        "   70.0 s  failed    finetune_target joint",
        "           [full] disk",
        "    1.0 s  failed    evaluate",
    ]


def test_what_is_told_at_the_end_is_not_told_before(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    """A finding of the audit waits for the summary; where an error keeps that away it is told all the same."""
    facts = AuditFacts(test_rows=9, marked=0, kinds={}, findings=(FOUND,))
    told = {"step": "audit", "fingerprint": "f", "folder": "x", "manifest": "m", "reused": False}
    run.record(StepResult[AuditFacts](**told, facts=facts))
    ended = Outcome(step=AUDIT.name, state="computed", notes=(str(FOUND), "another"))
    for summed, error, seen in ((True, None, 0), (False, None, 1), (True, StorageError("full"), 1)):
        try:
            with Shown(run, data_graph(run.scenario), 1, summed) as shown:
                shown(Progress(step="audit"))
                shown(ended)
                if error:
                    raise error
        except StorageError:
            pass
        lines = capfd.readouterr().err
        assert lines.count(str(FOUND)) == seen
        assert lines.count("another") == 1


def test_pace() -> None:
    """Two epochs tell how long one takes; a training that goes on begins at a later one; none is less than nothing."""
    pace = Pace(0.0)
    assert pace.left(5.0) is None
    pace.note(4, 10, 30.0)
    assert pace.left(31.0) is None
    pace.note(6, 10, 50.0)
    assert pace.left(50.0) == 40.0
    assert pace.left(53.0) == 37.0
    assert pace.left(500.0) == 0.0


def test_the_rest_is_known_where_it_was_computed_before(run: Run, clock: list[float]) -> None:
    """Nothing is said before a task had to be computed, and nothing where of one nothing is known."""
    graph = data_graph(run.scenario)
    assert Shown(run, graph, 1)._rest() == ""
    keep_seconds(run, {name_of(node): 100.0 for node in graph})
    shown = Shown(run, graph, 1)
    shown(Progress(step="ingest"))
    shown(Outcome(step="ingest", state="reused"))
    assert shown._rest() == ""
    shown(Progress(step="validate"))
    shown(Outcome(step="validate", state="computed"))
    assert shown._rest() == "about 3:20 left"
    shown(Progress(step="prepare"))
    clock[0] += 35.0
    assert shown._rest() == "about 2:45 left"


LIVE = """
from pipeline.cli.progress import Shown
from pipeline.config import Options
from pipeline.folders import Home
from pipeline.runs.graph import graph_of
from pipeline.runs.processes import Outcome
from pipeline.runs.progress import Progress
from pipeline.runs.run import Run
from pipeline.scenarios import load_scenario

run = Run.start(Home.from_env(), "r", load_scenario("demo"), Options())
with Shown(run, graph_of(run.scenario), 2) as shown:
    shown(Progress(step="ingest"))
    shown(Outcome(step="ingest", state="computed", seconds=1.0))
    shown(Progress(step="finetune_target", lane="coral+fine_tune"))
    shown(Progress(step="fit_baseline", lane="ials"))
    for epoch in (1, 2, 3):
        shown(Progress(step="finetune_target", lane="coral+fine_tune", message=f"epoch {epoch} of 20: " + "long " * 40,
                       epoch=epoch, epochs=20))
    shown.bars.refresh()
"""


@pytest.mark.parametrize("width", [80, 140])
def test_live_lines(width: int, own_home: Path) -> None:
    """Each running task has one line that fits the terminal, with its epoch; what ended stands above."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "CROSSLIFT_HOME": str(own_home)}
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        environment.pop(name, None)
    with subprocess.Popen([sys.executable, "-c", LIVE], stderr=theirs, env=environment, cwd=ROOT) as process:
        os.close(theirs)
        written = b"".join(iter(lambda: _read(ours), b""))
        assert process.wait(600) == 0
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", text) if line.strip()]
    assert "    1.0 s  computed  ingest" in lines
    assert any(re.search(r"step 2 of 24 .*0:0\d", line) for line in lines), lines
    assert any(
        re.match(r"finetune_target coral\+fine_tune .*epoch 3 of 20 +0:00:\d\d +at most 0:\d\d left", line)
        for line in lines
    )
    assert any(line.startswith("fit_baseline ials ") for line in lines)
    assert max(map(len, lines)) <= width


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that the other side has closed
        return b""
