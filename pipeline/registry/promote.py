"""Moving the aliases of a registered model; every part can be repeated after a crash, and nothing is deleted."""

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.errors import CrossliftError
from pipeline.folders import Home
from pipeline.registry import verify
from pipeline.registry.files import PACKAGE, model_files
from pipeline.registry.outcome import GONE, OUTCOME, tell_version
from pipeline.registry.tracking import reached

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
PROMOTED = "crosslift.promoted"  # this version was the champion; set last, when all is said that follows from it
ROLLED_BACK = "crosslift.rolled_back"  # a person took this version out of service
APPROVED = "crosslift.approved"  # a person let this version serve: who, and when
RECIPE = "recipe"  # the lane with its settings: the gate lets a recipe renew itself
CREEP = "creep"  # what may have been lost since the last promotion as better: the gate lets it grow no further
TRIAL, NO_TRIAL = "trial", "none"  # how the options of the run differed from the scenario's
VERIFY_SECONDS = 600


@dataclass(frozen=True)
class Serving:
    """The version that the champion's alias names, and the identity of its package."""

    version: int
    lane: str
    package: str


@dataclass(frozen=True)
class Move:
    """The champion's alias from one version to another."""

    name: str  # of the registered model
    version: int
    instead_of: int | None  # what serves as far as the caller knows; None: nothing
    run_id: str = ""  # the run that moves it
    approved: str = ""  # else the person who does


def find_version(client: "MlflowClient", name: str, identity: str) -> "ModelVersion | None":
    """Find the version that was registered from a package, or None."""
    found = client.search_model_versions(f"name = '{name}' AND tags.`{PACKAGE}` = '{identity}'", max_results=1)
    return client.get_model_version(name, found[0].version) if found else None


def aliases(client: "MlflowClient", name: str) -> dict[str, int]:
    """Alias -> version of a registered model."""
    return {alias: int(version) for alias, version in client.get_registered_model(name).aliases.items()}


def find_serving(client: "MlflowClient", name: str) -> Serving | None:
    """Find what the champion's alias names, or None while it names nothing."""
    if not client.search_registered_models(f"name = '{name}'", max_results=1):
        return None
    if (version := aliases(client, name).get(CHAMPION)) is None:
        return None
    tags = client.get_model_version(name, str(version)).tags
    return Serving(version, tags.get("lane", ""), tags.get(PACKAGE, ""))


def point(client: "MlflowClient", name: str, alias: str, version: int) -> bool:
    """Let an alias name a version; whether that changed anything."""
    if aliases(client, name).get(alias) == version:
        return False
    client.set_registered_model_alias(name, alias, str(version))
    return True


def promote_version(client: "MlflowClient", home: Home, move: Move) -> bool:
    """Make a version the champion, after a fresh process has proved that it serves: compare and set.

    The alias moves only while it still names what the decision was made against. What a crash left half done is
    completed. `settle` is to follow when all is recorded that the caller has to say.

    Returns:
        Whether the version is the champion now; if not, another one has become it meanwhile.

    Raises:
        CrossliftError: the model does not load or does not give the logged answer; the champion is untouched.
        StorageError: the store cannot be reached.
    """
    name, version, before = move.name, move.version, move.instead_of
    when = now()
    if version != before:
        check_serves(client, home, name, version)
        with reached(client.tracking_uri):
            if aliases(client, name).get(CHAMPION) != before:
                return False
            if move.approved:
                client.set_model_version_tag(name, str(version), APPROVED, f"by {move.approved} at {when}")
            if before is not None:
                client.set_registered_model_alias(name, PREVIOUS, str(before))
            client.set_registered_model_alias(name, CHAMPION, str(version))
    with reached(client.tracking_uri):
        if (replaced := aliases(client, name).get(PREVIOUS)) is not None:
            client.set_model_version_tag(name, str(replaced), PROMOTED, "true")
            gone = client.get_model_version(name, str(replaced)).tags.get(OUTCOME) in GONE
            if replaced == before or not gone:  # with nothing before, `previous` ended earlier, and says how
                tell_version(client, name, replaced, "replaced", f"Replaced by version {version} on {when}.")
        if ROLLED_BACK in client.get_model_version(name, str(version)).tags:
            client.delete_model_version_tag(name, str(version), ROLLED_BACK)
        by = f"approved by {move.approved}" if move.approved else f"by run {move.run_id}"
        tell_version(client, name, version, "promoted", f"Champion since {when}, {by}.")
    return True


def settle(client: "MlflowClient", name: str, version: int) -> None:
    """Note that a promotion is complete: from now on a repeat finds that the version serves already."""
    with reached(client.tracking_uri):
        client.set_model_version_tag(name, str(version), PROMOTED, "true")


def now() -> str:
    """Tell the time for a tag, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def check_serves(client: "MlflowClient", home: Home, name: str, version: int) -> None:
    """Load a version by its registry name in a fresh process, pickles forbidden, and compare answers.

    The process gets neither this program's modules nor PYTHONPATH (`python -I`): what serves is the model's own code.

    Raises:
        CrossliftError: it does not load, takes too long, or answers differently.
    """
    with reached(client.tracking_uri):
        found = client.get_model_version(name, str(version))
        _, damage = model_files(client, home, found)
    try:
        if damage:
            raise CrossliftError(f"it is damaged and is not served: {damage}.")
        prove(client, home, f"models:/{name}/{version}", found.tags.get(PACKAGE, ""))
    except CrossliftError as error:
        raise CrossliftError(f"{name} version {version}: {error} The champion is untouched.") from error


def prove(client: "MlflowClient", home: Home, uri: str, identity: str) -> None:
    """Load a model in a fresh process, pickles forbidden, and compare its answer with the logged one.

    Args:
        client: Of the store.
        home: Where the process runs.
        uri: The model, by its registry name or as a folder.
        identity: Hash of the manifest that its package must have.

    Raises:
        CrossliftError: it does not load, takes too long, is damaged or another one, or answers differently.
    """
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": client.tracking_uri,
        "MLFLOW_REGISTRY_URI": os.environ.get("MLFLOW_REGISTRY_URI") or client.tracking_uri,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }
    # -I: nothing but the model's own code. -B: no compiled files beside it, which no manifest names.
    command = [sys.executable, "-I", "-B", verify.__file__, uri, identity]
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=home.mlflow,
            capture_output=True,
            text=True,
            timeout=VERIFY_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CrossliftError(f"it gave no answer within {VERIFY_SECONDS} s in a fresh process.") from error
    if done.returncode != 0:
        last = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise CrossliftError(f"a fresh process could not serve it as it was logged: {last}")
