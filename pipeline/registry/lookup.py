"""Looking the registry up: names, champions, versions."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import Scenario
from pipeline.errors import StorageError, UserError
from pipeline.folders import Home
from pipeline.near import near, nearest
from pipeline.registry.files import PACKAGE, model_files, package_of
from pipeline.registry.promote import CHALLENGER, CHAMPION, CREEP, PREVIOUS, RECIPE, aliases
from pipeline.registry.tracking import connect, reached, store_exists

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATA = "data"  # tag of a version: the data that made it, see `made_of`
SOURCE_MODEL = "source_model"  # parameter of its model: what the lane began with; only where it began with one
_PREFIX = "crosslift."
_DAY = 24 * 60 * 60


@dataclass(frozen=True)
class Champion:
    """What serves now. `package` is its identity, `candidate` the hash of the candidate's manifest; `folder` holds it.

    `run_id` is the run that registered it; `recipe` is the lane with its settings, empty where the version is from
    before that was noted; `creep` is what may have been lost since the last promotion as better. `damage` says what of
    its files is not what was registered; empty where it can serve.
    """

    version: int
    lane: str
    package: str
    candidate: str
    age_days: float
    folder: Path
    run_id: str = ""
    recipe: str = ""
    creep: float = 0.0
    damage: str = ""


@dataclass(frozen=True)
class ModelSummary:
    """A registered model and the versions that its aliases name."""

    name: str
    champion: int | None
    challenger: int | None
    previous: int | None


@dataclass(frozen=True)
class VersionDetails:
    """One version: which aliases name it, when it was registered (seconds since 1970), and its tags."""

    version: int
    aliases: tuple[str, ...]
    registered: float
    tags: Mapping[str, str]


@dataclass(frozen=True)
class ModelDetails:
    """A registered model with all versions, the newest first."""

    name: str
    versions: tuple[VersionDetails, ...] = field(default=())


def model_name(scenario: Scenario) -> str:
    """`crosslift.<scenario>`, and `crosslift.<scenario>.share_<percent>` where target rows are left out on purpose.

    An experiment with fewer rows never replaces what serves.
    """
    if scenario.target_share == 1:
        return f"{_PREFIX}{scenario.name}"
    percent = f"{scenario.target_share * 100:.6g}".replace(".", "_")
    return f"{_PREFIX}{scenario.name}.share_{percent}"


def experiment_name(scenario: Scenario) -> str:
    """`crosslift/<scenario>`: the MLflow experiment of all runs of a scenario."""
    return f"crosslift/{scenario.name}"


def made_of(tags: Mapping[str, str]) -> set[str]:
    """Find which folders of data made a version: the shortened hashes of their manifests."""
    older = {shortened(value) for key, value in tags.items() if key.startswith(f"{DATA}.")}  # one tag each
    return older or set(tags.get(DATA, "").split())


def shortened(manifest: str) -> str:
    """Shorten the hash of a manifest to what tells folders apart."""
    return manifest[:16]


def find_champion(home: Home, name: str) -> Champion | None:
    """Find what serves under a registered name as it lies in the store, or None while nothing does.

    Raises:
        StorageError: the store cannot be reached.
    """
    if not store_exists(home):
        return None
    client = connect(home)
    with reached(client.tracking_uri):
        if not client.search_registered_models(f"name = '{name}'", max_results=1):
            return None
        if CHAMPION not in (found := aliases(client, name)):
            return None
        version = client.get_model_version(name, str(found[CHAMPION]))
        model, damage = model_files(client, home, version, fresh=True)
    return Champion(
        version=int(version.version),
        lane=version.tags.get("lane", ""),
        package=version.tags.get(PACKAGE, ""),
        candidate=version.tags.get("candidate", ""),
        age_days=max(0.0, time.time() - version.creation_timestamp / 1000) / _DAY,
        folder=model if damage else package_of(model),
        run_id=version.tags.get("run_id", ""),
        recipe=version.tags.get(RECIPE, ""),
        creep=float(version.tags.get(CREEP, "0")),
        damage=damage,
    )


def model_folder(home: Home, name: str, alias: str = CHAMPION) -> Path:
    """Find the MLflow model folder that an alias names, on this machine.

    Raises:
        UserError: there is no such model, or the alias names no version of it.
        StorageError: the store cannot be reached, or a file is not what was registered; it is named.
    """
    client = connect(home)
    known(client, home, name)
    with reached(client.tracking_uri):
        found = aliases(client, name)
        if alias not in found:
            there = ", ".join(found) or "none yet"
            raise UserError(f"{name}: no version has the alias {alias!r}; there are: {there}.{near(alias, found)}")
        folder, damage = model_files(client, home, client.get_model_version(name, str(found[alias])))
    if damage:
        raise StorageError(
            f"{name} version {found[alias]}, the {alias}, is damaged and is not served: {damage}. Run its scenario, "
            "which puts what serves back from its package, or let the model before it serve: "
            f"`crosslift models rollback {name}`."
        )
    return folder


def list_models(home: Home) -> list[ModelSummary]:
    """All registered models, by name.

    Raises:
        StorageError: the store cannot be reached.
    """
    if not store_exists(home):
        return []
    client = connect(home)
    with reached(client.tracking_uri):
        return [_summary(client, name) for name in _names(client)]


def show_model(home: Home, name: str) -> ModelDetails:
    """Describe a registered model with its versions and their tags.

    Raises:
        UserError: there is no such model; the message names the near miss.
        StorageError: the store cannot be reached.
    """
    client = connect(home)
    known(client, home, name)
    with reached(client.tracking_uri):
        named = aliases(client, name)
        versions = [
            VersionDetails(
                version=int(version.version),
                aliases=tuple(sorted(alias for alias, at in named.items() if at == int(version.version))),
                registered=version.creation_timestamp / 1000,
                tags=dict(version.tags),
            )
            for version in client.search_model_versions(f"name = '{name}'", max_results=1000)
        ]
    return ModelDetails(name, tuple(sorted(versions, key=lambda version: -version.version)))


def known(client: "MlflowClient", home: Home, name: str) -> None:
    """Nothing, if a model of that name is registered.

    Raises:
        UserError: there is none; the message names the near miss.
    """
    with reached(client.tracking_uri):
        names = _names(client)
    if name in names:
        return
    found = nearest(name.partition(".")[2] or name, [other.removeprefix(_PREFIX) for other in names])
    hint = f" Did you mean {_PREFIX + found!r}?" if found else ""
    raise UserError(
        f"no model is called {name!r}.{hint} There are: {', '.join(names) or 'none yet'}, in {home.root}; "
        "`crosslift run SCENARIO` registers one."
    )


def _names(client: "MlflowClient") -> list[str]:
    found = client.search_registered_models(f"name LIKE '{_PREFIX}%'", max_results=1000)
    return sorted(str(model.name) for model in found)


def _summary(client: "MlflowClient", name: str) -> ModelSummary:
    found = aliases(client, name)
    return ModelSummary(name, found.get(CHAMPION), found.get(CHALLENGER), found.get(PREVIOUS))
