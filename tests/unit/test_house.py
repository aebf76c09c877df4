"""Rules of the house that no linter knows: the lock files, the compose stack, the layout."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-torch.lock", "requirements-cuda.lock")
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)")


def pins(lock: str) -> dict[str, set[str]]:
    """Read the versions of each distribution in a lock file: more than one where Python versions differ."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
        if match := PIN.match(line):
            found.setdefault(canonicalize_name(match["name"]), set()).add(match["version"])
    return found


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """Read pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """Read the compose file, with its anchors resolved."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_the_compromised_distribution(lock: str) -> None:
    """Two releases of `lightning` were malware; `pytorch-lightning` is the one we use."""
    assert "lightning" not in pins(lock)


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_hold_hashes_and_no_addresses(lock: str) -> None:
    """Every pin has a hash, and no address and no path of a machine stands in a lock."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert not re.search(
        r"[a-z]+://|^-|--(extra-)?index|--find-links| @ |/(home|opt|tmp|work|root)/", text, re.MULTILINE
    )
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text[text.index("==") - 40 if text.startswith("#") else 0 :])
    assert all("--hash=sha256:" in block for block in blocks if PIN.match(block))


def test_the_lock_fits_what_the_code_needs(project: dict[str, Any]) -> None:
    """Each dependency, also those for development, is pinned within its range."""
    locked = {**pins("requirements.lock"), **pins("requirements-torch.lock")}
    needed = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    for requirement in map(Requirement, needed):
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} is missing in the lock: run `make lock`"
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_torch_and_its_libraries_stand_apart() -> None:
    """The lock that is the same everywhere holds neither PyTorch nor what only its CUDA build needs."""
    common, cuda = set(pins("requirements.lock")), set(pins("requirements-cuda.lock"))
    assert "torch" not in common
    assert not common & cuda
    assert {version.partition("+")[0] for version in pins("requirements-torch.lock")["torch"]} == pins(LOCKS[2])[
        "torch"
    ]
    assert all(name.startswith(("nvidia-", "cuda-", "triton", "torch")) for name in cuda)


def test_floors_for_security() -> None:
    """Older versions have known holes."""
    locked = {**pins("requirements.lock"), **pins("requirements-torch.lock")}
    for floor in ("apache-airflow>=3.3.2", "mlflow>=3.17", "torch>=2.10"):
        requirement = Requirement(floor)
        assert all(requirement.specifier.contains(version) for version in locked[requirement.name]), floor


@pytest.mark.parametrize("folder", ["mlflow", "docker"])
def test_settings_folders_are_no_packages(folder: str) -> None:
    """With an `__init__.py` they would hide the real packages of the same name."""
    assert (ROOT / folder).is_dir()
    assert not (ROOT / folder / "__init__.py").exists()


def test_compose_has_the_known_shape(compose: dict[str, Any]) -> None:
    """Only keys that the compose specification knows, and every service can be started and asked for its health."""
    assert set(compose) <= {"name", "services", "volumes", "secrets"} | {key for key in compose if key.startswith("x-")}
    known = {
        *("image", "build", "restart", "init", "security_opt", "cap_drop", "environment", "secrets", "volumes"),
        *("command", "depends_on", "ports", "healthcheck"),
    }
    for name, service in compose["services"].items():
        assert set(service) <= known, name
        assert "image" in service, name
        assert ("healthcheck" in service) != (name == "migrate"), name
        for check in [service["healthcheck"]] if "healthcheck" in service else []:
            assert set(check) <= {"test", "interval", "timeout", "retries", "start_period"}
            assert check["test"][0] == "CMD"


def test_compose_names_only_what_exists(compose: dict[str, Any]) -> None:
    """Services that others wait for, volumes and secrets are defined, and the files of the build are there."""
    services = compose["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in services, name
            healthy = how["condition"] == "service_healthy"
            assert healthy == ("healthcheck" in services[other]), f"{name} waits for {other}"
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source.startswith((".", "$")) or source in compose["volumes"], volume
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
    assert (ROOT / "docker" / services["mlflow"]["build"]["dockerfile"].removeprefix("docker/")).is_file()
    assert (ROOT / "mlflow" / services["mlflow"]["command"][1].removeprefix("/mlflow/")).is_file()


def test_compose_listens_on_this_machine_only(compose: dict[str, Any]) -> None:
    """Published ports are bound to 127.0.0.1; a proxy with TLS stands before them where others must reach them."""
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_compose_has_no_secret_in_it(compose: dict[str, Any]) -> None:
    """Keys and passwords come from the environment file, whose example is complete and holds no value of them."""
    text = (ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8")
    example = (ROOT / "docker" / ".env.example").read_text(encoding="utf-8")
    offered = dict(re.findall(r"^([A-Z_]+)=(.*)$", example, re.MULTILINE))
    used = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", text))
    assert used == set(offered)
    required = set(re.findall(r"\$\{([A-Z_]+):\?", text))
    assert required >= {"POSTGRES_PASSWORD", "AIRFLOW_FERNET_KEY", "AIRFLOW_JWT_SECRET", "AIRFLOW_API_SECRET_KEY"}
    assert all(not offered[name] for name in required)


def test_compose_and_image_agree_with_the_code(compose: dict[str, Any]) -> None:
    """The variables that we define are read by our code, and DAGs and home lie where the image puts them."""
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "pipeline").rglob("*.py"))
    image = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    ours = set(re.findall(r"\b(CROSSLIFT_[A-Z_]+)=", image))
    for service in compose["services"].values():
        ours |= {name for name in service.get("environment", {}) if name.startswith("CROSSLIFT_")}
    assert ours >= {"CROSSLIFT_HOME", "CROSSLIFT_DATA", "CROSSLIFT_KEY", "CROSSLIFT_SCENARIOS"}
    assert all(name in sources for name in ours), ours
    assert "COPY dags /app/dags" in image
    assert "AIRFLOW__CORE__DAGS_FOLDER=/app/dags" in image
    assert re.search(r"^USER crosslift$", image, re.MULTILINE)
    for lock in LOCKS:
        assert lock in image


def test_the_image_is_built_from_what_is_sent_to_it() -> None:
    """Every path that the Dockerfile copies is let through by .dockerignore."""
    image = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split() if line[0] == "!"}
    copied = {part for line in re.findall(r"^COPY (?!--from)(.*) \S+$", image, re.MULTILINE) for part in line.split()}
    for path in copied:
        assert path in let_through or (path.endswith(".lock") and "requirements*.lock" in let_through), path
    assert all((ROOT / path).exists() for path in copied - {"README.md"})
