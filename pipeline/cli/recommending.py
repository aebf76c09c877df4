"""Recommendations for the shell: requests by options, answered as `crosslift predict` answers a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from pipeline import columns as c
from pipeline.cli.predicting import predict, read_requests
from pipeline.errors import DataError
from pipeline.rows.asked import as_id
from pipeline.rows.interactions.requests import HISTORY, SOURCE_HISTORY


def recommend(
    model: Path,
    users: Sequence[str] = (),
    history: Sequence[str] = (),
    source_history: Sequence[str] = (),
    filters: Mapping[str, Sequence[str]] | None = None,
    params: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Rank the best items for each user, or for one history that belongs to nobody known.

    Args:
        model: The MLflow model folder (`pipeline.registry.lookup.model_folder`).
        users: User ids; each is a request, to which the histories are added.
        history: Item ids of the target.
        source_history: Item ids of the sources.
        filters: Lists by the name of their column of a request, `candidates` or `categories`.
        params: `k`, how many, and `explain`, how many things of the history are named for each.

    Returns:
        One row a recommendation, as `pipeline.rows.interactions.requests.answer` tells.

    Raises:
        DataError: neither a user nor a history is given, or a parameter or filter is refused.
    """
    if not users and not history and not source_history:
        raise DataError("request: expected a user id or a history of item ids, got neither.")
    ids: list[str | None] = [*users] or [None]
    frame = pd.DataFrame({c.USER: pd.Series(ids, dtype=object)})
    for column, listed in {HISTORY: history, SOURCE_HISTORY: source_history, **(filters or {})}.items():
        frame[column] = [list(listed)] * len(ids)
    return predict(model, frame, params)


def items_of(path: Path) -> list[str]:
    """The item ids that a file lists.

    Raises:
        DataError: the file cannot be read, or has no column of them.
    """
    table = read_requests(path)
    if c.ITEM not in table:
        raise DataError(f"{path}: expected a column {c.ITEM}, got {', '.join(map(str, table.columns))}.")
    found = (as_id(item, c.ITEM) for item in table[c.ITEM])
    return [item.strip() for item in found if item is not None and item.strip()]
