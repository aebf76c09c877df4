"""ingest: the scenario's tables into one immutable snapshot a domain."""

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import Embedded, FileTable, Scenario, Tables
from pipeline.data.inputs import inputs_of
from pipeline.data.pseudonyms import key_id, read_key
from pipeline.folders import UNHASHED, Home, digest, exclusive, read_json, write_json, written_whole
from pipeline.integrity import damage, set_aside
from pipeline.results import StepResult
from pipeline.steps.fingerprint import code_hash
from pipeline.steps.run import Run, data_root
from pipeline.steps.transaction import Facts, limit_threads, transact

if TYPE_CHECKING:
    import pyarrow as pa

STEP = "ingest"
_IGNORED = f"{UNHASHED}/ignored.json"  # about other domains, so it must not enter the manifest of this one


def ingest(run: Run) -> dict[str, StepResult]:
    """Copy each domain of the scenario into a content-addressed folder; files that did not change are not parsed.

    The folder has `interactions.parquet` and, where the scenario has items, `items.parquet`, with canonical columns.
    Equal content gives equal bytes, whatever the order of rows, the format and the names of the files were.

    Raises:
        ConfigError: CROSSLIFT_DATA or CROSSLIFT_KEY is missing, or the column mapping is impossible.
        DataError: a table cannot be read or does not fit the scenario; nothing is published.
        StorageError: the disk is full or CROSSLIFT_HOME cannot be written.
    """
    scenario = run.scenario
    for domain in scenario.domains:
        run.forget(STEP, domain)
    limit_threads()
    key = None if scenario.pseudonymous or scenario.embedded else read_key()
    made_with = key_id(key) if key else None
    inputs = inputs_of(*_tables(run.home, scenario), scenario.personal)

    @cache  # once for all domains, and only if one of them is not there yet
    def read() -> "dict[str, pa.Table]":
        from pipeline.data.snapshot import assemble

        parts = [(one.kind, table) for one in inputs for table in one.read()]
        return assemble(parts, scenario.domains, key, "" if scenario.target_labels else scenario.target)

    def build(domain: str, folder: Path, _work: Path) -> Facts:
        from pipeline.data.snapshot import count_ignored, write_domain

        write_json(folder / _IGNORED, count_ignored(read(), scenario.domains))
        return {**write_domain(read(), domain, folder), "key": made_with}

    hashes = {f"{place} {one.kind}": one.fingerprint for place, one in enumerate(inputs)}
    config = {
        "domains": sorted(scenario.domains),
        "key": made_with,
        "without_rows": "" if scenario.target_labels else scenario.target,
    }
    results = {}
    for domain in scenario.domains:
        result = transact(run, STEP, partial(build, domain), inputs=hashes, config=config, name=domain)
        ignored = read_json(run.path(result) / _IGNORED)
        results[domain] = result.model_copy(update={"facts": {**result.facts, "ignored_rows": ignored}})
        run.record(results[domain])
    return results


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
