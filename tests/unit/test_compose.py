"""The compose file and the image, read: every command exists, every variable is read by somebody, all names fit."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

ROOT = Path(__file__).parents[2]
Service = dict[str, Any]
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)(:[-?])?([^}]*)\}")
# Read by programs whose sources are no Python of ours to look into.
FOREIGN = {
    *("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"),  # the official image of PostgreSQL
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONUNBUFFERED", "PATH", "AIRFLOW_HOME"),
}
SYSTEM = {"sh", "set", "umask", "mkdir", "pg_isready"}  # of the shell, of Debian, of the image of PostgreSQL


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def package(name: str) -> Path:
    """Find where a package lies without importing it."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """Read the compose file, with its anchors resolved."""
    found: dict[str, Any] = yaml.safe_load(read("docker/compose.yaml"))
    return found


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Service]:
    found: dict[str, Service] = compose["services"]
    return found


@pytest.fixture(scope="module")
def image() -> str:
    return read("docker/Dockerfile")


def copies(image: str) -> dict[str, Path]:
    """List what the image copies from the repository: path below /app -> source."""
    found = {}
    for line in re.findall(r"^COPY (?!--)(.+)$", image, re.MULTILINE):
        *sources, target = line.split()
        for source in map(Path, sources):
            inside = Path("/app", target, *([source.name] if (ROOT / source).is_file() else []))
            found[str(inside)] = ROOT / source
    return found


def commands(service: Service, image: str) -> Iterator[list[str]]:
    """List what a service runs: its command, its health check, and the lines of a script among them."""
    for command in (service.get("command"), service.get("healthcheck", {}).get("test", [])[1:]):
        if command and command[0] == "sh":
            script = copies(image)[command[1]].read_text(encoding="utf-8").replace("\\\n", " ")
            lines = (shlex.split(line, comments=True) for line in script.splitlines())
            yield from ([word for word in words if word != "exec"] for words in lines if words)
        elif command:
            yield command


def test_every_command_exists(services: dict[str, Service], image: str) -> None:
    """Programs are commands of installed packages, modules can be found, and inline code is code."""
    scripts = {entry.name: entry for entry in entry_points(group="console_scripts")}
    seen = set()
    for name, service in services.items():
        for program, *arguments in commands(service, image):
            seen.add(program)
            if program == "python" and arguments[0] == "-c":
                compile(arguments[1], name, "exec")
            elif program == "python":
                assert arguments[0] == "-m"
                assert importlib.util.find_spec(arguments[1]), arguments[1]
            else:
                assert program in scripts or program in SYSTEM, f"{name}: {program}"
    assert seen >= {"python", "airflow", "mlflow", "pg_isready"}


def test_every_option_is_known(services: dict[str, Service], image: str) -> None:
    """Sub-commands and options stand in the sources of Airflow's and MLflow's command lines, which take long to ask."""
    known = {
        "airflow": [package("airflow") / "cli" / "cli_config.py"],
        "mlflow": [*(package("mlflow") / "cli").glob("*.py"), package("mlflow") / "utils" / "cli_args.py"],
    }
    checked = 0
    for name, service in services.items():
        for words in commands(service, image):
            program, *arguments = ["airflow", *words[3:]] if words[:2] == ["python", "-m"] else words
            if program not in known:
                continue
            text = "".join(path.read_text(encoding="utf-8") for path in known[program])
            for word, before in zip(arguments, ["", *arguments], strict=False):
                value = before.startswith("--") and not word.startswith("--")
                if not value:
                    assert f'"{word}"' in text or f"def {word}(" in text, f"{name}: {program} has no {word}"
                    checked += 1
    assert checked > 10


def test_every_variable_is_read(services: dict[str, Service], image: str) -> None:
    """Airflow, MLflow, Great Expectations, our code or a script knows each variable that is set, also by `make up`."""
    config = yaml.safe_load((package("airflow") / "config_templates" / "config.yml").read_text(encoding="utf-8"))
    options = {f"AIRFLOW__{section}__{key}".upper() for section in config for key in config[section]["options"]}
    mlflow = set(re.findall(r'"(MLFLOW_\w+)"', (package("mlflow") / "environment_variables.py").read_text("utf-8")))
    sources = [path for folder in ("pipeline", "dags") for path in (ROOT / folder).rglob("*.py")]
    ours = {name for path in sources for name in re.findall(r'"(CROSSLIFT_[A-Z_]+)"', path.read_text("utf-8"))}
    context = package("great_expectations") / "data_context" / "data_context" / "abstract_data_context.py"
    gx = set(re.findall(r"\bGX_[A-Z_]+\b", context.read_text("utf-8")))
    in_image = set(re.findall(r"\b([A-Z][A-Z_]+)=\S", image.rpartition("\nFROM ")[2]))
    assert in_image >= {"CROSSLIFT_HOME", "CROSSLIFT_DATA", "AIRFLOW__CORE__DAGS_FOLDER"}
    local = set(re.findall(r'"(AIRFLOW__\w+)"', read("pipeline/local/settings.py")))
    assert len(local) > 10
    for name, service in [("image", {"environment": in_image}), ("local", {"environment": local}), *services.items()]:
        scripts = {word for words in commands(service, image) for word in re.findall(r"[A-Z_]{5,}", " ".join(words))}
        unknown = set(service["environment"]) - options - mlflow - ours - gx - scripts - FOREIGN
        assert not unknown, name


def test_every_address_fits(services: dict[str, Service], image: str) -> None:
    """What one service asks of another has the other's name and port, and a health check asks its own service."""
    config = yaml.safe_load((package("airflow") / "config_templates" / "config.yml").read_text(encoding="utf-8"))
    [serve] = [words for words in commands(services["mlflow"], image) if words[0] == "mlflow"]
    ports = {
        "api-server": int(config["api"]["options"]["port"]["default"]),
        "scheduler": int(config["scheduler"]["options"]["scheduler_health_check_server_port"]["default"]),
        "mlflow": int(serve[serve.index("--port") + 1]),
    }
    for name, service in services.items():
        for port in service.get("ports", []):
            assert port.endswith(f":{ports[name]}"), name
        for text in (*map(" ".join, commands(service, image)), *service["environment"].values()):
            for host, port in re.findall(r"http://([a-z0-9.-]+):(\d+)", VARIABLE.sub("", text)):
                assert int(port) == ports[name if host == "127.0.0.1" else host], name
    database = services["postgres"]["environment"]
    address = urlsplit(
        VARIABLE.sub("secret", services["scheduler"]["environment"]["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    )
    assert (address.username, address.hostname) == (database["POSTGRES_USER"], "postgres")
    assert address.path == f"/{database['POSTGRES_DB']}"
    assert "mlflow:*" in services["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"]


def test_compose_has_the_known_shape(compose: dict[str, Any], services: dict[str, Service]) -> None:
    """Only keys that the compose specification knows, and every service can be started and asked for its health."""
    assert set(compose) <= {"name", "services", "volumes"} | {key for key in compose if key.startswith("x-")}
    known = {
        *("image", "build", "restart", "init", "security_opt", "cap_drop", "environment", "volumes"),
        *("command", "depends_on", "ports", "healthcheck"),
    }
    for name, service in services.items():
        assert set(service) <= known, name
        assert "image" in service, name
        assert ("healthcheck" in service) != (name == "migrate"), name
        for check in [service["healthcheck"]] if "healthcheck" in service else []:
            assert set(check) <= {"test", "interval", "timeout", "retries", "start_period"}
            assert check["test"][0] == "CMD"


def test_compose_names_only_what_exists(compose: dict[str, Any], services: dict[str, Service]) -> None:
    """Services that others wait for and volumes are defined, and the file of the build is there."""
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in services, name
            healthy = how["condition"] == "service_healthy"
            assert healthy == ("healthcheck" in services[other]), f"{name} waits for {other}"
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source.startswith("$") or source in compose["volumes"], volume
    assert (ROOT / services["mlflow"]["build"]["dockerfile"]).is_file()


def test_one_user_owns_the_home(services: dict[str, Service], image: str) -> None:
    """All that share the home are one image's user, so that its files need be readable by nobody else."""
    sharing = [service for service in services.values() if "home:/var/lib/crosslift" in service.get("volumes", [])]
    assert len(sharing) == len(services) - 1
    assert {service["image"] for service in sharing} == {"crosslift:local"}
    assert re.search(r"^USER crosslift$", image, re.MULTILINE)
    assert "install -d -m 0700 -o crosslift -g crosslift /var/lib/crosslift" in image
    assert "CROSSLIFT_HOME=/var/lib/crosslift" in image


def test_compose_listens_on_this_machine_only(services: dict[str, Service]) -> None:
    """Published ports are bound to 127.0.0.1; a proxy with TLS stands before them where others must reach them."""
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_example_is_complete_and_holds_no_secret() -> None:
    """Each variable of compose stands in the example with its default, and the other way round; secrets have none."""
    used = {name: (how, value) for name, how, value in VARIABLE.findall(read("docker/compose.yaml"))}
    offered = dict(re.findall(r"^([A-Z_]+)=(.*)$", read("docker/.env.example"), re.MULTILINE))
    assert set(used) == set(offered)
    required = {name for name, (how, _) in used.items() if how == ":?"}
    assert required >= {"POSTGRES_PASSWORD", "AIRFLOW_FERNET_KEY", "AIRFLOW_JWT_SECRET", "AIRFLOW_API_SECRET_KEY"}
    for name, (_, value) in used.items():
        assert offered[name] == ("" if name in required else value), name


def test_the_image_is_built_from_what_is_sent_to_it(image: str) -> None:
    """Every path that the Dockerfile copies exists and is let through by .dockerignore; nothing else is sent."""
    let_through = {line[1:] for line in read(".dockerignore").split() if line[0] == "!"}
    copied = {str(path.relative_to(ROOT)) for path in copies(image).values()}
    assert all((ROOT / path).exists() for path in copied)
    locks = {path for path in copied if path.endswith(".lock")}
    assert locks == {path.name for path in ROOT.glob("requirements*.lock")}
    assert copied - locks | {"requirements*.lock"} == let_through
    kept = dict(re.findall(r"^COPY --from=build (\S+) (\S+)$", image, re.MULTILINE))
    assert kept == {path: path for path in ("/app/venv", "/app/dags", "/app/bin")}
    assert "AIRFLOW__CORE__DAGS_FOLDER=/app/dags" in image
