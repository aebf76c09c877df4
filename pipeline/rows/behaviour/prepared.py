"""Prepared logs of several domains as views: rows that are told by what came before them in all domains."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from pipeline.config import NextEventTask
from pipeline.config.tasks import LASTS
from pipeline.past import Log
from pipeline.rows.behaviour.logs import PLACE, Logs, joint, kinds_of
from pipeline.rows.behaviour.parting import LOG, ROWS
from pipeline.rows.behaviour.told import told
from pipeline.rows.examples.prepared import Examples
from pipeline.views import FEATURES, ROW, IntArray, Mask, View

AT = "at"  # a column of the frames: where the event stood before all logs were sorted


@dataclass(frozen=True)
class EventRows(Examples):
    """Events by domain, as examples whose features are what was before them.

    Args:
        logs: Of all domains that were read, whichever are looked at.
        users: The ids of their users, in the order of the logs.
        before: By domain the last events before each row.
    """

    logs: Logs | None = None
    users: pd.Index | None = None
    before: Mapping[str, Log | None] = field(default_factory=dict)

    @classmethod
    def of(cls, task: NextEventTask, folders: Mapping[str, Path], target: str) -> Self:
        """What `prepare` published of each domain.

        Raises:
            DataError: the domains share neither a time nor a position.
        """
        names = [*(name for name in folders if name != target), target]
        events = {name: pd.read_parquet(folders[name] / LOG) for name in names}
        logs, users, places = joint(events, kinds_of(task.events))
        frames, before = {}, {}
        for domain, name in enumerate(names):
            rows = pd.read_parquet(folders[name] / ROWS)
            at = places[name][rows[PLACE].to_numpy()]
            features = told(logs, logs.first[at], logs.known[at], task.examples.features, domain)
            before[name] = features.log
            frames[name] = pd.concat([rows.assign(**{AT: at}), features.table], axis=1)
        return cls(task.examples, frames, target, logs=logs, users=users, before=before)

    @property
    def units(self) -> str:
        """People, whose events hang together."""
        return "users"

    def user_of(self, at: IntArray) -> IntArray:
        """[N] which user each event is of."""
        assert self.logs is not None
        return np.searchsorted(self.logs.starts, self.logs.first[at], side="right") - 1

    def _view(self, domain: str, chosen: Mask, *, hidden: bool = False) -> View:
        view = super()._view(domain, chosen, hidden=hidden)
        log = self.before[domain]
        assert log is not None
        told = replace(view.fields[FEATURES], log=log.take(np.flatnonzero(chosen)))
        return replace(view, fields={**view.fields, FEATURES: told})

    def recent(self, view: View, most: int) -> list[tuple[str, ...]]:
        """The kinds of the last events, the newest first."""
        rows = self.frames[self.name].iloc[view.rows[ROW].to_numpy()]
        lasts = rows[list(LASTS[:most])].to_numpy(dtype=object)
        return [tuple(str(one) for one in row if one is not None and one == one) for row in lasts]  # noqa: PLR0124
