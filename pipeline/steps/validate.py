"""validate: rows that break a row rule go to quarantine, table rules give a passport or stop the run."""

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import columns as c
from pipeline.config import CheckSettings, CleanSettings
from pipeline.errors import RefusedError
from pipeline.folders import UNHASHED, storage_errors, vanish
from pipeline.results import CLEAN, INGEST, VALIDATE, CleanFacts, Finding, StepResult, TableCounts, ValidateFacts
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import facts_of, transact

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from pipeline.validation.checking import Outcome
    from pipeline.validation.data_docs import Volume
    from pipeline.validation.passport import Reference

DATA_DOCS = "data_docs"
CROSSED = "domains"  # what outcomes call the table of figures about the domains together


def validate(run: Run, as_of: datetime | None = None) -> StepResult[ValidateFacts]:
    """Clean each domain, check all tables, and issue the passport.

    Args:
        run: The run; its `ingest` results are read.
        as_of: End of the run's data interval, so that "in the future" needs no clock; None: only the wide range counts.

    Raises:
        RefusedError: a critical rule failed. The Data Docs then lie in the run's folder, and no result of this step
            is left, so that no later step can use the tables.
        MissingResultError: `ingest` did not succeed.
    """
    scenario = run.scenario
    run.forget(VALIDATE)
    for name in scenario.domains:
        run.forget(CLEAN, name)
    until = as_of.isoformat() if as_of else None
    settings = CleanSettings(task=scenario.task.as_tables(), as_of=until, needs_time=scenario.split.needs_time)
    snapshots = {name: run.input(INGEST, name) for name in scenario.domains}
    cleaned = {name: transact(run, CLEAN, clean, settings, {"ingest": one}, name) for name, one in snapshots.items()}
    reference = _reference(run, cleaned)
    readers = (("model", scenario.model), *(("baseline", one) for one in scenario.baselines))
    ordered = tuple(f"{what} {one.name}" for what, one in readers if one.ordered)
    checks = CheckSettings.of(
        scenario, task=scenario.task.as_tables(), as_of=until, reference_content=reference.content,
        reference_rows=dict(reference.rows), ordered=ordered,
    )  # fmt: skip
    inputs = {f"ingest.{name}": one for name, one in snapshots.items()}
    inputs |= {f"clean.{name}": run.input(CLEAN, name) for name in cleaned}
    try:
        return transact(run, VALIDATE, check, checks, inputs)
    except BaseException as error:
        for name in cleaned:
            run.forget(CLEAN, name)
        if isinstance(error, _BrokenRulesError):
            docs = _keep(error.work / DATA_DOCS, run.folder / DATA_DOCS) / "index.html"
            vanish(error.work)
            raise RefusedError(f"{error}\nData Docs: {docs}") from None
        raise


class _BrokenRulesError(RefusedError):
    """A critical rule failed; the pages lie in the folder `work` until the run keeps them."""

    def __init__(self, message: str, work: Path) -> None:
        super().__init__(message)
        self.work = work


def clean(settings: CleanSettings, inputs: Mapping[str, Folder], folder: Path, _work: Path) -> CleanFacts:
    """Part the rows of a domain's tables by the row rules: each table by its name, and `quarantine.parquet`.

    Rows of which a value could not be read stand there as well, with the place of that value.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pipeline.data.rules import Times
    from pipeline.tasks.tables import tables_of
    from pipeline.validation.quarantine import sort_rows, unread_counts

    kinds = tables_of(settings.task)
    times = Times(_instant(settings.as_of), settings.needs_time)
    removed: list[pa.Table] = []
    unread = _unreadable(inputs["ingest"])
    counts = {}
    for table, kind in kinds.items():
        path = inputs["ingest"].path / f"{table}.parquet"
        if path.exists():
            rows = pq.read_table(path)
            named = any(column in rows.column_names for column in kind.key.columns)
            parts = sort_rows(rows, kind.rules(times), named=named)
            pq.write_table(parts.clean, folder / path.name, compression="zstd")
            removed.append(parts.removed.append_column(c.TABLE, pa.array([table] * len(parts.removed), pa.string())))
            broken = unread_counts(unread, table)
            read = len(rows) + sum(broken.values())
            counts[table] = TableCounts(rows_read=read, rows=len(parts.clean), rules={**broken, **parts.counts})
    quarantine = pa.concat_tables([*removed, *([] if unread is None else [unread])], promote_options="permissive")
    pq.write_table(quarantine, folder / "quarantine.parquet", compression="zstd")
    return CleanFacts(tables=counts, main=next(table for table in counts if kinds[table].main))


def _unreadable(ingested: Folder) -> "pa.Table | None":
    """The rows of a domain of which a value could not be read, as they stand in quarantine."""
    import pyarrow.parquet as pq

    from pipeline.data.snapshot import UNREADABLE
    from pipeline.validation.quarantine import with_rule

    path = ingested.path / UNREADABLE
    return with_rule(pq.read_table(path)) if path.exists() else None


def check(settings: CheckSettings, inputs: Mapping[str, Folder], folder: Path, work: Path) -> ValidateFacts:
    """Run the suites and issue the passport.

    Raises:
        RefusedError: a critical rule failed; the Data Docs lie in `work`.
    """
    from pipeline.validation.checking import refusal
    from pipeline.validation.data_docs import write_data_docs
    from pipeline.validation.passport import PASSPORT, Reference, write_passport

    reference = Reference(settings.reference_content, settings.reference_rows)
    volumes = _volumes(settings, inputs)
    outcomes, shares = _outcomes(settings, inputs, volumes)
    docs = folder / UNHASHED / DATA_DOCS
    write_data_docs(docs, settings.name, settings.title, outcomes, volumes, settings.personal)
    failed = [outcome for outcome in outcomes if not outcome.success and outcome.check.severity == "critical"]
    if failed:
        _keep(docs, work / DATA_DOCS)
        raise _BrokenRulesError(refusal(settings.name, failed), work)
    manifests = {name: inputs[f"ingest.{name}"].identity for name in settings.domains}
    passport = write_passport(settings.name, manifests, reference, outcomes, volumes)
    passport["as_of"] = settings.as_of
    (folder / PASSPORT).write_text(json.dumps(passport, indent=1, sort_keys=True), encoding="utf-8")
    return ValidateFacts(
        failed=passport["failed"],
        checks=len(outcomes),
        quarantined=sum(sum(volume.rules.values()) for volume in volumes),
        data_docs=f"{UNHASHED}/{DATA_DOCS}/index.html",
        findings=tuple(_finding(one) for one in outcomes if not one.success and one.check.severity == "warning"),
        shares=shares,
    )


def _finding(outcome: "Outcome") -> Finding:
    """A warning in the words of its rule; a figure about the domains is called by its name."""
    columns = ", ".join(outcome.check.columns)
    where = f"{outcome.table} of {outcome.domain}" if outcome.table != CROSSED else ""
    place = f"{where}, column {columns}" if where and columns else where or columns
    check = outcome.check
    return Finding(
        rule=check.rule, where=place, what=f"expected {check.expected}, got {outcome.observed}", remedy=check.remedy
    )


def _outcomes(
    settings: CheckSettings, inputs: Mapping[str, Folder], volumes: "Sequence[Volume]"
) -> "tuple[list[Outcome], dict[str, float]]":
    """What the suites say of each table and of the domains together, and the shares that these have in common."""
    import pyarrow.parquet as pq

    from pipeline.data.rules import Times
    from pipeline.rows.figures import SHARE
    from pipeline.rows.kind import CleanTables
    from pipeline.tasks.crossings import check_crossings
    from pipeline.tasks.tables import tables_of
    from pipeline.validation.checking import run_suite
    from pipeline.validation.suites import suite

    times = Times(_instant(settings.as_of), settings.split.needs_time)
    kinds = tables_of(settings.task)
    outcomes: list[Outcome] = []
    domains = {}
    for name in settings.domains:
        counts, folder = _counts(inputs, name), inputs[f"clean.{name}"].path
        frames: dict[str, pd.DataFrame] = {
            table: pq.read_table(folder / f"{table}.parquet").to_pandas() for table in counts
        }
        any_number = name == settings.target and not settings.target_labels
        volume = None if any_number else settings.reference_rows[name]
        for table, frame in frames.items():
            checks = suite(kinds[table], frame, name, times, volume)
            outcomes += run_suite(frame, checks, table, name, settings.personal)
        share = max(one.lost for one in counts.values())
        domains[name] = CleanTables(frames, share, _worst(one for one in volumes if one.domain == name))
    figures, found = check_crossings(settings, domains)
    shares = {str(name): float(value) for name, value in figures.iloc[0].items() if str(name).startswith(SHARE)}
    return [*outcomes, *run_suite(figures, found, CROSSED, settings.name, ())], shares


def _volumes(settings: CheckSettings, inputs: Mapping[str, Folder]) -> "list[Volume]":
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from pipeline.data.rules import Times
    from pipeline.tasks.tables import tables_of
    from pipeline.validation.data_docs import Volume, rule_examples
    from pipeline.validation.quarantine import unread_examples

    kinds, volumes = tables_of(settings.task), []
    for name in settings.domains:
        removed = pq.read_table(inputs[f"clean.{name}"].path / "quarantine.parquet")
        for table, counts in _counts(inputs, name).items():
            columns = {rule.name: rule.column for rule in kinds[table].rules(Times())}
            rows = removed.filter(pc.equal(removed.column(c.TABLE), table))
            examples = rule_examples(rows, columns, settings.personal)
            examples |= unread_examples(rows, settings.personal)
            volumes.append(Volume(name, table, counts.rows_read, counts.rows, counts.rules, examples))
    return volumes


def _worst(volumes: "Iterable[Volume]") -> str:
    """What took most of the rows of the table that lost most, how many, and one of them."""
    lost = max(volumes, key=lambda one: 1 - one.rows / max(one.rows_read, 1))
    if not lost.rules:
        return ""
    rule = max(lost.rules, key=lambda name: lost.rules[name])
    example = ", such as ".join(["", *lost.examples.get(rule, ())[:1]])
    return f"most of {lost.table} left by {rule}, {lost.rules[rule]:,} of {lost.rows_read:,} rows{example}"


def _counts(inputs: Mapping[str, Folder], name: str) -> dict[str, TableCounts]:
    return facts_of(CLEAN, inputs[f"clean.{name}"].path).tables


def _keep(docs: Path, final: Path) -> Path:
    """Keep the Data Docs of a refused run, whose folder is not published."""
    with storage_errors(final.parent):
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=final.parent, prefix=".docs-", suffix=".tmp"))
        shutil.copytree(docs, temporary, dirs_exist_ok=True)
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)
    return final


def _reference(run: Run, cleaned: Mapping[str, StepResult[CleanFacts]]) -> "Reference":
    from pipeline.validation.passport import find_reference

    manifests = {name: run.result(INGEST, name).manifest for name in cleaned}
    rows = {name: result.facts.learnt.rows for name, result in cleaned.items()}
    main = next(result.facts.main for result in cleaned.values())
    return find_reference(run.home, run.scenario.name, main, manifests, rows)


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
