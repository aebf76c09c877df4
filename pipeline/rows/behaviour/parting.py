"""Which events train, choose and test, as a split says.

A row is an event of a kind that the scenario names, with something of the same user before it in its domain. All events
stay in the log. A split by hash never divides a user; one by time does, as it is when a model serves. A part never
depends on the seed or on the order of the rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import columns as c
from pipeline.config import NextEventTask
from pipeline.data.splits import PART, TEST, VALID, order_column, span
from pipeline.errors import DataError
from pipeline.rows.behaviour.logs import PLACE, has_past, log_of
from pipeline.rows.behaviour.tables import NAME
from pipeline.rows.examples.naming import COMPONENT, draw_of, names_of, stratified_draw_of
from pipeline.rows.examples.parting import KEPT, SOURCE_VALID, TARGETS, Border, hashed_parts
from pipeline.rows.kind import Given, Parts, Tables
from pipeline.views import IntArray, Mask

LOG, ROWS = "log.parquet", "rows.parquet"  # of a prepared domain


@dataclass(frozen=True)
class _Log:
    """All events of a domain, those that are rows, and what became of the others."""

    events: pd.DataFrame
    rows: pd.DataFrame
    dropped: dict[str, int]


@dataclass(frozen=True)
class PartEvents:
    """Events of logs as prepared domains."""

    task: NextEventTask

    def target(self, given: Given, sources: Mapping[str, Tables]) -> tuple[Parts, Border]:
        """Part the target's events.

        Raises:
            DataError: the split needs a column that is missing, nothing says what came first, or what is held out is
                all of one kind.
        """
        del sources
        log = self._log(given)
        rows, dropped, border = self._parted(log, given)
        self._refuse_one_kind(given, rows)
        return self._published(log, rows, dropped), border

    def source(self, given: Given, border: Border) -> Parts:
        """Part a source's events, those from before the border; later ones stay in the log.

        Raises:
            DataError: as for `target`.
        """
        log = self._log(given)
        if c.SPLIT in log.rows and given.split.kind == "shipped":
            rows, dropped, _ = self._parted(log, given)
            return self._published(log, rows, dropped)
        rows, dropped = log.rows, dict[str, int]()
        if border is not None:
            _need(rows, c.TIMESTAMP, given)
            early = (rows[c.TIMESTAMP] < border).to_numpy()
            rows, dropped = rows[early].reset_index(drop=True), {"later_than_target": int((~early).sum())}
        part = hashed_parts(rows, self._strata(rows), "source", {VALID: SOURCE_VALID})
        rows = rows.assign(**{PART: part})
        return self._published(log, rows.assign(**{KEPT: self._kept(given, rows)}), dropped)

    def _log(self, given: Given) -> _Log:
        """The events that have an order, and the rows among them, each called after its user for a while."""
        table = given.tables[NAME]
        events = log_of(table, given.domain)
        order = order_column(events) or c.TIMESTAMP
        named = events[c.EVENT].isin(self.task.events).to_numpy()
        later = has_past(events, order)
        chosen = np.flatnonzero(named & later)
        rows = events.iloc[chosen].reset_index(drop=True)
        rows = rows.assign(**{PLACE: chosen, COMPONENT: _users(rows)}).assign(**{c.ROW: rows[c.USER].astype(str)})
        dropped = {"without_order": len(table) - len(events), "other_kind": int((~named).sum()),
                   "nothing_before": int((named & ~later).sum())}  # fmt: skip
        return _Log(events, rows, dropped)

    def _parted(self, log: _Log, given: Given) -> tuple[pd.DataFrame, dict[str, int], Border]:
        split, rows = given.split, log.rows
        if column := {"time": c.TIMESTAMP, "shipped": c.SPLIT}.get(split.kind):
            _need(rows, column, given)
        alone = rows.assign(**{COMPONENT: np.arange(len(rows))}) if split.needs_time else rows
        parted = TARGETS[type(split)](alone, self._strata(rows), given)
        found = parted.rows.assign(**{COMPONENT: _users(parted.rows)})
        return found.assign(**{KEPT: self._kept(given, found)}), parted.dropped, parted.border

    def _strata(self, rows: pd.DataFrame) -> IntArray:
        """[N] the kind, the most frequent first."""
        counts = rows[c.EVENT].value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable")
        return np.asarray(counts.index.get_indexer(pd.Index(rows[c.EVENT])), dtype=np.int64)

    def _kept(self, given: Given, rows: pd.DataFrame) -> Mask:
        """Which rows [N] are used: of training and validation those of the users whom thinning keeps."""
        purpose, test = f"share {given.draw}", (rows[PART] == TEST).to_numpy()
        if not (given.stratified and given.share):
            return np.asarray(test | draw_of(rows, purpose, given.share))
        kept, strata = test.copy(), self._strata(rows)
        for code in np.unique(rows.loc[~test, PART]):
            own = (rows[PART] == code).to_numpy()
            kept[own] = stratified_draw_of(rows[own], purpose, given.share, strata[own])
        return kept

    def _refuse_one_kind(self, given: Given, rows: pd.DataFrame) -> None:
        """Nothing can be chosen or judged where all rows are of one kind."""
        for code, told in ((VALID, "validation"), (TEST, "the test")) if given.share else ():
            held = rows.loc[(rows[PART] == code) & rows[KEPT], c.EVENT]
            if len(held) and (held == held.iloc[0]).all():
                raise DataError(
                    f"{given.domain}: {NAME}: column {c.EVENT!r}: the {len(held)} events for {told} are all "
                    f"{held.iloc[0]!r}, so that nothing can be told apart; bring more rows of the target, take a "
                    "larger share or another `share_draw`, or change `split` in the scenario."
                )

    def _published(self, log: _Log, rows: pd.DataFrame, dropped: Mapping[str, int]) -> Parts:
        """The rows that have a part, with names of their own, and the log."""
        times = [name for name in (c.TIMESTAMP, c.POSITION) if name in rows]
        said = [c.USER, c.ITEM, c.EVENT, *times]
        part, kept = rows[PART].to_numpy(), rows[KEPT].to_numpy()
        table = rows.assign(**{c.ROW: names_of(rows[said])}).assign(**{PART: part.astype(np.int8)})
        table = table[[c.ROW, COMPONENT, PART, KEPT, *times, c.EVENT, PLACE]]
        learnt = table.loc[kept & (part != TEST), c.EVENT].value_counts()
        known = {"users": int(rows[COMPONENT].nunique()), "events in the log": len(log.events)}
        known |= {f"{kind}, to learn from": int(learnt.get(kind, 0)) for kind in self.task.events}
        counts = {name: int((part == code).sum()) for code, name in enumerate(c.PARTS)}

        def write(folder: Path) -> None:
            table.to_parquet(folder / ROWS, index=False, compression="zstd")
            log.events[said].to_parquet(folder / LOG, index=False, compression="zstd")

        return Parts(write, counts, int(learnt.sum()), {**log.dropped, **dropped}, known, span(rows))


def _users(rows: pd.DataFrame) -> IntArray:
    return np.asarray(pd.factorize(rows[c.USER])[0], dtype=np.int64)


def _need(rows: pd.DataFrame, column: str, given: Given) -> None:
    if column not in rows:
        raise DataError(
            f"{given.domain}: {NAME}: the split {given.split.kind!r} needs the column {column!r}, also in sources; "
            f"name it under `columns`, or choose another split."
        )
