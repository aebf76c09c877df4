"""audit: mark the test rows that leaks decide, and close the passport."""

import json
import logging
from dataclasses import asdict
from functools import partial
from pathlib import Path

from pipeline.folders import hash_file, read_json
from pipeline.results import StepResult
from pipeline.steps.account import accounts
from pipeline.steps.inputs import load_prepared, prepared_inputs
from pipeline.steps.run import Run
from pipeline.steps.transaction import Facts, transact

log = logging.getLogger(__name__)

MARKS = "marks.parquet"


def audit(run: Run) -> StepResult:
    """Audit the prepared splits: `marks.parquet`, `audit.json`, and the passport with the audit's result.

    The fact `marks` is the hash of the marks alone, for steps that use them and not the passport.

    Raises:
        MissingResultError: `prepare` or `validate` did not succeed.
    """
    passport = run.result("validate")
    inputs = {"validate": passport.manifest, **prepared_inputs(run)}
    config = {"sources": run.scenario.sources, "target": run.scenario.target, "cold_start": _expects_cold(run)}
    return transact(run, "audit", partial(_audit, run, passport), inputs=inputs, config=config)


def _expects_cold(run: Run) -> bool:
    """Whether the test may hold what no training row has; without labels of the target nothing in it was seen."""
    return run.scenario.cold_start or run.scenario.split.cold or not run.scenario.target_labels


def _audit(run: Run, passport: StepResult, folder: Path, _work: Path) -> Facts:
    from pipeline.tasks.audits import audit_rows
    from pipeline.validation.passport import PASSPORT

    marks, report = audit_rows(run.scenario.task, load_prepared(run), cold_start=_expects_cold(run))
    for difference in report["likeness"]["differs"]:
        log.warning("validation is not like the test: %s", difference)
    marks.to_parquet(folder / MARKS, index=False, compression="zstd")
    (folder / "audit.json").write_text(json.dumps(report, indent=1, sort_keys=True), encoding="utf-8")
    rows = {account.domain: asdict(account) for account in accounts(run)}
    closed = {**read_json(run.path(passport) / PASSPORT), "splits": prepared_inputs(run), "audit": report, "rows": rows}
    (folder / PASSPORT).write_text(json.dumps(closed, indent=1, sort_keys=True), encoding="utf-8")
    target = report["domains"][run.scenario.target]
    return {
        "marks": hash_file(folder / MARKS),
        "test_rows": target["test_rows"],
        "marked": target["marked"],
        "kinds": target["kinds"],
        "differs": report["likeness"]["differs"],
    }
