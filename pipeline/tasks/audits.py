"""From a task to the audit of its rows."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from pipeline.config import (
    BinaryTask,
    Config,
    MulticlassTask,
    MultilabelTask,
    NextEventTask,
    RankingTask,
    RegressionTask,
)
from pipeline.rows.behaviour import leaks as event_leaks
from pipeline.rows.examples import leaks as example_leaks
from pipeline.rows.examples import likeness as example_likeness
from pipeline.rows.interactions import leaks, likeness

Report = dict[str, Any]


def _interactions(prepared: Any, cold_start: bool) -> tuple[pd.DataFrame, Report]:
    marks, report = leaks.audit(prepared, cold_start)
    return marks, {**report, "give_aways": [], "likeness": likeness.likeness(prepared)}


def _examples(prepared: Any, cold_start: bool) -> tuple[pd.DataFrame, Report]:
    marks, report = example_leaks.audit(prepared, cold_start)
    return marks, {**report, "likeness": example_likeness.likeness(prepared)}


def _events(prepared: Any, cold_start: bool) -> tuple[pd.DataFrame, Report]:
    marks, report = event_leaks.audit(prepared, cold_start)
    return marks, {**report, "give_aways": [], "likeness": example_likeness.likeness(prepared)}


# config class of a task -> audit(prepared domains, whether the test may hold what no training row has)
AUDITS: dict[type[Config], Callable[[Any, bool], tuple[pd.DataFrame, Report]]] = {
    RankingTask: _interactions,
    BinaryTask: _examples,
    MulticlassTask: _examples,
    MultilabelTask: _examples,
    RegressionTask: _examples,
    NextEventTask: _events,
}


def audit_rows(task: Config, prepared: Any, *, cold_start: bool) -> tuple[pd.DataFrame, Report]:
    """Mark the rows that leaks decide, and compare those that choose with those that judge.

    Args:
        task: The scenario's task.
        prepared: The prepared domains.
        cold_start: Whether the test may hold what no training row has.

    Returns:
        (marks: domain, row, kind; JSON values with exact counts by domain, as `likeness` the comparison, and as
        `give_aways` a sentence for each feature that tells the label by itself).
    """
    return AUDITS[type(task)](prepared, cold_start)
