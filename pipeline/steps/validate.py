"""validate: rows that break a row rule go to quarantine, table rules give a passport or stop the run."""

import json
import shutil
import tempfile
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pipeline.folders import UNHASHED, storage_errors
from pipeline.results import StepResult
from pipeline.steps.run import Run
from pipeline.steps.transaction import Facts, transact

if TYPE_CHECKING:
    from pipeline.validation.checking import Outcome
    from pipeline.validation.data_docs import Volume
    from pipeline.validation.passport import Reference

DATA_DOCS = "data_docs"


def validate(run: Run, as_of: datetime | None = None) -> StepResult:
    """Clean each domain, check all tables, and issue the passport.

    Args:
        run: The run; its `ingest` results are read.
        as_of: End of the run's data interval, so that "in the future" needs no clock; None: only the wide range counts.

    Raises:
        RefusedError: a critical rule failed. The Data Docs then lie in the run's folder, and no result of this step
            is left, so that no later step can use the tables.
        MissingResultError: `ingest` did not succeed.
    """
    names = run.scenario.domains
    for name in ("", *names):
        run.forget("validate", name)
    cleaned = {name: _clean_domain(run, name, as_of) for name in names}
    reference = _reference(run, cleaned)
    config = {
        "scenario": run.scenario.model_dump(
            mode="json", include={"name", "title", "sources", "target", "bridges", "personal", "split", "target_labels"}
        ),
        "as_of": as_of.isoformat() if as_of else None,
        "reference": {"content": reference.content, "rows": dict(reference.rows)},
    }
    inputs = {
        f"{result.step}.{name}": result.manifest
        for name in names
        for result in (run.result("ingest", name), cleaned[name])
    }
    try:
        return transact(run, "validate", partial(_check, run, as_of, reference), inputs=inputs, config=config)
    except BaseException:
        for name in names:
            run.forget("validate", name)
        raise


def _check(run: Run, as_of: datetime | None, reference: "Reference", folder: Path, _work: Path) -> Facts:
    from pipeline.validation.checking import refusal
    from pipeline.validation.data_docs import write_data_docs
    from pipeline.validation.passport import PASSPORT, write_passport

    scenario = run.scenario
    volumes = _volumes(run)
    outcomes = _outcomes(run, as_of, reference)
    docs = folder / UNHASHED / DATA_DOCS
    write_data_docs(docs, scenario.name, scenario.title, outcomes, volumes, scenario.personal)
    failed = [outcome for outcome in outcomes if not outcome.success and outcome.check.severity == "critical"]
    if failed:
        raise refusal(scenario.name, failed, str(_keep(docs, run.folder / DATA_DOCS) / "index.html"))
    manifests = {name: run.result("ingest", name).manifest for name in scenario.domains}
    passport = write_passport(scenario.name, manifests, reference, outcomes, volumes)
    passport["as_of"] = as_of.isoformat() if as_of else None
    (folder / PASSPORT).write_text(json.dumps(passport, indent=1, sort_keys=True), encoding="utf-8")
    return {
        "failed": passport["failed"],
        "checks": len(outcomes),
        "quarantined": sum(sum(volume.rules.values()) for volume in volumes),
        "data_docs": f"{UNHASHED}/{DATA_DOCS}/index.html",
    }


def _outcomes(run: Run, as_of: datetime | None, reference: "Reference") -> "list[Outcome]":
    import pandas as pd
    import pyarrow.parquet as pq

    from pipeline.data.rules import Times
    from pipeline.data.tables import kind_of
    from pipeline.validation.checking import run_suite
    from pipeline.validation.crossings import DomainTables, crossing_checks
    from pipeline.validation.suites import suite

    times = Times(as_of, run.scenario.split.kind == "time")
    outcomes: list[Outcome] = []
    domains = {}
    for name in run.scenario.domains:
        result = run.result("validate", name)
        frames: dict[str, pd.DataFrame] = {
            table: pq.read_table(run.path(result) / f"{table}.parquet").to_pandas() for table in result.facts
        }
        any_number = name == run.scenario.target and not run.scenario.target_labels
        for table, frame in frames.items():
            checks = suite(kind_of(table), frame, name, times, None if any_number else reference.rows[name])
            outcomes += run_suite(frame, checks, table, name, run.scenario.personal)
        facts = [_facts(result, table) for table in result.facts]
        share = max(
            1 - counts["rows"] / max(counts["rows_read"], 1) if counts["rows_read"] else 0.0 for counts in facts
        )
        domains[name] = DomainTables(frames["interactions"], frames.get("items"), share)
    figures, checks = crossing_checks(run.scenario, domains)
    return [*outcomes, *run_suite(figures, checks, "domains", run.scenario.name, ())]


def _volumes(run: Run) -> "list[Volume]":
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from pipeline.data.rules import Times
    from pipeline.data.tables import kind_of
    from pipeline.validation.data_docs import Volume, rule_examples

    volumes = []
    for name in run.scenario.domains:
        result = run.result("validate", name)
        removed = pq.read_table(run.path(result) / "quarantine.parquet")
        for table in result.facts:
            facts = _facts(result, table)
            columns = {rule.name: rule.column for rule in kind_of(table).rules(Times())}
            rows = removed.filter(pc.equal(removed.column("table"), table))
            examples = rule_examples(rows, columns, run.scenario.personal)
            volumes.append(Volume(name, table, facts["rows_read"], facts["rows"], facts["rules"], examples))
    return volumes


def _keep(docs: Path, final: Path) -> Path:
    """Keep the Data Docs of a refused run, whose folder is not published, beside the run's records."""
    with storage_errors(final.parent):
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=final.parent, prefix=".docs-", suffix=".tmp"))
        shutil.copytree(docs, temporary, dirs_exist_ok=True)
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)
    return final


def _clean_domain(run: Run, name: str, as_of: datetime | None) -> StepResult:
    source = run.result("ingest", name)
    needs_time = run.scenario.split.kind == "time"

    def build(folder: Path, _work: Path) -> Facts:
        import pyarrow as pa
        import pyarrow.parquet as pq

        from pipeline.data.rules import Times
        from pipeline.data.tables import KINDS
        from pipeline.validation.quarantine import sort_rows

        times = Times(as_of, needs_time)
        removed: list[pa.Table] = []
        facts: Facts = {}
        for table, kind in KINDS.items():
            path = run.path(source) / f"{table}.parquet"
            if path.exists():
                rows = pq.read_table(path)
                parts = sort_rows(rows, kind.rules(times))
                pq.write_table(parts.clean, folder / path.name, compression="zstd")
                removed.append(
                    parts.removed.append_column("table", pa.array([table] * len(parts.removed), pa.string()))
                )
                facts[table] = {"rows_read": len(rows), "rows": len(parts.clean), "rules": {**parts.counts}}
        quarantine = pa.concat_tables(removed, promote_options="permissive")
        pq.write_table(quarantine, folder / "quarantine.parquet", compression="zstd")
        return facts

    config = {"as_of": as_of.isoformat() if as_of else None, "needs_time": needs_time}
    return transact(run, "validate", build, inputs={"ingest": source.manifest}, config=config, name=name)


def _reference(run: Run, cleaned: dict[str, StepResult]) -> "Reference":
    from pipeline.validation.passport import find_reference

    manifests = {name: run.result("ingest", name).manifest for name in cleaned}
    rows = {name: _facts(result, "interactions")["rows"] for name, result in cleaned.items()}
    return find_reference(run.home, run.scenario.name, manifests, rows)


def _facts(result: StepResult, table: str) -> dict[str, Any]:
    return cast("dict[str, Any]", result.facts[table])
