"""The local stack without Airflow: processes, secrets, ports, and what the demo tells."""

import io
import os
import socket
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.errors import ConfigError
from pipeline.folders import Home, read_json
from pipeline.local.api import AirflowApi, ApiError, answers, get_json
from pipeline.local.demo import Watch, task_name
from pipeline.local.next_commands import next_commands
from pipeline.local.settings import Ports, choose_ports, dags_folder, environment, local_secrets, mlflow_environment
from pipeline.local.stack import mlflow_command


def test_secrets_are_made_once_and_private(own_home: Path) -> None:
    """Only the owner can read them, and a second start uses the same ones."""
    first = local_secrets(Home(own_home))
    assert local_secrets(Home(own_home)) == first
    assert len(set(first.values())) == 4
    for name in ("secrets.json", "passwords.json"):
        assert (own_home / "airflow" / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["secrets.json", "passwords.json"])
@pytest.mark.parametrize("torso", [None, ""], ids=["missing", "empty"])
def test_half_written_secrets_are_made_again(own_home: Path, name: str, torso: str | None) -> None:
    """A kill between or within the two files leaves a home that starts, with a password that Airflow knows."""
    local_secrets(Home(own_home))
    path = own_home / "airflow" / name
    path.unlink()
    if torso is not None:
        path.write_text(torso, encoding="utf-8")
    found = local_secrets(Home(own_home))
    assert read_json(own_home / "airflow" / "passwords.json") == {"admin": found["password"]}
    assert path.stat().st_mode & 0o777 == 0o600


def test_everything_lies_below_the_home(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the user's environment says, Airflow writes below CROSSLIFT_HOME and listens on this machine only."""
    monkeypatch.setenv("AIRFLOW_HOME", "/somewhere/else")
    found = environment(Home(own_home), Ports(8081, 5001), schedules=False)
    assert found["AIRFLOW_HOME"] == str(own_home / "airflow")
    assert str(own_home) in found["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert found["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert found["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8081/execution/"
    assert found["CROSSLIFT_SCHEDULES"] == "off"
    command = " ".join(mlflow_command(Home(own_home), Ports(8081, 5001)))
    assert f"sqlite:///{own_home}/mlflow/mlflow.db" in command
    assert "--host 127.0.0.1 --port 5001 " in command


def test_the_mlflow_server_gets_no_secret(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the key of the pseudonyms, not what scenarios name, not what Airflow's processes share; but what it needs."""
    for name in ("CROSSLIFT_KEY", "SHOP_PASSWORD", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, f"canary of {name}")
    monkeypatch.setenv("MLFLOW_SERVER_ALLOWED_HOSTS", "here")
    home = Home(own_home)
    everything = environment(home, Ports(8081, 5001), schedules=False)
    found = mlflow_environment(everything)
    keys = local_secrets(home)
    secret = [keys["fernet"], keys["jwt"], keys["api"], "canary", "airflow.db"]
    assert all(any(one in value for value in everything.values()) for one in secret)
    assert not [name for name, value in found.items() if any(one in value for one in secret)]
    assert not [name for name in found if name.startswith("AIRFLOW")]
    assert found["PATH"] == os.environ["PATH"]
    assert found["MLFLOW_SERVER_ALLOWED_HOSTS"] == "here"
    assert found["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_schedules_begin_a_day_before_the_first_start(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is kept for the home, whatever happens later; who wants no schedules at all can say so."""
    home, ports = Home(own_home), Ports(8081, 5001)
    monkeypatch.setenv("CROSSLIFT_SCHEDULES", "off")
    first = environment(home, ports, schedules=True)
    assert first["CROSSLIFT_SCHEDULES"] == "off"
    age = datetime.now(UTC) - datetime.fromisoformat(first["CROSSLIFT_SINCE"])
    assert timedelta(days=1) <= age < timedelta(days=1, minutes=5)
    kept = "2026-01-02T03:04:05+00:00"
    (own_home / "airflow" / "since.json").write_text(f'"{kept}"', encoding="utf-8")
    assert environment(home, ports, schedules=True)["CROSSLIFT_SINCE"] == kept


def test_a_taken_port_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that was asked for is never replaced silently."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("CROSSLIFT_AIRFLOW_PORT", str(port))
        with pytest.raises(ConfigError, match=rf"CROSSLIFT_AIRFLOW_PORT: port {port} is taken"):
            choose_ports()


@pytest.mark.parametrize("value", ["http", "0", "65536", "-1", "²"])
def test_a_port_must_be_a_port(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Everything but a number from 1 to 65535 is refused with the variable's name."""
    monkeypatch.setenv("CROSSLIFT_MLFLOW_PORT", value)
    with pytest.raises(ConfigError, match=r"CROSSLIFT_MLFLOW_PORT: expected a port from 1 to 65535"):
        choose_ports()


def test_the_servers_never_share_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Naming one port for both is an error, not a race."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    monkeypatch.setenv("CROSSLIFT_AIRFLOW_PORT", port)
    monkeypatch.setenv("CROSSLIFT_MLFLOW_PORT", port)
    with pytest.raises(ConfigError, match=r"CROSSLIFT_MLFLOW_PORT: port \d+ is taken"):
        choose_ports()


def test_the_dags_folder_is_found_or_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Beside the package in a checkout; elsewhere the message names the variable."""
    monkeypatch.delenv("AIRFLOW__CORE__DAGS_FOLDER", raising=False)
    assert (dags_folder() / "retrain.py").is_file()
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path))
    with pytest.raises(
        ConfigError, match=r"expected the folder with retrain\.py; name it by AIRFLOW__CORE__DAGS_FOLDER"
    ):
        dags_folder()


class _Refusing(BaseHTTPRequestHandler):
    """Logs anyone in, and refuses everything else with a reason."""

    def do_POST(self) -> None:
        self._answer(*((201, b'{"access_token": "t"}') if self.path == "/auth/token" else (400, b"seed: too small")))

    def do_GET(self) -> None:
        self._answer(404, b"no such thing")

    def _answer(self, code: int, body: bytes) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def test_a_refusal_of_the_api_reaches_the_user() -> None:
    """The reason that the API gives stands in the message; a page may be missing where that is normal."""
    with HTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        api = AirflowApi(url, "admin", "secret")
        with pytest.raises(ApiError, match=r"dags/retrain__demo/dagRuns: 400 seed: too small"):
            api.trigger("retrain__demo", {"seed": -1})
        assert not api.has_dag("retrain__demo")
        assert get_json(url) is None
        assert not answers(url)
        server.shutdown()


def test_every_change_is_told_once() -> None:
    """A lane has its name, a task that ended is not told again, and what runs stands in the last line."""
    output = io.StringIO()
    console = Console(file=output, width=100)
    done = {"task_id": "ingest", "state": "success", "duration": 1.25, "end_date": "1"}
    lane = {"task_id": "finetune_target.joint", "task_display_name": "joint", "state": "running"}
    with console.status("") as status:
        watch = Watch(console, status)
        watch.tell([done, lane])
        watch.tell([done, {**lane, "state": "failed", "duration": 3.0, "end_date": "2"}])
    text = output.getvalue()
    assert text.count("ingest") == 1
    assert "FAILED" in text
    assert text.count("finetune_target joint") == 1


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ({"task_id": "plan", "task_display_name": "plan"}, "plan"),
        ({"task_id": "fit_baseline.ease_and_source", "task_display_name": "ease+source"}, "fit_baseline ease+source"),
    ],
)
def test_a_task_has_a_readable_name(task: dict[str, object], name: str) -> None:
    """With the lane as the scenario spells it."""
    assert task_name(task) == name


def test_next_commands_name_a_home_of_ones_own(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied into the shell they find what the run left behind, wherever that is."""
    assert all(str(own_home) in command for command in next_commands(Home(own_home), "demo"))
    monkeypatch.delenv("CROSSLIFT_HOME")
    assert not any("CROSSLIFT_HOME" in command for command in next_commands(Home.from_env(), "demo"))
