"""ingest: the scenario's tables into one immutable snapshot a domain."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import Embedded, FileTable, IngestSettings, Scenario, Tables, TaskConfig
from pipeline.data.forgotten import Forgotten
from pipeline.data.inputs import Input, inputs_of
from pipeline.data.pseudonyms import key_id, read_key
from pipeline.folders import UNHASHED, Home, digest, exclusive, read_json, write_json, written_whole
from pipeline.integrity import damage, set_aside
from pipeline.results import INGEST, IngestFacts, StepResult
from pipeline.runs.fingerprint import code_hash
from pipeline.runs.run import Run, data_root
from pipeline.runs.transaction import limit_threads, transact

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.data.tables import TableKind

_IGNORED = f"{UNHASHED}/ignored.json"  # about other domains, so it must not enter the manifest of this one


def ingest(run: Run) -> dict[str, StepResult[IngestFacts]]:
    """Copy each domain of the scenario into a content-addressed folder; files that did not change are not parsed.

    The folder has a table of each kind, such as `interactions.parquet` and `items.parquet`, with canonical columns.
    Equal content gives equal bytes, whatever the order of rows, the format and the names of the files were.

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
    inputs = tuple(inputs_of(tables, lambda kind: _kinds(scenario.task)[kind], root, scenario.personal))
    forgotten = Forgotten.read(run.home, scenario.name, scenario.personal)
    snapshot = Snapshot(inputs, scenario.task, scenario.domains, key, without_rows, forgotten)
    results = {}
    for domain in scenario.domains:
        settings = IngestSettings(
            domain=domain,
            domains=tuple(sorted(scenario.domains)),
            task=scenario.task.as_rows(),
            key=key_id(key) if key else None,
            without_rows=without_rows,
            forgotten=forgotten.identity,
        )
        result = transact(run, INGEST, build, settings, {"tables": snapshot}, domain)
        facts = result.facts.model_copy(update={"ignored_rows": read_json(run.path(result) / _IGNORED)})
        results[domain] = result.model_copy(update={"facts": facts})
        run.record(results[domain])
    return results


@dataclass(frozen=True)
class Snapshot:
    """The scenario's tables as they are now: read once for all domains, and only if one of them is not there yet."""

    inputs: tuple[Input, ...]
    task: TaskConfig
    domains: tuple[str, ...]
    key: bytes | None
    without_rows: str
    forgotten: Forgotten

    @cached_property
    def identity(self) -> str:
        """Hash of what is read; how it is read stands in the settings."""
        return digest([[one.kind, one.fingerprint] for one in self.inputs])

    @cached_property
    def tables(self) -> "dict[str, pa.Table]":
        """One table of each kind with the rows of all domains."""
        from pipeline.data.snapshot import assemble

        parts = [(one.kind, table) for one in self.inputs for table in one.read()]
        tables = assemble(parts, _kinds(self.task), self.domains, self.key, self.without_rows)
        return self.forgotten.left_out_of(tables)


def build(settings: IngestSettings, inputs: Mapping[str, Snapshot], folder: Path, _work: Path) -> IngestFacts:
    """Write one domain of the snapshot."""
    from pipeline.data.snapshot import count_ignored, write_domain

    tables = inputs["tables"].tables
    write_json(folder / _IGNORED, count_ignored(tables, settings.domains))
    kinds = _kinds(settings.task)
    return write_domain(tables, kinds, settings.domain, folder).model_copy(update={"key": settings.key})


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
