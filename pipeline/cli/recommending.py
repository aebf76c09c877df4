"""Recommendations for the shell: the same predictor as `mlflow.pyfunc.load_model(...).predict(...)`."""

import csv
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import columns as c
from pipeline.errors import DataError
from pipeline.rows.interactions.requests import HISTORY, SOURCE_HISTORY

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet may run when a cell begins with it


def recommend(
    model: Path,
    users: Sequence[str] = (),
    history: Sequence[str] = (),
    source_history: Sequence[str] = (),
    k: int = 10,
) -> list[dict[str, Any]]:
    """Rank the k best items for each user, or for one history that belongs to nobody known.

    Args:
        model: The MLflow model folder (`pipeline.registry.lookup.model_folder`).
        users: User ids; each is a request, to which the histories are added.
        history: Item ids of the target.
        source_history: Item ids of the sources.
        k: How many; at least 1.

    Returns:
        One mapping a recommendation, as `pipeline.rows.interactions.requests.answer` tells.

    Raises:
        DataError: neither a user nor a history is given, or k is below 1.
    """
    if not users and not history and not source_history:
        raise DataError("request: expected a user id or a history of item ids, got neither.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own type hints while it is imported
        from mlflow.pyfunc import load_model
    from pipeline.serving.package import rows_of

    ids: list[str | None] = [*users] or [None]
    frame = pd.DataFrame({c.USER: pd.Series(ids, dtype=object)})
    frame[HISTORY] = [list(history)] * len(ids)
    frame[SOURCE_HISTORY] = [list(source_history)] * len(ids)
    answer = load_model(str(model)).predict(frame, params={"k": k})
    return rows_of(pd.DataFrame(answer))


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Recommendations as CSV; a cell that a spreadsheet would take for a formula gets an apostrophe before it."""
    text = io.StringIO()
    writer = csv.DictWriter(
        text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC
    )
    writer.writeheader()
    writer.writerows({key: defused(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def defused(value: Any) -> Any:
    """A value that no spreadsheet runs."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
