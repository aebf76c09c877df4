"""The command line: exit codes, messages, and what it loads; steps are replaced by small ones."""

import json
import os
import signal
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli, steps
from pipeline.errors import CrossliftError, ExitCode, RefusedError, StorageError

Crosslift = Callable[..., tuple[int, str, str]]


@pytest.fixture
def crosslift(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Crosslift:
    """Give a function that runs a command and returns exit code, standard output and standard error."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["crosslift", *arguments])
        code = cli.main()
        for number, handler in before.items():
            signal.signal(number, handler)
        told = capfd.readouterr()
        return code, told.out, told.err

    return call


def test_help_is_quick_and_light(run_python: Callable[..., str]) -> None:
    """`crosslift --help` comes at once and loads nothing that computes, serves or checks.

    It takes half a second; a machine that is slowed down took 1.3 s of CPU for it.
    """
    heavy = ("torch", "pandas", "numpy", "mlflow", "great_expectations", "sqlalchemy", "pytorch_lightning", "airflow")
    code = (
        "import resource, sys\n"
        "sys.argv = ['crosslift', '--help']\n"
        "from pipeline.cli import main\n"
        "assert main() == 0\n"
        f"print('loaded', {{*{heavy}}} & set(sys.modules))\n"
        "print('seconds', resource.getrusage(resource.RUSAGE_SELF).ru_utime)\n"  # a busy machine does not count
    )
    told = run_python(code)
    for command in ("run", "step", "scenarios", "audit", "recommend", "models", "clean", "status"):
        assert command in told
    assert "loaded set()" in told
    assert float(told.rpartition("seconds")[2]) < 3


@pytest.mark.parametrize(
    "command",
    [
        ("run",),
        ("step",),
        ("audit",),
        ("recommend",),
        ("clean",),
        ("models", "show"),
        ("models", "why"),
        ("models", "compare"),
        ("scenarios", "check"),
        ("status",),
    ],
)
def test_every_command_explains_itself(crosslift: Crosslift, command: tuple[str, ...]) -> None:
    """Each command has a help text."""
    code, told, _ = crosslift(*command, "--help")
    assert code == 0
    assert "Usage:" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", "dmo"), "no scenario is called 'dmo'. Did you mean 'demo'?"),
        (("run", "demo", "--strategies", "finetune"), "demo has no strategy 'finetune'. Did you mean 'fine_tune'?"),
        (("run", "demo", "--strategies", "frozn"), "demo has no strategy 'frozn'. Did you mean 'frozen'?"),
        (("run", "demo", "--strategies", ""), "demo has no strategy ''"),
        (("run", "demo", "--epochs", "0"), "options: epochs: input should be greater than or equal to 1, got 0"),
        (("run", "demo", "--target-share", "1.5"), "options: target_share: input should be less than or equal to 1"),
        (("run", "demo", "--target-share", "nan"), "options: target_share: input should be"),
        (("run", "demo", "--seed", "-1"), "options: seed: input should be greater than or equal to 0"),
        (("run", "demo", "--seed", "x"), "Invalid value for '--seed'"),
        (("run", "demo", "--jobs", "0"), "Invalid value for '--jobs'"),
        (("run",), "Missing argument 'SCENARIO'"),
        (("runn", "demo"), "No such command 'runn'. Did you mean 'run'?"),
        (("run", "demo", "--strategis", "joint"), "No such option: --strategis"),
        (("step", "ingest", "demo", "--run", "absent"), "there is no run 'absent'; start one with `crosslift run"),
        (("audit", "demo", "--run", "absent"), "there is no run 'absent'"),
        (("recommend", "dmo", "--user", "u"), "no scenario is called 'dmo'"),
        (("recommend", "demo", "-k", "0"), "Invalid value for '-k'"),
        (("clean", "--keep-days", "0"), "Invalid value for '--keep-days'"),
        (("scenarios", "show", "dmo"), "Did you mean 'demo'?"),
        (("scenarios", "check", "absent.yaml"), "absent.yaml: expected a readable UTF-8 file"),
    ],
)
def test_user_errors(crosslift: Crosslift, own_home: Path, arguments: tuple[str, ...], told: str) -> None:
    """What a user got wrong is told on standard error in a message without a trace, with exit code 2."""
    code, out, err = crosslift(*arguments)
    assert code == ExitCode.USER_ERROR
    assert out == ""
    assert told in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err
    assert not own_home.exists()


def test_version(crosslift: Crosslift, own_home: Path) -> None:
    """That of the distribution, before any command and without a home."""
    assert crosslift("--version") == (0, f"{version('crosslift')}\n", "")
    assert not own_home.exists()


def test_status_of_nothing(crosslift: Crosslift, own_home: Path) -> None:
    """Nothing runs and nothing serves, which is no error; how to begin is told, and nothing is written."""
    code, told, err = crosslift("status")
    assert (code, err) == (0, "")
    assert told.startswith(f"Home     {own_home}\nAirflow and MLflow do not run; `make up` starts them.\n")
    assert "No model is registered yet; `crosslift run SCENARIO` registers one." in told
    found = json.loads(crosslift("status", "--json")[1])
    assert (found["runs"], found["airflow"], found["models"], found["last_runs"]) == (False, None, [], [])
    assert not own_home.exists()


def test_scenarios(crosslift: Crosslift, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenarios are listed, also broken ones, shown as YAML that is a scenario again, and checked."""
    monkeypatch.setenv("CROSSLIFT_SCENARIOS", str(tmp_path))
    (tmp_path / "broken.yaml").write_text("- <script>\x1b[31m")
    code, told, _ = crosslift("scenarios", "list")
    assert code == 0
    assert "grocer -> florist" in told
    assert "BROKEN" in told
    listed = json.loads(crosslift("scenarios", "list", "--json")[1])
    assert {one["name"] for one in listed if one["error"]} == {"broken"}
    shown = crosslift("scenarios", "show", "demo")[1]
    (tmp_path / "demo.yaml").write_text(shown)
    code, told, _ = crosslift("scenarios", "check", str(tmp_path / "demo.yaml"))
    assert code == 0
    assert "demo is a valid scenario with the lanes target_only, direct" in told
    assert json.loads(crosslift("scenarios", "show", "demo", "--json")[1])["target"] == "florist"
    assert json.loads(crosslift("scenarios", "schema")[1])["title"] == "Scenario"


def test_an_encoder_that_is_not_there(
    crosslift: Crosslift, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scenario that names one is refused by `check` and by `run`, before anything runs."""
    monkeypatch.setenv("CROSSLIFT_SCENARIOS", str(tmp_path))
    shown = json.loads(crosslift("scenarios", "show", "fake_reviews", "--json")[1])
    shown["model"] |= {"encoder": str(tmp_path / "nowhere")}
    (tmp_path / "reading.yaml").write_text(json.dumps({**shown, "name": "reading"}))  # JSON is YAML
    for command in (("scenarios", "check", str(tmp_path / "reading.yaml")), ("run", "reading")):
        code, told, error = crosslift(*command)
        assert (code, told) == (2, "")
        assert f"encoder: {tmp_path / 'nowhere'}" in error
    assert not [*own_home.glob("runs/*"), *own_home.glob("steps/*")]


def test_registry_that_is_empty(crosslift: Crosslift, own_home: Path) -> None:
    """Without a run there is no model, which is no error."""
    assert crosslift("models", "list")[:2] == (
        0,
        "No model is registered yet; `crosslift run SCENARIO` registers one.\n",
    )
    assert json.loads(crosslift("models", "list", "--json")[1]) == []
    assert not own_home.exists()


def test_steps_by_hand(crosslift: Crosslift) -> None:
    """`plan` starts a run and lists its lanes; a step that lacks its input, or its lane, says so."""
    planned = json.loads(crosslift("step", "plan", "demo", "--run", "r", "--json")[1])
    assert planned["adapt_domain"] == ["coral", "dann"]
    code, _, err = crosslift("step", "validate", "demo", "--run", "r")
    assert (code, err) == (
        1,
        "crosslift: run r: needs the result of ingest of grocer, which did not succeed in this run.\n",
    )
    code, _, err = crosslift("step", "adapt_domain", "demo", "--run", "r", "--name", "corl")
    assert code == ExitCode.USER_ERROR
    assert "adapt_domain of run r: expected a lane, one of coral, dann, got 'corl'." in err
    code, _, err = crosslift("step", "audit", "demo", "--run", "r", "--name", "x")
    assert "audit of run r: expected no lane, got 'x'." in err
    code, _, err = crosslift("step", "adit", "demo", "--run", "r")
    assert "step: expected one of plan, ingest, validate" in err
    code, _, err = crosslift("step", "ingest", "cross_category", "--run", "r")
    assert (code, err) == (2, "crosslift: run r: it is a run of 'demo', not of 'cross_category'.\n")


@pytest.mark.parametrize(
    ("error", "code"), [(RefusedError("rule"), 3), (StorageError("full"), 1), (CrossliftError("other"), 1)]
)
def test_exit_codes_of_errors(
    crosslift: Crosslift, monkeypatch: pytest.MonkeyPatch, error: CrossliftError, code: int
) -> None:
    """Each error of ours ends with its exit code and its message alone."""
    monkeypatch.setattr(steps, "call_task", raiser(error))
    crosslift("step", "plan", "demo", "--run", "r")
    assert crosslift("step", "ingest", "demo", "--run", "r") == (code, "", f"crosslift: {error}\n")


def raiser(error: BaseException) -> Callable[..., Any]:
    """Make a function that raises."""

    def fail(*_: Any) -> None:
        raise error

    return fail


def test_unexpected_errors(crosslift: Crosslift, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw is one line; the trace lies in the file that the line names."""
    monkeypatch.setattr(steps, "call_task", raiser(ZeroDivisionError("what\nelse")))
    crosslift("step", "plan", "demo", "--run", "r")
    code, out, err = crosslift("step", "ingest", "demo", "--run", "r")
    log = own_home / "logs" / "crosslift.log"
    assert (code, out) == (1, "")
    assert err == f"crosslift: ZeroDivisionError: what (unexpected; the trace is in {log})\n"
    assert log.read_text().startswith("$ crosslift step\nTraceback (most recent call last)")
    assert "in call_task" in log.read_text() or "in fail" in log.read_text()


def test_the_log_of_an_unexpected_error_names_nobody(
    crosslift: Crosslift, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an argument nor what an exception quotes is kept; whoever typed the command sees the message."""
    who = "ann@example.com"

    def fail(*_: Any) -> None:
        try:
            raise KeyError(who)
        except KeyError as error:
            raise ValueError(who) from error

    monkeypatch.setattr("pipeline.registry.lookup.model_folder", fail)
    code, _, err = crosslift("recommend", "demo", "--user", who, "-k", "7")
    assert code == 1
    assert f"ValueError: {who}" in err
    log = (own_home / "logs" / "crosslift.log").read_text()
    assert log.startswith("$ crosslift recommend\nTraceback")
    assert who not in log
    assert "demo" not in log
    assert "KeyError (message not kept)" in log
    assert "ValueError (message not kept)" in log
    assert log.count("in fail") == 2


def test_everything_is_for_the_owner_alone(
    crosslift: Crosslift, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the shell's umask is; a home that was open before is closed."""
    before = os.umask(0o022)
    try:
        crosslift("step", "plan", "demo", "--run", "r")
        monkeypatch.setattr(steps, "call_task", raiser(ZeroDivisionError()))
        crosslift("step", "ingest", "demo", "--run", "r")
        assert modes(own_home) == set()
        own_home.chmod(0o755)
        crosslift("models", "list")
        assert modes(own_home) == set()
    finally:
        os.umask(before)


def modes(folder: Path) -> set[str]:
    """Name what others than the owner may read, write or enter."""
    return {str(path) for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o077}


def test_unexpected_error_and_no_place_for_its_trace(
    crosslift: Crosslift, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the log cannot be written the line says that too."""
    monkeypatch.setattr(steps, "call_task", raiser(ZeroDivisionError("what")))
    crosslift("step", "plan", "demo", "--run", "r")
    (own_home / "logs").write_text("mine")
    code, _, err = crosslift("step", "ingest", "demo", "--run", "r")
    assert code == 1
    assert "its trace could not be written" in err


def test_interrupted(crosslift: Crosslift, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with 130, how to go on where there is something to go on with, and no trace."""
    monkeypatch.setattr(steps, "call_task", raiser(KeyboardInterrupt()))
    crosslift("step", "plan", "demo", "--run", "r")
    code, _, err = crosslift("step", "ingest", "demo", "--run", "r")
    assert code == 130
    again = "The same command goes on from there: crosslift step ingest demo --run r\n"
    assert err == f"crosslift: interrupted; every task has ended, and what was done is kept. {again}"
    monkeypatch.setattr("pipeline.registry.lookup.list_models", raiser(KeyboardInterrupt()))
    assert crosslift("models", "list") == (130, "", "crosslift: interrupted.\n")


def test_clean(crosslift: Crosslift, own_home: Path) -> None:
    """A dry run removes nothing; `--yes` does; without a word of the user nothing goes."""
    old = own_home / "work" / "one"
    old.mkdir(parents=True)
    (old / "checkpoint").write_text("abc")
    for path in (old, old / "checkpoint"):
        os.utime(path, (1e9, 1e9))
    dry = json.loads(crosslift("clean", "--dry-run", "--json")[1])
    assert dry["paths"] == [{"kind": "work", "path": "work/one", "size": 3}]
    assert (dry["bytes"], dry["removed"]) == (3, False)
    assert crosslift("clean")[0] == 1  # nobody is there to answer
    assert old.exists()
    code, told, _ = crosslift("clean", "--yes")
    assert (code, old.exists()) == (0, False)
    assert "1 of no use, 0.0 MB" in told
    assert "Removed." in told
