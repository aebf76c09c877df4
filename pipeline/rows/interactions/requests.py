"""Requests in, ranked items out: who is served by what, and which items.

Shapes: n requests, B requests of one block, I items of the target, k items asked for.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import columns as c
from pipeline.errors import DataError
from pipeline.past import UNTOLD, Past
from pipeline.rows.asked import lists, lists_beside, times, user_ids, user_places
from pipeline.rows.interactions import reasons
from pipeline.rows.interactions.filters import CANDIDATES, CATEGORIES, filters
from pipeline.rows.interactions.pasts import kind_codes, seconds
from pipeline.rows.kind import EXPLANATION
from pipeline.views import FloatArray, IntArray

if TYPE_CHECKING:
    from pipeline.rows.interactions.served import ServedInteractions

HISTORY, SOURCE_HISTORY = "history", "source_history"
HISTORY_TIMES, HISTORY_EVENTS, TIME = "history_times", "history_events", "time"
REQUEST_COLUMNS = (c.USER, HISTORY, SOURCE_HISTORY, CANDIDATES, CATEGORIES)
SERVED_FROM = ("model", "history", "popularity")
_BLOCK = 256  # requests that are scored at a time: 50 MB at 50,000 items


def answer(model: "ServedInteractions", frame: pd.DataFrame, k: int = 10, explain: int = 0) -> pd.DataFrame:
    """Rank the k best items of the target for each request; items that are in the history are not among them.

    Nor are those of the user's test rows, of which the model knows nothing else.

    Args:
        model: What serves.
        frame: One request a row, of these columns, each of them optional: `user_id` (text or whole number); `history`
            (list of item ids of the target); `source_history` (list of item ids, each looked up in every source). A
            known user is served from what the model was evaluated with, plus the given history. A user id that is no
            known pseudonym is hashed as ingest does, with the key in CROSSLIFT_KEY. `candidates` (list of item ids) and
            `categories` (list) say what may be answered; a request without such a list may get anything. Where the
            model knows times, `time` says when is asked and `history_times` (list) when each thing of `history` was;
            where it knows kinds of event, `history_events` (list) of what kind each was.
        k: How many; at least 1.
        explain: How many things of the history are named that speak most for an item; none: nothing is explained.

    Returns:
        Rows by request and rank: request (row number from 0), user_id (as text), rank (from 1), item_id, title (where
        the catalogue has titles), score (higher is better; where nothing is known: what its training rows count),
        served_from (why the item stands there, model: what is known of the user; history: the given one of an unknown
        user; popularity: neither, anybody would get this score), ignored (how many ids of the history are in no
        catalogue), and `explanation` where one is asked for (of what stands there by popularity, empty).

    Raises:
        ConfigError: CROSSLIFT_KEY is too short.
        DataError: k is below 1 or `explain` below 0, no column is known, a user id is neither text nor whole number, a
            history is no list of strings, a list beside it is not as long, a time cannot be read, or user ids must be
            hashed and CROSSLIFT_KEY did not make the data.
    """
    _check(frame, k)
    reasons.check(explain)
    items = model.items[model.info.target]
    ids = user_ids(frame)
    asked = filters(frame, items, model.info.alike)
    everyone, history, tested = model.everyone
    places = user_places(everyone, model.info, ids)
    users = history[places]
    taken, ignored = _histories(model, frame, users)
    signs = taken.signs()
    some = np.sum([np.diff(matrix.indptr) for matrix in signs.values()], axis=0) > 0
    source = np.where(users >= 0, 0, 1)
    anybody_1I = model.ranker.scores(model.histories.of([-1]))
    says_nothing = bool(np.ptp(anybody_1I) == 0)  # of somebody of whom nothing is known
    counts = items["train_count"].to_numpy(dtype=np.float32)
    by_popularity = np.argsort(-counts, kind="stable")  # ties go to the item that more people took
    judged = model.tested[tested[places]]
    blocks = []
    for first in range(0, len(frame), _BLOCK):
        block = signs.of(slice(first, first + _BLOCK))
        scores_BI = model.ranker.scores(block).astype(np.float32)
        same_BI = scores_BI == anybody_1I
        scores_BI[~some[first : first + _BLOCK] | (same_BI.all(axis=1) & says_nothing)] = counts
        for had in (taken[model.info.target], judged):
            seen = had[first : first + _BLOCK].tocoo()
            scores_BI[seen.row, seen.col] = -np.inf
        for one in asked:
            scores_BI[~one.allows(slice(first, first + _BLOCK))] = -np.inf
        rows, places, values = top_k(scores_BI[:, by_popularity], k)
        chosen_places = by_popularity[places]
        blocks.append((rows + first, chosen_places, values, same_BI[rows, chosen_places]))
    requests, chosen, values, same = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    columns: dict[str, Any] = {
        "request": requests,
        c.USER: ids.to_numpy(dtype=object)[requests],
        "rank": np.arange(len(requests)) - np.searchsorted(requests, requests) + 1,
        c.ITEM: items[c.ITEM].to_numpy(dtype=object)[chosen],
    }
    if c.TITLE in items:
        columns[c.TITLE] = items[c.TITLE].to_numpy(dtype=object)[chosen]
    columns["score"] = values.astype(np.float64)
    columns["served_from"] = np.array(SERVED_FROM, dtype=object)[np.where(same, 2, source[requests])]
    columns["ignored"] = ignored[requests]
    if explain:
        columns[EXPLANATION] = _explanations(model, signs, requests, np.where(same, -1, chosen), explain)
    return pd.DataFrame(columns)


def _explanations(
    model: "ServedInteractions", past: Past, requests: IntArray, items: IntArray, most: int
) -> NDArray[np.object_]:
    """Why each item [n * k] stands there; an item -1 has no reason in the history."""
    told = np.full(len(requests), "", dtype=object)
    target = model.info.target
    for request in np.unique(requests[items >= 0]):
        own, rows = past.of([request]), np.flatnonzero((requests == request) & (items >= 0))
        names = reasons.names_of(own, model.items, target)
        told[rows] = reasons.in_words(reasons.parts(model.ranker, own, items[rows]), names, most)
    return told


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


def _histories(model: "ServedInteractions", frame: pd.DataFrame, users: IntArray) -> tuple[Past, IntArray]:
    """What each request's user (-1: unknown) took in each domain, and how many ids were ignored.

    What a request names counts 1, unless it is known to count more; an entry of 0 is known, and no sign. It came when
    the request says, else nobody knows when, but after all that is known or has a time, in the order of its list, and
    of the target after the sources.
    """
    past, ignored = model.histories.of(users), np.zeros(len(frame), dtype=np.int64)
    if past.timed and TIME in frame:
        past = replace(past, asked=seconds(times(frame[TIME].reset_index(drop=True), TIME, model.info)))
    for column, domains in ((SOURCE_HISTORY, model.info.sources), (HISTORY, (model.info.target,))):
        if column not in frame:
            continue
        rows, ids = lists(frame[column], column, model.info.alike.get(c.ITEM, ()))
        count = np.bincount(rows, minlength=len(frame))
        known, when = np.zeros(len(ids), dtype=bool), _after(past, rows)
        kinds = np.zeros(len(ids), dtype=np.int64)
        if column == HISTORY and past.timed:
            told, texts = lists_beside(frame, HISTORY_TIMES, count, HISTORY, what="times")
            when[told[rows]] = seconds(times(pd.Series(texts, rows[told[rows]], object), HISTORY_TIMES, model.info))
        if column == HISTORY and past.kinds:
            told, texts = lists_beside(frame, HISTORY_EVENTS, count, HISTORY, what="kinds of event")
            kinds[told[rows]] = kind_codes(pd.Series(texts, dtype=object))
        for name in domains:
            places = pd.Index(model.items[name][c.ITEM]).get_indexer(ids)
            found = places >= 0
            past = past.adding(name, rows[found], places[found], when[found], kinds[found])
            known |= found
        ignored += np.bincount(rows[~known], minlength=len(frame))
    return past, ignored


def _after(past: Past, rows: IntArray) -> FloatArray:
    """The order of the entries of some lists [T], of which nobody says when they were: after all that is known."""
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    after: FloatArray = np.maximum(past.latest(), UNTOLD)[rows] + 1 + place
    return after
