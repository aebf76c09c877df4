"""Recommendations for the shell: requests by options, answered as `crosslift predict` answers a file."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline import columns as c
from pipeline.cli.predicting import predict
from pipeline.errors import DataError
from pipeline.rows.interactions.requests import HISTORY, SOURCE_HISTORY
from pipeline.rows.kind import EXPLAIN


def recommend(
    model: Path,
    users: Sequence[str] = (),
    history: Sequence[str] = (),
    source_history: Sequence[str] = (),
    k: int = 10,
    explain: int = 0,
) -> pd.DataFrame:
    """Rank the k best items for each user, or for one history that belongs to nobody known.

    Args:
        model: The MLflow model folder (`pipeline.registry.lookup.model_folder`).
        users: User ids; each is a request, to which the histories are added.
        history: Item ids of the target.
        source_history: Item ids of the sources.
        k: How many; at least 1.
        explain: How many things of the history to name for each.

    Returns:
        One row a recommendation, as `pipeline.rows.interactions.requests.answer` tells.

    Raises:
        DataError: neither a user nor a history is given, or k is below 1.
    """
    if not users and not history and not source_history:
        raise DataError("request: expected a user id or a history of item ids, got neither.")
    ids: list[str | None] = [*users] or [None]
    frame = pd.DataFrame({c.USER: pd.Series(ids, dtype=object)})
    frame[HISTORY] = [list(history)] * len(ids)
    frame[SOURCE_HISTORY] = [list(source_history)] * len(ids)
    return predict(model, frame, {"k": k, **({EXPLAIN: explain} if explain else {})})
