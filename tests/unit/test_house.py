"""Rules of the house that no linter knows: the lock files and the layout."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
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
