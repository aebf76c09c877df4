"""Forgetting a person: what holds the id, or was made of its rows, goes; a list keeps later runs from reading them."""

import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import columns as c
from pipeline.config import Alike
from pipeline.data.pseudonyms import KEY, key_id, pseudonym, read_key
from pipeline.errors import ConfigError, StorageError, UserError
from pipeline.folders import MANIFEST, META, Home, exclusive, hidden, manifest_hash, read_json, storage_errors, vanish
from pipeline.registry.forget import HeldVersion, begun_versions, delete_version, held_versions
from pipeline.registry.tracking import store_name
from pipeline.results import CLEAN, INGEST, PACKAGE, PREPARE, PRETRAIN, PROMOTE, Step
from pipeline.runs.run import alone, planned
from pipeline.runs.transaction import facts_of
from pipeline.scenarios import load_scenario

log = logging.getLogger(__name__)

TABLES: tuple[Step[Any], ...] = (INGEST, CLEAN, PREPARE)  # one folder a domain: that of another one holds nobody else


@dataclass(frozen=True)
class Held:
    """What holds a person: runs and folders of steps below the home, and versions of models."""

    ids: tuple[str, ...]  # as they are published
    runs: tuple[Path, ...]
    holders: tuple[Path, ...]  # folders with the id; by these all else is found
    made: tuple[Path, ...]  # folders that were made of its rows
    versions: tuple[HeldVersion, ...]
    elsewhere: tuple[tuple[str, str], ...] = ()  # runs that were registered in another MLflow, and in which

    @property
    def serving(self) -> tuple[HeldVersion, ...]:
        """The versions that serve."""
        return tuple(one for one in self.versions if one.serves)

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders of steps."""
        return tuple(sorted((*self.holders, *self.made)))


def ids_of(home: Home, user: str, scenario: str | None) -> tuple[str, ...]:
    """How a user is called in what is published: as brought, or by a pseudonym of the key in the environment.

    Where the scenario treats spellings of ids alike, also as those are spelt there.

    Raises:
        UserError: no scenario is named, and one has another spelling of this id.
        ConfigError: the key that is needed is not set, or no table here was made with it.
    """
    known = load_scenario(scenario) if scenario else None
    spelt: tuple[str, ...] = (user,)
    if known and known.tables:
        spelt = tuple(dict.fromkeys((user, _spelt(user, known.tables.alike.get(c.USER, ())))))
    if known and (known.pseudonymous or known.embedded):
        return spelt
    if not known:
        _refuse_another_spelling(home, user)
    used = {facts_of(INGEST, folder).key for folder in _folders(home, INGEST)} - {None}
    if not known and not used and not os.environ.get(KEY):
        return spelt
    key = read_key()
    if used and key_id(key) not in used:
        raise ConfigError(
            f"{KEY}: no table here has pseudonyms of this key, so that nobody could be found; set the key with "
            "which they were made."
        )
    if used - {key_id(key)}:
        log.warning(
            "Some tables here have pseudonyms of another key than that in %s, by which nobody is found there: "
            "repeat the command with each of the other keys.", KEY,
        )  # fmt: skip
    return (*spelt, *(pseudonym(one, key) for one in spelt))  # other personal columns stand as they were brought


def _refuse_another_spelling(home: Home, user: str) -> None:
    for name, ways in _alike(home):
        if (spelt := _spelt(user, ways)) != user:
            raise UserError(
                f"The scenario {name} treats ids alike ({', '.join(ways)}), so that this one is {spelt!r} there, which "
                f"may be somebody else in other scenarios. Forget it in each by itself, with `--scenario {name}`."
            )


def _spelt(user: str, ways: Collection[Alike]) -> str:
    """The spelling of an id under which it is published."""
    import pyarrow as pa

    from pipeline.data.values.spelling import one_spelling

    return str(one_spelling(pa.array([user]), ways)[0].as_py()) if ways else user


def _alike(home: Home) -> Iterator[tuple[str, tuple[Alike, ...]]]:
    """The scenarios that ran here and treat ids of users alike, and how."""
    for run in _visible(home.root / "runs"):
        told = (planned(run) or {}).get("scenario", {})
        specs = [spec for kind in (told.get("tables") or {}).values() for spec in kind]
        ways = {way for spec in specs for way in spec.get("columns", {}).get(c.USER, {}).get("alike", ())}
        if ways:
            yield str(told["name"]), tuple(sorted(ways))


def find_held(home: Home, ids: Collection[str], scenario: str | None) -> Held:
    """Find all that holds one of the ids, or was made of their rows.

    Args:
        home: Where to look.
        ids: As they are published.
        scenario: The only one whose runs and models are looked at; None: all.

    Raises:
        StorageError: the registry cannot be reached or a record is damaged.
    """
    plans = {run: planned(run) or {} for run in _visible(home.root / "runs")}
    columns = {c.USER, *(name for plan in plans.values() for name in _scenario(plan).get("personal", ()))}
    named = {run: {*_named(home, run)} for run in plans}
    own = {run: plan for run, plan in plans.items() if not scenario or _scenario(plan).get("name") == scenario}
    mine = {folder for run in own for folder in named[run]}
    holders = {
        folder for step in _visible(home.root / "steps") for folder in (*_visible(step), *step.glob(".*.old"))
        if (not scenario or folder in mine or _told(folder, "scenario") == scenario) and _holds(folder, columns, ids)
    }  # fmt: skip
    tables = {step.name for step in TABLES}
    reading = [run for run in own if named[run] & holders]
    manifests = {manifest_hash(folder) for folder in holders if (folder / MANIFEST).exists()}
    held = held_versions(home, manifests, _ids(own, reading), lambda folder: _holds(folder, columns, ids), scenario)
    runs, versions = _with_those_after(home, plans, reading, tuple(held))
    others = {folder for run in plans if run not in runs for folder in named[run]}  # read none of these rows
    domains = {_told(folder, "name") for folder in holders if folder.parent.name in tables}
    made = {
        folder for run in runs for folder in named[run]
        if folder.parent.name not in tables  # rows of examples are prepared without the ids of people
        or (run in reading and folder.parent.name == PREPARE.name and _told(folder, "name") in domains)
    } - others  # fmt: skip
    made = {one for folder in made - holders for one in (folder, hidden(folder)) if one.exists()}
    stores = {run.name: _store(run) for run in runs}
    elsewhere = tuple((run, store) for run, store in stores.items() if store not in ("", store_name()))
    foreign = {folder for run in plans if run not in own for folder in named[run]}  # scenarios share snapshots
    return Held(tuple(ids), runs, tuple(sorted(holders - foreign)), tuple(sorted(made)), versions, elsewhere)


def _with_those_after(
    home: Home, plans: Mapping[Path, Any], reading: Sequence[Path], versions: tuple[HeldVersion, ...]
) -> tuple[tuple[Path, ...], tuple[HeldVersion, ...]]:
    """The runs and versions that read the rows, behind and before those that began with a model that was made of them.

    Of whichever scenario these are, and a version also where its run was cleaned away. Versions of lanes that began
    with no model stay, though their runs go.
    """
    begun, runs = begun_versions(home), tuple(reading)
    while True:
        models = {one.told for one in versions}
        packages = {one for run in runs for one in _packages(run, every=run in reading)}
        packages |= {one.package for one in versions if one.package}
        after = [run for run in plans if run not in runs and _began_with(run, models, packages)]
        ids = _ids(plans, [run for run in (*after, *runs) if run not in reading])
        more = [
            one.itself for one in begun
            if one.itself not in versions and (one.source in models or one.run_id in ids)
        ]  # fmt: skip
        if not (after or more):
            return runs, versions
        runs, versions = (*after, *runs), (*versions, *more)  # these runs go first: by the others they are found


def _packages(run: Path, *, every: bool) -> Iterator[str]:
    """Hashes of the packages of a run, every one or those of lanes that began with a registered model."""
    for path in (run / "results").glob(f"{PACKAGE.name}.*.json"):
        record = read_json(path)
        if every or record.get("facts", {}).get("begun", True):
            yield str(record.get("manifest"))


def _began_with(run: Path, models: Collection[str], packages: Collection[str]) -> bool:
    """Whether a registered model stands for the sources of a run, and is one of these."""
    records = [read_json(path).get("facts", {}) for path in (run / "results").glob(f"{PRETRAIN.name}*.json")]
    return any(
        facts.get("taught_by") and (facts["taught_by"] in models or facts.get("package") in packages)
        for facts in records
    )


def _ids(plans: Mapping[Path, Any], runs: Iterable[Path]) -> set[str]:
    return {str(plans[run].get("run_id", "")) for run in runs} - {""}


def remove_held(home: Home, held: Held) -> None:
    """Remove what was found; what all else is found by goes last, so that a repeat finds what is left.

    Raises:
        UserError: one of the versions serves, one of the runs is running or was registered in another MLflow than the
            one that is looked at; nothing is removed.
        StorageError: a folder or the store cannot be written; what is still there is named.
    """
    if held.elsewhere:
        which, store = held.elsewhere[0]
        raise UserError(
            f"Run {which} was registered in MLflow at {store}, and this command looked at {store_name()}, so nothing "
            "was removed yet: versions there may hold the user. No run reads the rows from now on. "
            + ("Unset MLFLOW_TRACKING_URI" if store == "local" else f"Set MLFLOW_TRACKING_URI to {store}")
            + " and repeat this command."
        )
    with exclusive(home.lock("promote")), ExitStack() as stack:
        if held.serving:
            which = ", ".join(one.told for one in held.serving)
            names = ", ".join(dict.fromkeys(one.run_again for one in held.serving))
            raise UserError(
                f"{which} serves and was made of these rows, so nothing was removed yet. No run reads the rows from "
                f"now on: run the scenario again ({names}), so that a model without them is promoted, then repeat "
                "this command. Where the gate promotes none, `crosslift models retire NAME` lets nothing serve: "
                f"{', '.join(one.name for one in held.serving)}."
            )
        for run in held.runs:
            stack.enter_context(alone(home, str((planned(run) or {}).get("run_id", run.name))))
        versions = held.versions[::-1]  # what others began with goes last: by it they are found
        for number, version in enumerate(versions):
            try:
                delete_version(home, version)
            except StorageError as error:
                left = ", ".join(one.told for one in versions[number:])
                raise StorageError(
                    f"{error} Not removed, and holding the user or made of the rows: {left}; {len(held.runs)} runs and "
                    f"{len(held.folders)} folders below {home.root}. Versions removed: {number}."
                ) from error
        for path in (*held.made, *held.runs, *held.holders):
            with storage_errors(path.parent):
                if path.exists():
                    vanish(path)


def _holds(folder: Path, columns: Iterable[str], ids: Collection[str]) -> bool:
    """Whether a table below a folder has one of the ids in one of the columns.

    Raises:
        StorageError: a table is damaged.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted = pa.array(list(ids), pa.string())
    for path in folder.rglob("*.parquet"):
        try:
            for name in set(columns) & set(pq.read_schema(path).names):
                values = pq.read_table(path, columns=[name])[name]
                if pc.any(pc.is_in(values.cast(pa.string()), wanted)).as_py():
                    return True
        except (OSError, pa.ArrowException) as error:
            raise StorageError(
                f"{path}: cannot be read, so that nobody knows whom it holds; remove {folder} and repeat."
            ) from error
    return False


def _store(run: Path) -> str:
    """The MLflow in which a run was registered; empty: in none, or nobody noted it."""
    records = [read_json(path) for path in (run / "results").glob(f"{PROMOTE.name}.*json")]
    return str(records[0].get("facts", {}).get("store", "")) if records else ""


def _scenario(plan: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = plan.get("scenario") or {}
    return found


def _named(home: Home, run: Path) -> Iterator[Path]:
    for record in (run / "results").glob("*.json"):
        try:
            yield home.root / str(read_json(record)["folder"])
        except (KeyError, TypeError) as error:
            raise StorageError(f"{record}: expected a record that names a folder; remove {run} and repeat.") from error


def _told(folder: Path, what: str) -> str:
    """The domain (`name`) or the scenario that a folder was made for."""
    try:
        return str(read_json(folder / META).get(what, ""))
    except StorageError:
        return ""


def _folders(home: Home, step: Step[Any]) -> list[Path]:
    return _visible(home.root / "steps" / step.name)


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if not path.name.startswith("."))
