"""Requests in, ranked items out: who is served by what, and which items.

Shapes: n requests, B requests of one block, I items of the target, k items asked for.
"""

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from pipeline import columns as c
from pipeline.data.pseudonyms import KEY, pseudonymise, read_key
from pipeline.errors import DataError

if TYPE_CHECKING:
    from pipeline.serving.package import ServedModel

HISTORY, SOURCE_HISTORY = "history", "source_history"
REQUEST_COLUMNS = (c.USER, HISTORY, SOURCE_HISTORY)
SERVED_FROM = ("model", "history", "popularity")
_BLOCK = 256  # requests that are scored at a time: 50 MB at 50,000 items

IntArray = NDArray[np.int64]


def answer(model: "ServedModel", frame: pd.DataFrame, k: int = 10) -> pd.DataFrame:
    """Rank the k best items of the target for each request; items that are in the history are not among them.

    Args:
        model: What serves.
        frame: One request a row, of these columns, each of them optional: `user_id` (string); `history` (list of item
            ids of the target); `source_history` (list of item ids, each looked up in every source). A known user is
            served from what the model was evaluated with, plus the given history. With CROSSLIFT_KEY in the environment
            a user id that is no known pseudonym is hashed as ingest does.
        k: How many; at least 1.

    Returns:
        Rows by request and rank: request (row number from 0), user_id (as given), rank (from 1), item_id, title (where
        the catalogue has titles), score (higher is better; from popularity: the number of training rows),
        served_from (model: a known user; history: of an unknown one; popularity: nothing is known),
        ignored (how many ids of the history are in no catalogue).

    Raises:
        DataError: k is below 1, no column is known, or a history is no list of strings.
    """
    _check(frame, k)
    items = model.items[model.info.target]
    users, taken, ignored = _histories(model, frame)
    some = np.sum([np.diff(matrix.indptr) for matrix in taken.values()], axis=0) > 0
    source = np.select([(users >= 0) & some, some], [0, 1], default=2)
    counts = items["train_count"].to_numpy(dtype=np.float32)
    by_popularity = np.argsort(-counts, kind="stable")  # ties go to the item that more people took
    blocks = []
    for first in range(0, len(frame), _BLOCK):
        block = {name: matrix[first : first + _BLOCK] for name, matrix in taken.items()}
        scores_BI = model.ranker.scores(block).astype(np.float32)
        scores_BI[source[first : first + _BLOCK] == 2] = counts
        seen = block[model.info.target].tocoo()
        scores_BI[seen.row, seen.col] = -np.inf
        rows, places, values = top_k(scores_BI[:, by_popularity], k)
        blocks.append((rows + first, by_popularity[places], values))
    requests, chosen, values = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    columns: dict[str, Any] = {
        "request": requests,
        c.USER: _user_ids(frame).to_numpy(dtype=object)[requests],
        "rank": np.arange(len(requests)) - np.searchsorted(requests, requests) + 1,
        c.ITEM: items[c.ITEM].to_numpy(dtype=object)[chosen],
    }
    if c.TITLE in items:
        columns[c.TITLE] = items[c.TITLE].to_numpy(dtype=object)[chosen]
    columns["score"] = values.astype(np.float64)
    columns["served_from"] = np.array(SERVED_FROM, dtype=object)[source[requests]]
    columns["ignored"] = ignored[requests]
    return pd.DataFrame(columns)


def top_k(scores_BI: NDArray[np.float32], k: int) -> tuple[IntArray, IntArray, NDArray[np.float32]]:
    """Choose the k highest finite scores of each row, best first; of equal scores the one further left.

    Returns:
        Row, column and score of each choice; a row with fewer than k finite scores gives as many as it has.
    """
    k = min(k, scores_BI.shape[1])
    border_B1 = -np.partition(-scores_BI, k - 1, axis=1)[:, k - 1 : k]
    above_BI, equal_BI = scores_BI > border_B1, scores_BI == border_B1
    room_B1 = k - above_BI.sum(axis=1, keepdims=True)
    rows, columns = np.nonzero(above_BI | (equal_BI & (np.cumsum(equal_BI, axis=1, dtype=np.int32) <= room_B1)))
    values = scores_BI[rows, columns]
    order = np.lexsort((columns, -values, rows))
    order = order[np.isfinite(values[order])]
    return rows[order].astype(np.int64), columns[order].astype(np.int64), values[order]


def _check(frame: pd.DataFrame, k: int) -> None:
    if k < 1:
        raise DataError(f"k: expected at least 1 item to recommend, got {k}.")
    if not set(REQUEST_COLUMNS) & set(frame.columns):
        raise DataError(
            f"request: expected one of the columns {', '.join(REQUEST_COLUMNS)}, got "
            f"{', '.join(map(str, frame.columns)) or 'none'}."
        )
    if frame.empty:
        raise DataError("request: expected at least one row, got none.")


def _histories(model: "ServedModel", frame: pd.DataFrame) -> tuple[IntArray, dict[str, sparse.csr_matrix], IntArray]:
    """Place of each user (-1: unknown), what each request's user took in each domain, and ids that were ignored."""
    users = _user_places(model, frame)
    taken = {name: matrix[users] for name, matrix in model.histories.items()}
    ignored = np.zeros(len(frame), dtype=np.int64)
    groups = ((HISTORY, (model.info.target,)), (SOURCE_HISTORY, model.info.sources))
    for column, domains in groups:
        if column not in frame:
            continue
        rows, ids = _lists(frame[column], column)
        known = np.zeros(len(ids), dtype=bool)
        for name in domains:
            places = pd.Index(model.items[name][c.ITEM]).get_indexer(ids)
            found = places >= 0
            given = (np.ones(found.sum(), dtype=np.float32), (rows[found], places[found]))
            taken[name] = taken[name] + sparse.csr_matrix(given, shape=taken[name].shape)
            taken[name].data[:] = 1.0
            known |= found
        ignored += np.bincount(rows[~known], minlength=len(frame))
    return users, taken, ignored


def _lists(column: "pd.Series[Any]", name: str) -> tuple[IntArray, pd.Index]:
    """Row and id of each entry of a column of lists; None is an empty list."""
    if any(isinstance(value, str) for value in column):
        raise DataError(f"{name}: expected a list of item ids in each row, got a string; write ['B01', 'B02'].")
    try:
        lists = pa.array(column.tolist(), type=pa.list_(pa.string()), from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{name}: expected a list of item ids (strings) or nothing in each row ({error}).") from error
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    ids = lists.flatten().to_numpy(zero_copy_only=False)
    return np.repeat(np.arange(len(lists)), lengths), pd.Index(ids, dtype=object)


def _user_ids(frame: pd.DataFrame) -> "pd.Series[Any]":
    """Read the user ids as given; None where there is none."""
    if c.USER not in frame:
        return pd.Series([None] * len(frame), dtype=object)
    given = frame[c.USER].astype(object)
    return given.where(given.notna(), None)


def _user_places(model: "ServedModel", frame: pd.DataFrame) -> IntArray:
    """Place of each request's user in the package; -1 where unknown."""
    ids = _user_ids(frame)
    places = model.users.get_indexer(pd.Index(ids.to_numpy(dtype=object), dtype=object)).astype(np.int64)
    unknown = (places < 0) & ids.notna().to_numpy()
    if unknown.any() and not model.info.pseudonymous and os.environ.get(KEY):
        plain = pa.chunked_array([pa.array(ids[unknown].tolist(), pa.string())])
        hashed = pseudonymise(plain, read_key()).to_pylist()
        places[unknown] = model.users.get_indexer(pd.Index(hashed, dtype=object))
    return places
