"""A model in the place of rows of a source: what another scenario, or another shop, registered or handed over."""

import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StorageError, UserError
from pipeline.folders import Home, manifest_hash
from pipeline.integrity import stated_damage
from pipeline.near import near, near_path
from pipeline.registry.files import model_files, package_of
from pipeline.registry.lookup import known
from pipeline.registry.promote import aliases
from pipeline.registry.tracking import connect, reached

_SPELT = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>\w+))")


@dataclass(frozen=True)
class Carried:
    """A package, and what people call it: `crosslift.fraud version 3`, or its folder; `identity` is its hash."""

    told: str
    package: Path
    identity: str


def find_carried(home: Home, named: str, data: Path | None) -> Carried:
    """Find the package that `source_model` names.

    Args:
        home: Where the store is.
        named: `models:/NAME@ALIAS`, `models:/NAME/VERSION`, or a folder below `data`.
        data: The folder of the user's tables; None where there is none.

    Raises:
        UserError: it is spelt otherwise, there is none, or there is no package in it.
        StorageError: the store cannot be reached, or a file is not what was registered; it is named.
    """
    if not named.startswith("models:"):
        return _in_folder(named, data)
    if (found := _SPELT.fullmatch(named)) is None:
        raise UserError(f"source_model: expected models:/NAME@ALIAS or models:/NAME/VERSION, got {named!r}.")
    client, name = connect(home), found["name"]
    known(client, home, name)
    with reached(client.tracking_uri):
        named_ones = aliases(client, name)
        versions = {str(one.version): one for one in client.search_model_versions(f"name = '{name}'", max_results=1000)}
        number = found["version"] or str(named_ones.get(found["alias"], ""))
        if number not in versions:
            there = ", ".join([*sorted(versions, key=int), *(f"@{alias}" for alias in sorted(named_ones))])
            hint = near(found["alias"], named_ones) if found["alias"] else ""
            raise UserError(f"source_model: {named} is no version; of {name} there are: {there or 'none'}.{hint}")
        model, damage = model_files(client, home, versions[number])
    if damage:
        raise StorageError(
            f"source_model: {named}, version {number}, is damaged and nothing is learnt from it: {damage}."
        )
    package = package_of(model)
    return Carried(told_version(name, number), package, manifest_hash(package))


def told_version(name: str, number: int | str) -> str:
    """What a registered version is called where it stands for a source."""
    return f"{name} version {number}"


def _in_folder(named: str, data: Path | None) -> Carried:
    folder = (data / named).resolve() if data else None
    if data is None or folder is None or not folder.is_relative_to(data.resolve()):
        raise UserError(f"source_model: expected models:/NAME@ALIAS or a folder below CROSSLIFT_DATA, got {named!r}.")
    if not folder.is_dir():
        raise UserError(f"source_model: there is no folder {folder}.{near_path(folder)}")
    package = folder if (folder / "package.json").is_file() else package_of(folder)
    if damage := stated_damage(package):
        raise StorageError(f"source_model: {package} is damaged and nothing is learnt from it: {damage}.")
    return Carried(named, package, manifest_hash(package))
