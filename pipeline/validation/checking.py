"""Great Expectations at work: suites in, outcomes out, and no personal value in either."""

import logging
import math
import os
import warnings
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from pipeline.data.rules import Check

EXAMPLES = 5  # values shown of a column that broke a rule


@dataclass(frozen=True)
class Outcome:
    """What one check found; `examples` is empty for personal columns."""

    table: str
    domain: str
    check: Check
    success: bool
    observed: str
    examples: tuple[str, ...] = ()


@cache
def load() -> Any:
    """Great Expectations without analytics; its import warns about parts of Python that it still uses."""
    os.environ["GX_ANALYTICS_ENABLED"] = "False"  # read when the package is imported
    logging.getLogger("great_expectations").setLevel(logging.WARNING)  # a hundred lines about its own parts
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations
        import great_expectations.data_context.types.base
        import great_expectations.execution_engine.pandas_execution_engine as engine
        import great_expectations.expectations
    engine.HASH_THRESHOLD = 0  # it would hash each table twice, for a mark of the batch that nobody reads
    return great_expectations


def run_suite(
    frame: pd.DataFrame, checks: Iterable[Check], table: str, domain: str, personal: Collection[str]
) -> list[Outcome]:
    """Check a table with Great Expectations, in a context of its own that leaves no files.

    Args:
        frame: The table.
        checks: Its suite; a check of a column that is absent must be `ExpectColumnToExist`.
        table: What the outcomes call the table.
        domain: The domain, or the scenario where the domains are looked at together.
        personal: Columns whose values must not appear in an outcome.
    """
    gx = load()
    base = gx.data_context.types.base  # without a site of its own: `data_docs` writes ours
    settings = base.DataContextConfig(store_backend_defaults=base.InMemoryStoreBackendDefaults())
    context = gx.get_context(mode="ephemeral", project_config=settings)
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("tables").add_dataframe_asset(table)
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
    listed = list(checks)
    suite = gx.ExpectationSuite(
        name=table,
        expectations=[
            getattr(gx.expectations, check.expectation)(
                **check.arguments, severity=check.severity, meta={"rule": check.rule, "place": place}
            )
            for place, check in enumerate(listed)
        ],
    )
    form = {"result_format": "BASIC", "partial_unexpected_count": EXAMPLES}
    results = batch.validate(suite, result_format=form).to_json_dict()["results"]
    found = {result["expectation_config"]["meta"]["place"]: result for result in results}
    return [
        _outcome(found[place], check, table, domain, not set(check.columns).isdisjoint(personal), _figure(frame, check))
        for place, check in enumerate(listed)
    ]


def refusal(scenario: str, outcomes: Iterable[Outcome]) -> str:
    """What stops a run: each critical rule that failed, where, what was expected, and what to do."""
    lines = [
        f"- {outcome.table} of {outcome.domain}{_where(outcome.check)}: {outcome.check.rule}: expected "
        f"{outcome.check.expected}, got {outcome.observed}. To do: {outcome.check.remedy}."
        for outcome in outcomes
    ]
    rules = "1 critical rule" if len(lines) == 1 else f"{len(lines)} critical rules"
    return "\n".join([f"{scenario}: validation refused the data: {rules} failed.", *lines])


def _where(check: Check) -> str:
    return f", column {', '.join(check.columns)}" if check.columns else ""


def _outcome(
    result: dict[str, Any], check: Check, table: str, domain: str, personal: bool, figure: float | None
) -> Outcome:
    success, details = bool(result["success"]), result["result"]
    counted = details.get("unexpected_count")
    examples: tuple[str, ...] = ()
    if _raised(result["exception_info"]):
        observed = "values that could not be compared"  # the message of an exception may quote a value
    elif "observed_value" in details:
        seen = details["observed_value"]
        safe = not personal or isinstance(seen, int) or check.expectation == "ExpectColumnValuesToBeOfType"
        observed = _number(seen) if safe else "a personal value"  # a count or a type tells nothing of anyone
    elif counted is not None:
        observed = f"{counted:,} of {details['element_count']:,} rows break it"
        if figure is not None and not personal:
            observed = _number(figure)
        elif counted and not personal and len(check.columns) == 1:
            examples = tuple(dict.fromkeys(str(value) for value in details["partial_unexpected_list"]))
    else:
        observed = "present" if success else "absent"
    return Outcome(table, domain, check, success, observed, examples)


def _figure(frame: pd.DataFrame, check: Check) -> float | None:
    """The number that a check looks at where there is one row of figures: nobody asks how many rows break it."""
    if len(frame) != 1 or len(check.columns) != 1:
        return None
    value = frame[check.columns[0]].iloc[0]
    return float(value) if isinstance(value, int | float | np.integer) else None


def _raised(info: dict[str, Any]) -> bool:
    """Whether an exception stands in a result, alone or by metric."""
    if "raised_exception" in info:
        return bool(info["raised_exception"])
    return any(part.get("raised_exception") for part in info.values())


def _number(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return f"{value:,.4g}" if isinstance(value, float) and value % 1 else f"{int(value):,}"
    return str(value)
