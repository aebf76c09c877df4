"""Processes that outlive their starter: found again, told apart, and ended."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.local import processes
from pipeline.local.processes import Process
from pipeline.local.settings import holder_of

Until = Callable[[Callable[[], Any], str], Any]
Died = Callable[[int], bool]
# A service like the scheduler: a child in a process group of its own, and neither of them listens when asked to end.
STUBBORN = """
import signal, subprocess, sys
wait = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
child = subprocess.Popen([sys.executable, "-c", wait], process_group=0, stdout=subprocess.PIPE)
child.stdout.readline()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
signal.pause()
"""
# Leads a session, has a child, and that one a child in a group of its own.
FAMILY = """
import signal, subprocess, sys
code = "import os, signal, subprocess, sys; print(os.getpid(), end=' ', flush=True);"
code += "subprocess.Popen([sys.executable, '-c', sys.argv[1]], process_group=0); signal.pause()"
subprocess.Popen([sys.executable, "-c", code, "import os, signal; print(os.getpid(), flush=True); signal.pause()"])
signal.pause()
"""


LISTEN = """
import signal, socket
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
signal.pause()
"""


def test_the_end_of_a_session_leaves_no_process(
    tmp_path: Path, stranger: subprocess.Popen[bytes], until: Until, died: Died
) -> None:
    """Service and child end, although the child has its own group and both ignore the first signal."""
    log = tmp_path / "log"
    with processes.held([sys.executable, "-c", STUBBORN], os.environ, log) as leader:
        pass
    until(lambda: log.read_text() == "ready\n", "the start")
    members = [process.pid for process in leader.session()]
    assert len(members) == 2
    assert leader.is_alive()
    assert processes.end(leader, grace=0.2) == 2
    assert all(died(pid) for pid in members)
    assert not leader.is_alive()
    assert processes.end(leader, grace=0.2) == 0
    assert stranger.poll() is None


def test_a_stranger_with_the_same_pid_is_left_alone(stranger: subprocess.Popen[bytes]) -> None:
    """A pid that was given out again since then is told by its start, and by that of the machine."""
    ours = Process.of(stranger.pid)
    assert ours.is_alive()
    assert [process.pid for process in ours.session()] == [stranger.pid]
    for other in (replace(ours, started=ours.started - 1), replace(ours, boot="another")):
        assert not other.is_alive()
        assert other.session() == []
        assert processes.end(other, grace=0.0) == 0
    assert stranger.poll() is None


def test_whoever_lost_the_line_to_the_leader_is_an_orphan(tmp_path: Path, until: Until, died: Died) -> None:
    """The child of a killed child is one, although it is in a group of its own; nobody else of the session is."""
    log = tmp_path / "log"
    with processes.held([sys.executable, "-c", FAMILY], os.environ, log) as leader:
        pass
    child, grandchild = map(int, until(lambda: re.findall(r"(\d+) (\d+)\n", log.read_text()), "the start")[0])
    assert len(leader.session()) == 3
    assert leader.orphans() == []
    os.kill(child, signal.SIGKILL)
    until(lambda: died(child), "the end of the child")
    assert [process.pid for process in leader.orphans()] == [grandchild]
    processes.kill(leader.orphans)
    assert died(grandchild)
    assert leader.is_alive()
    processes.end(leader, grace=5)


def test_nothing_runs_that_was_not_written_down(tmp_path: Path, until: Until, died: Died) -> None:
    """A command that is killed, or fails, before it wrote the program down leaves none that begins."""
    begun = tmp_path / "begun"
    program = ["/usr/bin/touch", str(begun)]
    code = f"""
import os, signal, sys
from pathlib import Path
from pipeline.local.processes import held
with held({program!r}, os.environ, Path({str(tmp_path / "log")!r})) as process:
    print(process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    until(lambda: died(int(done.stdout)), "the end of what waited")
    with suppress(ZeroDivisionError), processes.held(program, os.environ, tmp_path / "log") as process:
        raise ZeroDivisionError
    until(lambda: died(process.pid), "the end of what waited")
    assert not begun.exists()
    with processes.held(program, os.environ, tmp_path / "log"):
        assert not begun.exists()
    until(begun.exists, "the start")


def test_a_taken_port_names_its_home(tmp_path: Path, until: Until) -> None:
    """A listener of one of our stacks is told by the supervisor that leads its session."""
    log = tmp_path / "log"
    parent = [
        sys.executable,
        "-c",
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {LISTEN!r}], env={{}})",
    ]
    with processes.held(parent, {**os.environ, "CROSSLIFT_HOME": "/somewhere/else"}, log) as leader:
        pass
    port = int(until(lambda: re.findall(r"(\d+)\n", log.read_text()), "the start")[0])
    assert re.fullmatch(r"process \d+ of the home /somewhere/else", holder_of(port))
    processes.end(leader, grace=5)
    assert holder_of(port) == "another program"
