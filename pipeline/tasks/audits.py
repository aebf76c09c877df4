"""From a task to the audit of its rows."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from pipeline.config import Config, RankingTask
from pipeline.rows.interactions.leaks import audit
from pipeline.rows.interactions.likeness import likeness

Report = dict[str, Any]


def _interactions(prepared: Any, cold_start: bool) -> tuple[pd.DataFrame, Report]:
    marks, report = audit(prepared, cold_start)
    return marks, {**report, "likeness": likeness(prepared)}


# config class of a task -> audit(prepared domains, whether the test may hold what no training row has)
AUDITS: dict[type[Config], Callable[[Any, bool], tuple[pd.DataFrame, Report]]] = {RankingTask: _interactions}


def audit_rows(task: Config, prepared: Any, *, cold_start: bool) -> tuple[pd.DataFrame, Report]:
    """Mark the rows that leaks decide, and compare those that choose with those that judge.

    Args:
        task: The scenario's task.
        prepared: The prepared domains.
        cold_start: Whether the test may hold what no training row has.

    Returns:
        (marks: domain, row, kind; JSON values with exact counts by domain and, as `likeness`, the comparison).
    """
    return AUDITS[type(task)](prepared, cold_start)
