"""The compose stack where no container engine is at hand: its services as processes, through one nightly run.

    python docker/rehearse.py FOLDER     # makes FOLDER; needs bubblewrap and postgresql of Debian, and no rights

Each service runs its own command as the image's user, with the image's environment and its own and no capabilities,
in a view of the disk that holds what the Dockerfile copies and the service's volumes, and in a network where services
go by their names. A variable of `.env` is taken from the environment, else from the example, else made up.

Crosslift is installed from its wheel; the libraries are those of the environment that runs this file. So this does not
show the base images, and how the locks install there.
"""

import base64
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from pipeline.local.api import AirflowApi

ROOT = Path(__file__).parents[1]
INSIDE = "--inside"
USER, UID = "crosslift", "10001"  # of the image
PATIENCE = 3600.0  # seconds; bounds only what never happens
DAG = "retrain__demo"

# The commands that installing the libraries would have made.
COMMANDS = """
import sys
from importlib.metadata import entry_points
from pathlib import Path
for entry in entry_points(group="console_scripts"):
    file = Path(sys.prefix, "bin", entry.name)
    call = f"import sys\\nfrom {entry.module} import {entry.attr}\\nsys.exit({entry.attr}())\\n"
    file.write_text(f"#!{sys.executable}\\n{call}")
    file.chmod(0o755)
"""
# What PostgreSQL's official image does with its three variables.
POSTGRES = """
set -eu
PATH=$(ls -d /usr/lib/postgresql/*/bin | sort --version-sort | tail -n 1):$PATH
cd /var/lib/postgresql/data
echo "$POSTGRES_PASSWORD" > /tmp/password
initdb --pgdata . --username "$POSTGRES_USER" --pwfile /tmp/password --auth scram-sha-256 --encoding UTF8 --no-locale
echo "CREATE DATABASE \\"$POSTGRES_DB\\";" | postgres --single -D . postgres
exec postgres -D . -c 'listen_addresses=*' -c unix_socket_directories=
"""
# Another process finds tonight's champion through the server, and asks it.
LOOK_UP = """
import mlflow, pandas
model = mlflow.pyfunc.load_model("models:/crosslift.demo@champion")
print(model.predict(pandas.DataFrame({"user_id": ["a stranger"]}), params={"k": 3}).to_string(index=False))
"""


class Stack:
    """The services of the compose file, below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._began = time.monotonic()
        text = read("docker/compose.yaml")
        example = dict(re.findall(r"^([A-Z_]+)=(.*)$", read("docker/.env.example"), re.MULTILINE))
        made = {name: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode() for name in required(text)}
        places = {f"CROSSLIFT_{name}_FOLDER": str(folder / name.lower()) for name in ("DATA", "SCENARIOS")}
        since = {"CROSSLIFT_SINCE": datetime.now(UTC).isoformat()}  # so that the run we trigger is the only one
        self.variables = {**example, **made, **places, **since}
        self.variables |= {name: os.environ[name] for name in self.variables if name in os.environ}
        self.services: dict[str, Any] = yaml.safe_load(text)["services"]

    def tell(self, what: str) -> None:
        """Print what happened, and when."""
        print(f"{time.monotonic() - self._began:7.1f} s  {what}", flush=True)

    def start(self, service: str) -> None:
        """Start a service once what it depends on is as far as it says."""
        spec = self.services[service]
        for other, how in spec.get("depends_on", {}).items():
            self.wait(other, self.healthy if how["condition"] == "service_healthy" else self.done)
        command = self._inside(service, spec.get("command") or ["sh", "-c", POSTGRES])
        with self._log(service).open("wb") as log:
            self.running[service] = subprocess.Popen(
                command, env=self._environment(service), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        self.tell(f"{service} starts")

    def done(self, service: str) -> bool:
        """Whether a service did what it had to and ended."""
        return self.running[service].poll() == 0

    def healthy(self, service: str) -> bool:
        """Whether a service passes its health check."""
        return self.run(service, self.services[service]["healthcheck"]["test"][1:]).returncode == 0

    def run(self, service: str, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """Run a command beside a service, as `docker compose exec` does."""
        inside, environment = self._inside(service, command), self._environment(service)
        return subprocess.run(inside, env=environment, capture_output=True, text=True, check=False)

    def wait(self, service: str, ready: Callable[[str], bool]) -> None:
        """Return when something that a service does is ready; exit where it never will be."""
        deadline = time.monotonic() + PATIENCE
        while not ready(service):
            failed = [name for name, process in self.running.items() if process.poll()]
            if failed or time.monotonic() > deadline:
                last = self._log((*failed, service)[0]).read_text(encoding="utf-8", errors="replace")[-4000:]
                sys.exit(f"{last}\n{' and '.join(failed) or service} failed; logs and volumes are in {self.folder}.")
            time.sleep(1)

    def _log(self, service: str) -> Path:
        return self.folder / f"{service}.log"

    def _environment(self, service: str) -> dict[str, str]:
        own = {name: self._filled(value) for name, value in self.services[service]["environment"].items()}
        return {**image_environment(), **own}

    def _filled(self, text: str) -> str:
        return re.sub(r"\$\{([A-Z_]+)[^}]*\}", lambda found: self.variables[found[1]], text)

    def _inside(self, service: str, command: Sequence[str]) -> list[str]:
        """Put a command into the view of the disk that the service's container would have."""
        mounts = []
        for volume in self.services[service].get("volumes", []):
            source, target, *mode = self._filled(volume).split(":")
            place = self.folder / "volumes" / source  # of a named volume; what is a path stays one
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            mounts += ["--ro-bind" if mode == ["ro"] else "--bind", str(place), target]
        for source, target in re.findall(r"^COPY --from=build (\S+) (\S+)$", read("docker/Dockerfile"), re.MULTILINE):
            mounts += ["--ro-bind", f"{self.folder}{source}", target]
        return [*view(self.folder), *mounts, "--unshare-uts", "--hostname", service, *command]


def read(path: str) -> str:
    """Read a file of the repository."""
    return (ROOT / path).read_text(encoding="utf-8")


def required(compose: str) -> list[str]:
    """Find the variables without which compose would not start."""
    return re.findall(r"\$\{([A-Z_]+):\?", compose)


def image_environment() -> dict[str, str]:
    """Read the environment that the Dockerfile's last stage sets."""
    [block] = re.findall(r"^ENV ((?:.*\\\n)*.*)$", read("docker/Dockerfile").rpartition("\nFROM ")[2], re.MULTILINE)
    found = dict(re.findall(r"([A-Z_]+)=(\S+)", block))
    return {**found, "PATH": found["PATH"].replace("$PATH", "/usr/bin:/bin"), "HOME": f"/home/{USER}"}


def view(folder: Path) -> list[str]:
    """Begin a command in a view of the disk that holds the system, the Python interpreter and the libraries."""
    libraries = str(Path(yaml.__file__).parents[1])  # one of them tells where all are
    fresh = [part for place in ("/tmp", f"/home/{USER}") for part in ("--tmpfs", place)]  # noqa: S108  each has its own
    links = [part for name in ("bin", "lib", "lib64", "sbin") for part in ("--symlink", f"usr/{name}", f"/{name}")]
    named = [part for name in ("hosts", "passwd") for part in ("--ro-bind", str(folder / name), f"/etc/{name}")]
    system = [part for place in ("/usr", "/etc", sys.base_prefix) for part in ("--ro-bind", place, place)]
    own = ["--unshare-pid", "--die-with-parent", "--proc", "/proc", "--dev", "/dev"]
    return ["bwrap", *own, *system, *links, *named, *fresh, "--ro-bind", libraries, "/libraries"]


def build(folder: Path) -> None:
    """Do what the Dockerfile does, but for its base images and locks: copy, make an environment, install the wheel."""
    for line in re.findall(r"^COPY (?!--)(.+)$", read("docker/Dockerfile"), re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            if (ROOT / source).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / source, folder / "app" / target, ignore=ignored)
            else:
                (folder / "app" / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, folder / "app" / target)
    inside = [*view(folder), "--bind", str(folder / "app"), "/app", "--chdir", "/app"]
    packages = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    borrow = ["sh", "-c", f"echo /libraries > /app/venv/{packages}/libraries.pth"]
    install = ["pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--ignore-installed", "."]
    python = "/app/venv/bin/python"
    for command in (
        [f"{sys.base_prefix}/bin/python3", "-m", "venv", "--without-pip", "/app/venv"],
        borrow,
        [python, "-c", COMMANDS],
        [python, "-m", *install],
    ):
        subprocess.run([*inside, *command], env=image_environment(), check=True)


def rehearse(stack: Stack) -> None:
    """Start the services in their order, run one night, and look up what it promoted."""
    build(stack.folder)
    stack.tell("Crosslift is installed from its wheel")
    for service in TopologicalSorter(
        {name: spec.get("depends_on", ()) for name, spec in stack.services.items()}
    ).static_order():
        stack.start(service)
    for service, spec in stack.services.items():
        if "healthcheck" in spec:
            stack.wait(service, stack.healthy)
            stack.tell(f"{service} is healthy")
    api = AirflowApi("http://api-server:8080", "admin", stack.variables["AIRFLOW_ADMIN_PASSWORD"])
    stack.wait("dag-processor", lambda _: api.has_dag(DAG))
    run_id = api.trigger(DAG, {})
    api.pause(DAG, paused=False)
    stack.tell(f"{DAG} runs as {run_id}")
    stack.wait("scheduler", lambda _: api.state(DAG, run_id) in ("success", "failed"))
    for task in api.tasks(DAG, run_id):
        stack.tell(f"{task['task_id']} {task.get('rendered_map_index') or ''}: {task['state']}")
    if api.state(DAG, run_id) == "failed":
        sys.exit(f"{DAG} failed; the logs of its tasks are below {stack.folder}/volumes/home/airflow/logs.")
    found = stack.run("scheduler", ["python", "-c", LOOK_UP])
    if found.returncode != 0:
        sys.exit(f"{found.stderr}\nThe champion does not answer.")
    stack.tell(f"the champion answers:\n{found.stdout}")
    ill = [name for name, spec in stack.services.items() if "healthcheck" in spec and not stack.healthy(name)]
    if ill:
        sys.exit(f"Not healthy any more: {', '.join(ill)}.")
    stack.tell("all are healthy; the rehearsal ends")


def enter(folder: Path) -> int:
    """Run this file again as the image's user, with a network and processes of its own that end with it."""
    missing = [program for program in ("bwrap", "pg_isready") if not shutil.which(program)]
    if missing:
        sys.exit(f"{', '.join(missing)}: not found; `apt-get install bubblewrap postgresql`.")
    folder.mkdir(parents=True)
    names = enumerate(["localhost", *Stack(folder).services], start=1)
    hosts = "".join(f"127.0.0.{place} {name}\n" for place, name in names)
    (folder / "hosts").write_text(hosts, encoding="utf-8")
    (folder / "passwd").write_text(f"{USER}:x:{UID}:{UID}::/home/{USER}:/bin/sh\n", encoding="utf-8")
    own = ["--unshare-user", "--uid", UID, "--gid", UID, "--unshare-net", "--unshare-pid", "--die-with-parent"]
    disk = ["--dev-bind", "/", "/", "--proc", "/proc", "--ro-bind", str(folder / "hosts"), "/etc/hosts"]
    again = [sys.executable, __file__, str(folder), INSIDE]
    return subprocess.run(["bwrap", *own, *disk, *again], check=False).returncode


def main() -> int:
    """Rehearse below the folder that is named."""
    if len(sys.argv) < 2:
        sys.exit("usage: python docker/rehearse.py FOLDER")
    folder = Path(sys.argv[1]).resolve()
    if sys.argv[2:] != [INSIDE]:
        return enter(folder)
    rehearse(Stack(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
