"""What serves next events: a known user or a log in, the probability of each kind of event out.

Shapes: n requests, T events of all of them, K kinds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from pipeline import columns as c
from pipeline.config import NextEventTask, TaskConfig
from pipeline.config.tasks import GAPS
from pipeline.data.tokens import stable_hash
from pipeline.errors import ConfigError, DataError, StorageError, UserError
from pipeline.rows.asked import lists, lists_beside, times, user_ids, user_places
from pipeline.rows.behaviour.logs import Logs, kind_codes, kinds_of, seconds
from pipeline.rows.behaviour.prepared import EventRows
from pipeline.rows.behaviour.told import told
from pipeline.rows.examples.carried import carried
from pipeline.rows.examples.explaining import explanations
from pipeline.rows.examples.served import PROBABILITY, UNKNOWN
from pipeline.rows.kind import EXPLAIN, EXPLANATION, Carried, PackageInfo
from pipeline.rows.learnt import Learnt
from pipeline.views import Features, IntArray, Mask

EVENTS, ITEMS, TIMES = "events", "items", "times"
_OWN = 0  # the target among the domains of a request; 1 is any other
SERVED_FROM = ("log", "known", "nothing")
_LOG, _TASK = "log.parquet", "task.json"


@dataclass(frozen=True)
class ServedEvents:
    """A package in memory.

    Args:
        info: What the package is.
        predictor: The evaluated model.
        task: Which kinds of event are told apart.
        log: What is known of users, sorted by them: user_id, kind, item (numbers), when, and whether it is of
            the target (own).
        timed: Whether `when` is in seconds.
        learnt: The rows that were learnt from.
    """

    info: PackageInfo
    predictor: Any
    task: NextEventTask
    log: pd.DataFrame
    timed: bool
    learnt: Learnt

    @property
    def requests(self) -> dict[str, str]:
        """A user, or what somebody did; each may be left out."""
        return {c.USER: "any", EVENTS: "texts", ITEMS: "texts", TIMES: "texts"}

    def answer(self, frame: pd.DataFrame, params: Mapping[str, Any]) -> pd.DataFrame:
        """Say of each request which kind of event follows.

        Args:
            frame: One request a row, of these columns, each of them optional: `user_id`, whose log is known as far as
                the model's tables go; `events`, the kinds of event of a log, the oldest first, which is then the whole
                of it; `items` and `times` of the same events. With times they are the order.
            params: `explain`: how many features are named that say most; none: nothing is explained.

        Returns:
            request (row number from 0), user_id (as text), event (the kind that is most probable), probability (of
            it), a column `probability_KIND` for each, served_from (log: the given one; known: that of a known user;
            nothing), unknown (how many given events are of kinds that the model does not tell apart), and explanation
            where one is asked for.

        Raises:
            ConfigError: CROSSLIFT_KEY is too short.
            DataError: no column is known, lists of one request are not equally long, a time cannot be read, or user ids
                must be hashed and CROSSLIFT_KEY is not the key that made the data.
        """
        if not set(self.requests) & set(frame.columns):
            raise DataError(
                f"request: expected one of the columns {', '.join(self.requests)}, got "
                f"{', '.join(map(str, frame.columns)) or 'none'}."
            )
        if frame.empty:
            raise DataError("request: expected at least one row, got none.")
        ids = user_ids(frame)
        features, source, unknown = self._read(frame, ids)
        probabilities_nK = self.predictor.probabilities(features)
        classes, place_n = np.array(self.predictor.classes, dtype=object), self.predictor.decided(probabilities_nK)
        answers: dict[str, Any] = {
            "request": np.arange(len(frame)),
            c.USER: ids.to_numpy(dtype=object),
            c.EVENT: classes[place_n],
            PROBABILITY: probabilities_nK[np.arange(len(place_n)), place_n],
            **{f"{PROBABILITY}_{name}": probabilities_nK[:, k] for k, name in enumerate(classes)},
            "served_from": np.array(SERVED_FROM, dtype=object)[source],
            UNKNOWN: unknown,
        }
        if most := int(params.get(EXPLAIN, 0)):
            parts = self.predictor.explained(features)
            answers[EXPLANATION] = explanations(features, parts.features, parts.words, most)
        return pd.DataFrame(answers)

    def on(self, prepared: EventRows) -> Any:
        """The model: what it reads of a log is the same every night.

        Raises:
            ConfigError: the other night's target is another domain, or it tells other kinds apart.
        """
        if prepared.name != self.info.target:
            raise ConfigError(
                f"target: {self.info.scenario} now names {prepared.name!r}, but the model that serves is of "
                f"{self.info.target!r}; give the changed scenario a name of its own."
            )
        if prepared.task.as_rows() != self.task.examples.as_rows():
            raise ConfigError(
                f"task.events: {self.info.scenario} now names other kinds of event than the model that serves was "
                "made for; give the changed scenario a name of its own."
            )
        return self.predictor

    def carried(self, task: TaskConfig) -> Carried:
        """What says the next event in another shop; see `pipeline.rows.examples.carried`.

        Raises:
            UserError: the other task is another, or names other events.
        """
        if isinstance(task, NextEventTask) and task.events != self.task.events:
            raise UserError(
                f"source_model: it tells {', '.join(self.task.events)} apart; write task.events as that, in this order."
            )
        return carried(self.predictor, self.task.examples, task)

    def examples(self) -> list[dict[str, Any]]:
        """The ways of being served: a known user, a log of nobody, and nothing at all."""
        user = str(self.users[0]) if len(self.users) else None
        events = [self.task.events[0], self.task.events[0], self.task.events[1]]
        empty: dict[str, Any] = {c.USER: None, EVENTS: [], ITEMS: [], TIMES: []}
        return [{**empty, c.USER: user}, {**empty, EVENTS: events}, empty]

    @cached_property
    def users(self) -> pd.Index:
        """[U] those whose log is known, sorted."""
        found: pd.Index = pd.Index(self.log[c.USER].unique(), dtype=object)
        return found

    @cached_property
    def starts(self) -> IntArray:
        """[U + 1] where each one's log begins."""
        own = self.log[c.USER].to_numpy(dtype=object)
        new = np.flatnonzero(np.append(np.ones(min(len(own), 1), dtype=np.bool_), own[1:] != own[:-1]))
        return np.append(new, len(own)).astype(np.int64)

    def _read(self, frame: pd.DataFrame, ids: "pd.Series[Any]") -> tuple[Features, IntArray, IntArray]:
        """What is told of each request, where that comes from (a place in `SERVED_FROM`), and how much was unknown."""
        count = len(frame)
        given, dated = self._given(frame)
        own = np.bincount(given["request"], minlength=count) > 0
        users = np.where(own, -1, user_places(self.users, self.info, ids))
        events = pd.concat([given, self._known(users)], ignore_index=True)
        features = self._told(events, np.where(own, dated, self.timed))
        unknown = np.bincount(given["request"], given["kind"] == len(self.task.events), count).astype(np.int64)
        return features, np.where(own, 0, np.where(users >= 0, 1, 2)).astype(np.int64), unknown

    def _known(self, users: IntArray) -> pd.DataFrame:
        """The logs of the users [n] who are known, the others have -1: request, kind, item, when."""
        known = np.flatnonzero(users >= 0)
        begins, ends = self.starts[users[known]], self.starts[users[known] + 1]
        lengths = ends - begins
        shift = np.repeat(begins - np.concatenate([[0], lengths.cumsum()])[:-1], lengths)
        found = self.log.iloc[np.arange(lengths.sum()) + shift].drop(columns=c.USER)
        told_of: pd.DataFrame = found.assign(request=np.repeat(known, lengths))
        return told_of

    def _told(self, events: pd.DataFrame, dated: Mask) -> Features:
        """The features of all requests [n]; `dated`: whether what orders their events is a time."""
        count = len(dated)
        last = pd.DataFrame({"user": [count], "kind": 0, "item": -1, "when": 0.0, "domain": _OWN})  # all are before it
        named = events.rename(columns={"request": "user"}).assign(domain=np.where(events["own"], _OWN, _OWN + 1))
        logs = Logs.of(kinds_of(self.task.events), pd.concat([named, last], ignore_index=True), timed=True)
        found = told(logs, logs.starts[:count], logs.starts[1 : count + 1], self.task.examples.features, _OWN)
        gaps = {name: found.table[name].where(dated) for name in GAPS}
        assert found.log
        log = replace(found.log, gap=np.where(dated[:, None], found.log.gap, np.nan).astype(np.float32))
        return replace(found, table=found.table.assign(**gaps), log=log)

    def _given(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, Mask]:
        """The events that requests name: request, kind, item, when; and of which requests [n] that is a time."""
        nothing = pd.Series([None] * len(frame), dtype=object)
        rows, events = lists(frame.get(EVENTS, nothing), EVENTS, (), "kinds of event")
        count = np.bincount(rows, minlength=len(frame))
        found = {"item": np.full(len(rows), -1), "when": np.arange(len(rows), dtype=np.float64)}
        there = {}
        for name, column, what, read in (
            (ITEMS, "item", "item ids", lambda texts: pd.factorize(stable_hash(pd.Index(texts)), sort=True)[0]),
            (TIMES, "when", "times", lambda texts: seconds(times(texts, TIMES, self.info))),
        ):
            there[name], texts = lists_beside(frame, name, count, EVENTS, self.info.alike.get(c.ITEM, ()), what)
            if len(texts):
                told = there[name][rows]
                found[column][told] = read(pd.Series(texts, rows[told], object))
        kind = kind_codes(pd.Series(events, dtype=object), kinds_of(self.task.events))
        return pd.DataFrame({"request": rows, "kind": kind, **found, "own": True}), there[TIMES]


class ServeEvents:
    """Packages that say which kind of event follows."""

    params: ClassVar[Mapping[str, int]] = {EXPLAIN: 0}
    example_params: ClassVar[Mapping[str, int]] = {}

    def write(self, folder: Path, prepared: EventRows, before: Learnt) -> None:
        """Write the logs of all users, and hashes of the names of what was learnt from."""
        logs, users = prepared.logs, prepared.users
        assert logs is not None
        assert users is not None
        own = np.repeat(users.to_numpy(dtype=object), np.diff(logs.starts))
        table = pa.table({
            c.USER: pa.array(own, pa.string()), "kind": pa.array(logs.kind.astype(np.int16)),
            "item": pa.array(logs.item.astype(np.int32)), "when": pa.array(logs.when),
            "own": pa.array(logs.domain == len(prepared.frames) - 1),  # the target is the last
        })  # fmt: skip
        pq.write_table(table.replace_schema_metadata({"timed": str(int(logs.timed))}), folder / _LOG,
                       compression="zstd")  # fmt: skip
        views = prepared.training()
        known = {name: prepared.names(name, view.take(view.label.known)) for name, view in views.items()}
        (Learnt.of(known) | before).write(folder)
        task = NextEventTask(kind="next_event", events=logs.kinds[:-1])
        said = {"task": task.model_dump(mode="json"), "features": list(task.examples.features)}
        (folder / _TASK).write_text(json.dumps(said, indent=1), encoding="utf-8")

    def read(self, folder: Path, info: PackageInfo, predictor: Any) -> ServedEvents:
        """Read what `write` wrote.

        Raises:
            StorageError: a file is missing or damaged.
        """
        try:
            said = json.loads((folder / _TASK).read_text(encoding="utf-8"))
            task = NextEventTask.model_validate(said["task"])
            if said["features"] != list(task.examples.features):
                raise ValueError("another version told other things of a log; run the scenario once more")
            table = pq.read_table(folder / _LOG)
            learnt = Learnt.read(folder, info.domains)
            timed = (table.schema.metadata or {})[b"timed"] == b"1"
        except (OSError, ValidationError, ValueError, KeyError, pa.ArrowException) as error:
            raise StorageError(f"{folder}: expected a package of a served model ({error}).") from error
        return ServedEvents(info, predictor, task, table.to_pandas(), timed, learnt)
