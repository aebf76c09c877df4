"""ingest: the scenario's tables into one immutable snapshot a domain."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import columns as c
from pipeline.config import Alike, Embedded, FileTable, IngestSettings, Scenario, Tables, TaskConfig
from pipeline.data.forgotten import Forgotten
from pipeline.data.pseudonyms import key_id, read_key
from pipeline.data.readers.inputs import Input, inputs_of
from pipeline.folders import UNHASHED, Home, digest, exclusive, read_json, write_json, written_whole
from pipeline.integrity import damage, set_aside
from pipeline.results import INGEST, IngestFacts, StepResult
from pipeline.runs.fingerprint import code_hash
from pipeline.runs.run import Run, data_root
from pipeline.runs.transaction import limit_threads, transact

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.data.tables import TableKind

# About other domains, so they must not enter the manifest of this one.
_IGNORED = f"{UNHASHED}/ignored.json"
_SPELLINGS = f"{UNHASHED}/spellings.json"
_JOINED_BY = {c.USER: "users", c.ITEM: "items"}  # ids that domains have in common -> the bridge that asks for it

log = logging.getLogger(__name__)


def ingest(run: Run) -> dict[str, StepResult[IngestFacts]]:
    """Copy each domain of the scenario into a content-addressed folder; files that did not change are not parsed.

    The folder has a table of each kind, such as `interactions.parquet` and `items.parquet`, with canonical columns.
    Equal content gives equal bytes, whatever the order of rows, the format and the names of the files were. Rows of
    which a value could not be read lie beside them, with the place of that value.

    Raises:
        ConfigError: CROSSLIFT_DATA or CROSSLIFT_KEY is missing, or the column mapping is impossible.
        DataError: a table cannot be read or does not fit the scenario; nothing is published.
        StorageError: the disk is full or CROSSLIFT_HOME cannot be written.
    """
    scenario = run.scenario
    for domain in scenario.domains:
        run.forget(INGEST, domain)
    limit_threads()
    key = None if scenario.pseudonymous or scenario.embedded else read_key()
    without_rows = "" if scenario.target_labels else scenario.target
    tables, root = _tables(run.home, scenario)
    personal = tuple(sorted({*scenario.personal, *([c.USER] if key else [])}))  # nor written before it is hashed
    pictured = scenario.task.examples is not None and "image" in scenario.task.examples.features.values()
    inputs = tuple(inputs_of(tables, lambda kind: _kinds(scenario.task)[kind], root, personal, pictured=pictured))
    forgotten = Forgotten.read(run.home, scenario.name, {*personal, c.USER})  # also where users are not personal
    snapshot = Snapshot(inputs, scenario.task, scenario.domains, key, without_rows, personal, tables.alike, forgotten)
    results = {}
    for domain in scenario.domains:
        settings = IngestSettings(
            domain=domain,
            domains=tuple(sorted(scenario.domains)),
            task=scenario.task.as_tables(),
            key=key_id(key) if key else None,
            without_rows=without_rows,
            forgotten=forgotten.identity,
        )
        result = transact(run, INGEST, build, settings, {"tables": snapshot}, domain)
        folder = run.path(result)
        told = _spellings(read_json(folder / _SPELLINGS), scenario)
        facts = result.facts.model_copy(update={"ignored_rows": read_json(folder / _IGNORED), "spellings": told})
        results[domain] = result.model_copy(update={"facts": facts})
        run.record(results[domain])
    for line in told:
        log.warning("%s", line)
    return results


@dataclass(frozen=True)
class Snapshot:
    """The scenario's tables as they are now: read once for all domains, and only if one of them is not there yet."""

    inputs: tuple[Input, ...]
    task: TaskConfig
    domains: tuple[str, ...]
    key: bytes | None
    without_rows: str
    personal: tuple[str, ...]
    alike: Mapping[str, tuple[Alike, ...]]
    forgotten: Forgotten

    @cached_property
    def identity(self) -> str:
        """Hash of what is read; how it is read stands in the settings."""
        named = {name: list(ways) for name, ways in self.alike.items()}
        return digest([[[one.kind, one.fingerprint] for one in self.inputs], named, list(self.personal)])

    @cached_property
    def tables(self) -> "dict[str, pa.Table]":
        """One table of each kind with the rows of all domains."""
        from pipeline.data.snapshot import assemble

        tables = assemble(self._parts, _kinds(self.task), self.domains, self.key, self.without_rows)
        return self.forgotten.left_out_of(tables)

    @property
    def pictures(self) -> dict[str, bytes]:
        """Those of all tables, by name."""
        return {name: content for one in self.inputs for name, content in one.pictures.items()}

    @cached_property
    def spellings(self) -> list[dict[str, Any]]:
        """Where ids seem to be spelt in several ways."""
        from pipeline.data.values.spelling import mixed_spellings

        return mixed_spellings(self._parts, _kinds(self.task), self.domains, self.personal)

    @cached_property
    def _parts(self) -> "list[tuple[str, pa.Table]]":
        from pipeline.data.values.spelling import treat_alike

        parts = [(one.kind, table) for one in self.inputs for table in one.read()]
        return treat_alike(parts, _kinds(self.task), self.alike)


def build(settings: IngestSettings, inputs: Mapping[str, Snapshot], folder: Path, _work: Path) -> IngestFacts:
    """Write one domain of the snapshot."""
    from pipeline.data.snapshot import count_ignored, write_domain

    tables = inputs["tables"].tables
    write_json(folder / _IGNORED, count_ignored(tables, settings.domains))
    write_json(folder / _SPELLINGS, inputs["tables"].spellings)
    facts = write_domain(tables, _kinds(settings.task), settings.domain, folder, inputs["tables"].pictures)
    return facts.model_copy(update={"key": settings.key})


def _spellings(found: list[dict[str, Any]], scenario: Scenario) -> tuple[str, ...]:
    """Tell what matters of them: between domains only where the ids are a bridge."""
    told = [one for one in found if one["domain"] or _JOINED_BY.get(one["column"]) in scenario.bridges]
    if not told:
        return ()
    from pipeline.data.values.spelling import in_words

    return tuple(in_words(one) for one in told)


def _kinds(task: TaskConfig) -> "Mapping[str, TableKind]":
    from pipeline.tasks.tables import tables_of

    return tables_of(task)


def _tables(home: Home, scenario: Scenario) -> tuple[Tables, Path]:
    """The scenario's tables and the folder that their paths are relative to."""
    if scenario.embedded is None:
        assert scenario.tables is not None
        return scenario.tables, data_root()
    tables = Tables(interactions=(FileTable(path="interactions.parquet"),), items=(FileTable(path="items.parquet"),))
    return tables, _generated(home, scenario.embedded, scenario.sources[0], scenario.target)


def _generated(home: Home, config: Embedded, source: str, target: str) -> Path:
    """The folder with the generator's tables, made if this code did not make it before."""
    code = code_hash("pipeline.data.generator")
    wanted = digest({"config": config.model_dump(mode="json"), "source": source, "target": target, "code": code})
    final = home.root / "generated" / wanted[:32]
    with exclusive(home.lock(final.name)):
        if final.exists() and (why := damage(final)):
            set_aside(final, why)
        if not final.exists():
            from pipeline.data.generator import generate

            with written_whole(final) as folder:
                generate(config, source, target, folder)
    return final
