"""Services that stay up, with programs that only sleep: started again, found again, told apart, and ended."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from pipeline.cli import status
from pipeline.errors import ConfigError, UserError
from pipeline.folders import Home
from pipeline.local import __main__ as commands
from pipeline.local import services, supervisor
from pipeline.local.api import answers
from pipeline.local.processes import Process
from pipeline.local.services import Ended, recall, record, up_stack
from pipeline.local.settings import Ports
from pipeline.local.stack import Stack, StartError

Until = Callable[[Callable[[], Any], str], Any]
Died = Callable[[int], bool]
Starter = Callable[..., Stack]
SLEEP = [sys.executable, "-c", "import signal; signal.pause()"]
AIRFLOW_SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        parts = {name: {"status": "healthy", f"latest_{name}_heartbeat": Path(sys.argv[2]).read_text()}
                 for name in ("metadatabase", "scheduler", "dag_processor", "triggerer")}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(parts).encode())
HTTPServer(("127.0.0.1", int(sys.argv[1])), Health).serve_forever()
"""
NAMES = ("scheduler", "api-server")


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Starter]:
    """Give what starts a stack, with programs that sleep in place of Airflow and MLflow; none outlives the test."""
    monkeypatch.setitem(supervisor.PROGRAM, "startsecs", "0")
    monkeypatch.setattr(services, "make_database", lambda *arguments: None)
    monkeypatch.setattr("pipeline.registry.tracking.make_store", lambda home: None)
    monkeypatch.setattr(services, "programs", lambda names: dict.fromkeys(names, SLEEP))
    monkeypatch.setattr(services, "SERVICES", NAMES)
    started: list[Stack] = []
    begin = services.start_stack

    def kept(*arguments: object, **options: object) -> Stack:
        started.append(begin(*arguments, **options))  # type: ignore[arg-type]
        return started[-1]

    monkeypatch.setattr(services, "start_stack", kept)
    yield kept
    for stack in started:
        services.stop_stack(stack)


def pids(stack: Stack) -> dict[str, int]:
    """Read the process of each service from the supervisor."""
    found = supervisor._ask(stack.folder, "getAllProcessInfo")
    return {one["name"]: one["pid"] for one in found if one["pid"]}


def told(command: Callable[[Home, Console], None], home: Home) -> str:
    """Run a command and give what it printed."""
    output = io.StringIO()
    command(home, Console(file=output, soft_wrap=True))
    return output.getvalue()


def test_health_is_that_of_this_stack_now(
    start: Starter, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    """A sign of life of the scheduler before this one does not count, nor does the server of another home."""
    beat = tmp_path / "beat"
    beat.write_text("2026-01-01T00:00:00+00:00")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = [sys.executable, "-c", AIRFLOW_SERVER, str(port), str(beat)]
    monkeypatch.setattr(services, "programs", lambda names: dict.fromkeys(names, SLEEP) | {"api-server": server})
    stack = start(Home(own_home), services.AIRFLOW, Ports(port, 5001), schedules=False)
    until(lambda: answers(stack.ports.airflow_url), "the start of the server")
    assert not stack.healthy()
    beat.write_text(datetime.now(UTC).isoformat())
    assert stack.healthy()
    assert not replace(stack, supervisor=Process.of(os.getpid())).healthy()


def test_what_dies_is_started_again(start: Starter, own_home: Path, until: Until) -> None:
    """On its own, beside the others, which stay; how it died is told."""
    stack = start(Home(own_home), NAMES, Ports(8081, 5001), schedules=True)
    before = until(lambda: len(found := pids(stack)) == len(NAMES) and found, "the start")
    os.kill(before["scheduler"], signal.SIGKILL)
    after = until(
        lambda: (found := pids(stack)).get("scheduler", 0) not in (0, before["scheduler"]) and found, "a new one"
    )
    assert after["api-server"] == before["api-server"]
    assert supervisor.deaths(own_home / "logs", "scheduler") == ["terminated by SIGKILL"]
    assert supervisor.deaths(own_home / "logs", "api-server") == []
    found = up_stack(Home(own_home))
    assert (found.stack, found.lost, found.fresh, found.again) == (stack, None, False, ())


def test_what_was_given_up_is_said_and_started_anew(
    start: Starter, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    """A service that dies at each start ends the waiting with its name and log; `up` tries it again, alone."""
    ready = tmp_path / "ready"
    needy = (
        f"import signal, sys; from pathlib import Path; Path({str(ready)!r}).exists() or sys.exit(3); signal.pause()"
    )
    monkeypatch.setitem(supervisor.PROGRAM, "startsecs", "60")
    monkeypatch.setitem(supervisor.PROGRAM, "startretries", "1")
    monkeypatch.setattr(
        services, "programs", lambda names: dict(zip(NAMES, ([sys.executable, "-c", needy], SLEEP), strict=True))
    )
    stack = start(Home(own_home), NAMES, Ports(8081, 5001), schedules=True)
    with pytest.raises(
        StartError, match=rf"scheduler died again and again and was given up.*{own_home}/logs/scheduler"
    ):
        services.wait_until_healthy(stack)
    assert supervisor.deaths(own_home / "logs", "scheduler") == ["exit status 3"] * 2
    other = pids(stack)
    assert set(other) == {"api-server"}
    ready.touch()
    found = up_stack(Home(own_home))
    assert (found.stack, found.fresh, found.again) == (stack, False, ("scheduler",))
    now = until(lambda: len(found := pids(stack)) == 2 and found, "the new start")
    assert now["api-server"] == other["api-server"]


@pytest.mark.parametrize(("number", "listens"), [(signal.SIGKILL, False), (signal.SIGSTOP, True)])
def test_a_lost_supervisor_is_replaced(
    start: Starter,
    number: signal.Signals,
    listens: bool,
    monkeypatch: pytest.MonkeyPatch,
    until: Until,
    died: Died,
) -> None:
    """Killed or standing still: what it left is ended, and all starts anew on the same ports."""
    home = Home.from_env()
    monkeypatch.setattr(supervisor, "ANSWER_SECONDS", 0.5)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stack = start(home, NAMES, Ports(port, 5001), schedules=True)
    before = until(lambda: len(found := pids(stack)) == len(NAMES) and found, "the start")
    os.kill(stack.supervisor.pid, number)
    found = up_stack(home)
    assert found.lost
    assert found.lost.processes in (len(NAMES), len(NAMES) + 1)
    assert found.fresh
    assert all(died(pid) for pid in (*before.values(), stack.supervisor.pid))
    assert found.stack.ports.airflow == port
    assert recall(home) == found.stack != stack
    assert not stack.folder.exists()
    assert ("received SIGTERM" in (home.root / "logs" / "supervisor.log").read_text()) == listens


def test_down_says_what_it_ended(start: Starter, own_home: Path, until: Until, died: Died) -> None:
    """By name what ran; a number where the supervisor was dead already; then nothing is left, also no file."""
    home = Home(own_home)
    assert told(commands.down, home) == "Nothing was running.\n"
    stack = start(home, NAMES, Ports(8081, 5001), schedules=True)
    ran = until(lambda: len(found := pids(stack)) == len(NAMES) and found, "the start")
    assert told(commands.down, home) == "Ended: api-server, scheduler.\n"
    assert all(died(pid) for pid in ran.values())
    assert not record(home).exists()
    assert not stack.folder.exists()
    stack = start(home, NAMES, Ports(8081, 5001), schedules=True)
    until(lambda: len(pids(stack)) == len(NAMES), "the start")
    os.kill(stack.supervisor.pid, signal.SIGKILL)
    assert "earlier: 2 processes that were left are ended now" in told(commands.down, home)
    assert told(commands.down, home) == "Nothing was running.\n"


def test_up_on_what_runs_tells_it(
    start: Starter, own_home: Path, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    """Since when each service runs, how one died before, and the addresses; then all of it still runs."""
    monkeypatch.setattr(commands, "wait_until_healthy", lambda stack: None)
    home = Home(own_home)
    first = told(commands.up, home)
    assert re.search(r"^scheduler +started 2\d{3}-\d\d-\d\d \d\d:", first, re.MULTILINE)
    stack = recall(home)
    assert stack
    before = pids(stack)
    os.kill(before["scheduler"], signal.SIGKILL)
    until(lambda: pids(stack).get("scheduler", 0) not in (0, before["scheduler"]), "a new one")
    again = told(commands.up, home)
    assert re.search(
        r"^scheduler +runs since .*, after it had died \(terminated by SIGKILL\); see .*log$", again, re.MULTILINE
    )
    assert re.search(r"^api-server +runs since [-0-9: ]+$", again, re.MULTILINE)
    assert f"http://127.0.0.1:{stack.ports.airflow}  user admin" in again
    assert pids(stack)["api-server"] == before["api-server"]
    seen = status._services(home)
    assert (seen["runs"], seen["airflow"], seen["down"]) == (True, stack.ports.airflow_url, {})
    assert f"user {seen['user']}, password {seen['password']}" in again
    told(commands.down, home)
    assert not status._services(home)["runs"]


def test_a_failed_start_leaves_nothing(start: Starter, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `up` started ends if it does not get healthy, or at Ctrl-C; what ran before it stays."""

    def interrupt(stack: Stack) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "wait_until_healthy", interrupt)
    home = Home(own_home)
    with pytest.raises(KeyboardInterrupt):
        told(commands.up, home)
    assert recall(home) is None
    stack = start(home, NAMES, Ports(8081, 5001), schedules=True)
    with pytest.raises(KeyboardInterrupt):
        told(commands.up, home)
    assert recall(home) == stack
    assert stack.supervisor.is_alive()


def test_homes_are_told_apart(start: Starter, own_home: Path, tmp_path: Path) -> None:
    """Ending one leaves the other; a copy of a home owns nothing; a taken port names the home that has it."""
    first, second = Home(own_home), Home(tmp_path / "second")
    stacks = [start(home, NAMES, Ports(8081, 5001), schedules=True) for home in (first, second)]
    copy = Home(tmp_path / "copy")
    copy.root.mkdir()
    record(copy).write_bytes(record(first).read_bytes())
    for home in (copy, second):
        told(commands.down, home)
    assert not stacks[1].supervisor.is_alive()
    assert not stacks[0].is_lost()


def test_a_demo_keeps_its_home_while_it_lives(
    start: Starter, own_home: Path, stranger: subprocess.Popen[bytes]
) -> None:
    """`up` leaves its services alone; once the demo was killed, the next command ends them."""
    home = Home(own_home)
    stack = start(home, NAMES, Ports(8081, 5001), schedules=False, owner=Process.of(stranger.pid))
    with pytest.raises(UserError, match=rf"`make demo` runs in this home \(process {stranger.pid}\)"):
        up_stack(home)
    stranger.kill()
    stranger.wait()
    found = up_stack(home)
    assert found.lost
    assert found.fresh
    assert not stack.supervisor.is_alive()
    with (
        pytest.raises(UserError, match="its services run already; end them with `make down`"),
        services.demo_stack(home),
    ):
        pytest.fail("it was entered")
    assert not found.stack.is_lost()


def test_what_is_set_otherwise_is_taken(
    start: Starter, own_home: Path, monkeypatch: pytest.MonkeyPatch, until: Until, died: Died
) -> None:
    """Another folder, key or port starts all anew and is named, its value is not; the same settings change nothing."""
    monkeypatch.setattr(commands, "wait_until_healthy", lambda stack: None)
    monkeypatch.setenv("CROSSLIFT_KEY", "a key of the evening")
    monkeypatch.delenv("CROSSLIFT_DATA", raising=False)
    home = Home(own_home)
    first = up_stack(home).stack
    before = until(lambda: len(found := pids(first)) == len(NAMES) and found, "the start")
    monkeypatch.setenv("SOMETHING_ELSE", "1")
    assert up_stack(home).stack == first
    monkeypatch.setenv("CROSSLIFT_DATA", "/data/shop")
    monkeypatch.setenv("CROSSLIFT_KEY", "a key of the morning")
    output = told(commands.up, home)
    assert "Started anew, with another CROSSLIFT_DATA, CROSSLIFT_KEY; what ran of tasks is tried again.\n" in output
    assert "a key of" not in output
    second = recall(home)
    assert second
    assert second.ports == first.ports
    assert all(died(pid) for pid in (*before.values(), first.supervisor.pid))
    environment = psutil.Process(second.supervisor.pid).environ()
    assert (environment["CROSSLIFT_DATA"], environment["CROSSLIFT_KEY"]) == ("/data/shop", "a key of the morning")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.listen()
        monkeypatch.setenv("CROSSLIFT_MLFLOW_PORT", str(port))
        with pytest.raises(ConfigError, match=rf"CROSSLIFT_MLFLOW_PORT: port {port} is taken by .* run on\."):
            up_stack(home)
        assert not second.is_lost()
    found = up_stack(home)
    assert (found.changed, found.stack.ports.mlflow) == (("CROSSLIFT_MLFLOW_PORT",), port)
    assert up_stack(home).stack == found.stack


def test_what_an_earlier_version_left_is_ended(own_home: Path, stranger: subprocess.Popen[bytes], died: Died) -> None:
    """Before there was a supervisor, each service led a session of its own."""
    own_home.mkdir()
    old = {"name": "scheduler", "pid": stranger.pid, "started": psutil.Process(stranger.pid).create_time()}
    other = {"name": "mlflow", "pid": os.getpid(), "started": 1.0}  # this pid was given out again
    record(Home(own_home)).write_text(json.dumps([old, other]))
    assert services.end_lost(Home(own_home)) == Ended(services.USUAL, (), 1)
    assert died(stranger.pid)
    assert services.end_lost(Home(own_home)) is None


def test_services_are_started_by_their_supervisor_only(start: Starter, own_home: Path) -> None:
    """Whoever starts one by hand is told how to, and no process is harmed."""
    stack = start(Home(own_home), NAMES, Ports(8081, 5001), schedules=True)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.local.launch", "scheduler"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "services are started by `make up` and `make demo` only\n"
    assert not stack.is_lost()
