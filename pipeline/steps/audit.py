"""audit: mark the test rows that leaks decide, and close the passport."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import AuditSettings
from pipeline.folders import read_json
from pipeline.results import AUDIT, CLEAN, PREPARE, VALIDATE, AuditFacts, Finding, StepResult
from pipeline.runs.account import account_of, ignored, ignored_rows, spellings
from pipeline.runs.inputs import MARKS, load_prepared
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import facts_of, transact

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from pipeline.rows.kind import Prepared


def audit(run: Run) -> StepResult[AuditFacts]:
    """Audit the prepared splits: `marks.parquet`, `audit.json`, and the passport with the audit's result.

    Without labels of the target nothing in it was seen, so that the test may hold what no training row has.

    Raises:
        MissingResultError: `prepare` or `validate` did not succeed.
        DataError: the validation rows without marks could choose nothing.
    """
    run.forget(AUDIT)
    scenario = run.scenario
    cold = scenario.cold_start or scenario.split.cold or not scenario.target_labels
    cleaned = {f"clean.{name}": run.input(CLEAN, name) for name in scenario.domains}
    inputs = {"validate": run.input(VALIDATE), **cleaned, **run.prepared()}
    settings = AuditSettings.of(
        scenario, task=scenario.task.as_rows(), cold_start=cold, by_time=scenario.split.needs_time, began=_began(run),
        ignored=ignored_rows(run), spellings=spellings(run),
    )  # fmt: skip
    return transact(run, AUDIT, build, settings, inputs)


def _began(run: Run) -> str | None:
    """When the run began, if a row of the target is later: else nothing hangs on it, and no night differs."""
    latest = run.result(PREPARE, run.scenario.target).facts.latest
    late = run.began and latest and datetime.fromisoformat(latest) > datetime.fromisoformat(run.began)
    return run.began if late else None


def _marks_of_folds(settings: AuditSettings, prepared: "Prepared") -> "Iterator[pd.DataFrame]":
    """Marks of training rows that choose: those that each fold has while the others train."""
    from pipeline import columns as c
    from pipeline.tasks.audits import audit_rows
    from pipeline.views import ROW

    folds = prepared.folds()
    for fold in folds if len(folds) > 1 else ():
        marks, _ = audit_rows(settings.task, fold, cold_start=settings.cold_start)
        choosing = fold.held_out(c.VALID).rows[ROW]
        yield marks[(marks["domain"] == settings.target) & marks["row"].isin(choosing)]


def build(settings: AuditSettings, inputs: Mapping[str, Folder], folder: Path, _work: Path) -> AuditFacts:
    """Write the marks, what they count, and the closed passport."""
    import pandas as pd

    from pipeline.evaluation.choosing import Folds
    from pipeline.tasks.audits import audit_rows
    from pipeline.validation.passport import PASSPORT

    prepared = load_prepared(settings, inputs)
    marks, report = audit_rows(settings.task, prepared, cold_start=settings.cold_start)
    marks = pd.concat([marks, *_marks_of_folds(settings, prepared)]).drop_duplicates(ignore_index=True)
    found = _findings(settings, inputs, prepared, report)
    report["findings"] = [one.model_dump() for one in found]
    marks.to_parquet(folder / MARKS, index=False, compression="zstd")
    if settings.target_labels:
        Folds.of_target(settings, prepared, folder / MARKS).refuse_undefined()
    (folder / "audit.json").write_text(json.dumps(report, indent=1, sort_keys=True), encoding="utf-8")
    closed = {
        **read_json(inputs["validate"].path / PASSPORT),
        "splits": {key: one.identity for key, one in inputs.items() if key.startswith("prepare.")},
        "audit": report,
        "rows": {name: _account(name, inputs) for name in settings.domains},
    }
    (folder / PASSPORT).write_text(json.dumps(closed, indent=1, sort_keys=True), encoding="utf-8")
    target = report["domains"][settings.target]
    return AuditFacts(
        test_rows=target["test_rows"],
        marked=target["marked"],
        kinds=target["kinds"],
        findings=found,
    )


def _findings(
    settings: AuditSettings, inputs: Mapping[str, Folder], prepared: "Prepared", report: dict[str, Any]
) -> tuple[Finding, ...]:
    """All that a person should know before any number: of the tables, of the prepared rows, of what was left out."""
    from pipeline.rows.findings import findings

    unlike, told = report["likeness"]["differs"], report["give_aways"]
    return (
        *ignored(settings.ignored, settings.domains),
        *(Finding(rule="several_spellings", where="ids", what=one, remedy="look how the tables write their ids")
          for one in settings.spellings),
        *facts_of(VALIDATE, inputs["validate"].path).findings,
        *findings(prepared, settings),
        *(Finding(rule="unlike_the_test", where=settings.target, what=f"validation is not like the test: {one}",
                  remedy="choose a split whose validation rows are met as test rows are") for one in unlike),
        *(Finding(rule="gives_the_label_away", where="features", what=one,
                  remedy="look whether it is known before the answer is, else leave it out") for one in told),
    )  # fmt: skip


def _account(name: str, inputs: Mapping[str, Folder]) -> dict[str, object]:
    cleaned, prepared = inputs[f"clean.{name}"].path, inputs[f"prepare.{name}"].path
    return asdict(account_of(name, facts_of(CLEAN, cleaned), facts_of(PREPARE, prepared)))
