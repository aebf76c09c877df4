"""audit: mark the test rows that leaks decide, and close the passport."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from pipeline.config import AuditSettings
from pipeline.folders import read_json
from pipeline.results import AUDIT, CLEAN, PREPARE, VALIDATE, AuditFacts, StepResult
from pipeline.runs.account import account_of
from pipeline.runs.inputs import MARKS, load_prepared
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import facts_of, transact

log = logging.getLogger(__name__)


def audit(run: Run) -> StepResult[AuditFacts]:
    """Audit the prepared splits: `marks.parquet`, `audit.json`, and the passport with the audit's result.

    Without labels of the target nothing in it was seen, so that the test may hold what no training row has.

    Raises:
        MissingResultError: `prepare` or `validate` did not succeed.
    """
    run.forget(AUDIT)
    scenario = run.scenario
    cold = scenario.cold_start or scenario.split.cold or not scenario.target_labels
    cleaned = {f"clean.{name}": run.input(CLEAN, name) for name in scenario.domains}
    inputs = {"validate": run.input(VALIDATE), **cleaned, **run.prepared()}
    return transact(
        run, AUDIT, build, AuditSettings.of(scenario, task=scenario.task.as_rows(), cold_start=cold), inputs
    )


def build(settings: AuditSettings, inputs: Mapping[str, Folder], folder: Path, _work: Path) -> AuditFacts:
    """Write the marks, what they count, and the closed passport."""
    from pipeline.tasks.audits import audit_rows
    from pipeline.validation.passport import PASSPORT

    marks, report = audit_rows(settings.task, load_prepared(settings, inputs), cold_start=settings.cold_start)
    for difference in report["likeness"]["differs"]:
        log.warning("validation is not like the test: %s", difference)
    for told in report["give_aways"]:
        log.warning("%s", told)
    marks.to_parquet(folder / MARKS, index=False, compression="zstd")
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
        differs=tuple(report["likeness"]["differs"]),
        give_aways=tuple(report["give_aways"]),
    )


def _account(name: str, inputs: Mapping[str, Folder]) -> dict[str, object]:
    cleaned, prepared = inputs[f"clean.{name}"].path, inputs[f"prepare.{name}"].path
    return asdict(account_of(name, facts_of(CLEAN, cleaned), facts_of(PREPARE, prepared)))
