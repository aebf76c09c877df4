"""Which examples train, choose and test, as a split says; rows that belong together are never divided.

A part never depends on the seed or on the order of the rows. Rows without a label train at most, as inputs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import columns as c
from pipeline.config import (
    BinaryTask,
    ExamplesTask,
    HashSplit,
    MultilabelTask,
    RegressionTask,
    ShippedSplit,
    TimeSplit,
)
from pipeline.data.splits import PART, TEST, TRAIN, VALID, span
from pipeline.errors import DataError
from pipeline.rows.examples.folds import FOLD, NO_FOLD, folds_of
from pipeline.rows.examples.naming import COMPONENT, Hashes, components, draw_of, names_of, stratified_draw_of
from pipeline.rows.examples.past import PAST, hashed
from pipeline.rows.examples.tables import NAME
from pipeline.rows.examples.tags import one_by_one, spelt_once
from pipeline.rows.kind import FOLDED, FOLDS, Given, Parts, Tables

KEPT = "kept"
SOURCE_VALID = 0.1  # share of a source's components that choose when it is learnt from
_CLASSES = 20  # that are counted by name
_BOTH = 2  # units of a class, one to be learnt while the other is held back

Border = pd.Timestamp | None
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Parted:
    """Examples with their part, what was left out by reason, and from when on sources must not know anything."""

    rows: pd.DataFrame
    dropped: dict[str, int] = field(default_factory=dict)
    border: Border = None


@dataclass(frozen=True)
class PartExamples:
    """Examples as prepared domains, parted by the task that declares their columns."""

    task: ExamplesTask

    def target(self, given: Given, sources: Mapping[str, Tables]) -> tuple[Parts, Border]:
        """Part the target's rows.

        Raises:
            DataError: the split needs a column that is missing, or too few rows have a label.
        """
        del sources
        rows = self._named(given)
        parted = TARGETS[type(given.split)](rows, self._strata(rows), given)
        fold = self._folds(given, parted.rows)
        self._refuse_one_class(given, parted.rows, fold)
        return self._published(given, replace(parted, rows=parted.rows.assign(**{FOLD: fold})), rows), parted.border

    def source(self, given: Given, border: Border) -> Parts:
        """Part a source's rows, those from before the border.

        Raises:
            DataError: as for `target`.
        """
        rows, dropped = self._named(given), dict[str, int]()
        every = rows
        if isinstance(given.split, ShippedSplit):
            return self._published(given, _shipped(rows, self._strata(rows), given), every)
        if border is not None:
            _need(rows, c.TIMESTAMP, given)
            early = rows[c.TIMESTAMP].notna() & (rows[c.TIMESTAMP] < border)
            missing = int(rows[c.TIMESTAMP].isna().sum())
            dropped = {"without_time": missing, "later_than_target": int((~early).sum()) - missing}
            rows = rows[early].reset_index(drop=True)
        part = hashed_parts(rows, self._strata(rows), "source", {VALID: SOURCE_VALID})
        return self._published(given, _Parted(rows.assign(**{PART: part}), dropped), every)

    def _named(self, given: Given) -> pd.DataFrame:
        """The rows with their names and components, in the order of their names; entities as hashes."""
        rows = given.tables[NAME]
        if self.task.entities and c.TIMESTAMP not in rows:
            raise DataError(
                f"{given.domain}: {NAME}: what came before a row ({', '.join(self.task.entities)}) needs its time, and "
                "there is no column 'timestamp'; name it under `columns`, or leave out `entities`."
            )
        rows = rows.assign(**{one.label: spelt_once(rows[one.label], one) for one in self.task.each})
        rows = rows.iloc[np.argsort(names_of(rows).to_numpy(), kind="stable")] if self.task.also else rows
        # What else is predicted does not name a row: with or without further labels the same rows train and test.
        named = rows.assign(**{c.ROW: names_of(rows.drop(columns=list(self.task.also)))})
        named = named.sort_values(c.ROW, ignore_index=True)
        named = named.assign(**{COMPONENT: components(named, self.task.groups)})
        return named.assign(**{name: hashed(named[name]) for name in self.task.entities if name in named})

    def _strata(self, rows: pd.DataFrame) -> IntArray:
        """[N] -1 without a label, else 0 for numbers, or the class, the most frequent first; of tags the rarest."""
        labels = rows[self.task.label]
        if isinstance(self.task, RegressionTask):
            return np.where(labels.isna(), -1, 0)
        each = one_by_one(labels, self.task)
        counts = each.value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable")
        found = np.full(len(labels), -1)
        np.maximum.at(found, each.index.to_numpy(dtype=np.int64), counts.index.get_indexer(pd.Index(each)))
        return found

    def _folds(self, given: Given, rows: pd.DataFrame) -> IntArray:
        """The folds [N] that choose. Of tags there are none: what is chosen for one is told by its place in a model."""
        tags = any(isinstance(one, MultilabelTask) for one in self.task.each)
        folds = 0 if tags or isinstance(given.split, TimeSplit) else given.split.folds
        return folds_of(rows, self._kept(given, rows), self._strata(rows), folds)

    def _refuse_one_class(self, given: Given, rows: pd.DataFrame, fold: IntArray) -> None:
        """Nothing can be chosen or judged where all rows are of one class; without labels nothing is chosen here."""
        if isinstance(self.task, RegressionTask) or not given.share:
            return
        kept, folds = self._kept(given, rows), (fold != NO_FOLD).any()
        valid = kept & (fold != NO_FOLD if folds else (rows[PART] == VALID).to_numpy())
        training = "training and validation" if folds else "validation"
        for chosen, told in ((valid, training), ((rows[PART] == TEST).to_numpy(), "the test")):
            held = rows.loc[chosen, [self.task.label, COMPONENT]].dropna()
            label = held[self.task.label]
            if isinstance(self.task, BinaryTask) and self.task.positive is not None:
                label = label == self.task.positive
            units = held.groupby(label)[COMPONENT].nunique()
            lone = folds and chosen is valid and isinstance(self.task, BinaryTask) and units.min() < _BOTH
            if len(held) and (len(units) < 2 or lone):
                all_but = f"{'all but one' if len(units) > 1 else 'all'} of one class"
                raise DataError(
                    f"{given.domain}: {NAME}: column {self.task.label!r}: the rows for {told} ({len(held)}) are "
                    f"{all_but}, so that nothing can be told apart; bring more rows of the target, take a larger share "
                    "or another `share_draw`, or change `split` in the scenario."
                )

    def _kept(self, given: Given, rows: pd.DataFrame) -> Mask:
        """Which rows [N] thinning keeps; where it is stratified, of training and validation rows each for itself."""
        purpose = f"share {given.draw}"
        if not (given.stratified and given.share):
            return draw_of(rows, purpose, given.share)
        strata, kept = self._strata(rows), np.zeros(len(rows), dtype=bool)
        for code in (TRAIN, VALID):
            own = (rows[PART] == code).to_numpy()
            kept[own] = stratified_draw_of(rows[own], purpose, given.share, strata[own])
        return kept

    def _published(self, given: Given, parted: _Parted, happened: pd.DataFrame) -> Parts:
        """The rows that have a part, and the past by the rows that `happened`, also those that are left out."""
        rows = parted.rows
        part = rows[PART].to_numpy()
        kept = (part == TEST) | self._kept(given, rows)
        columns = [c.ROW, COMPONENT, PART, KEPT, *(name for name in (FOLD, c.TIMESTAMP) if name in rows)]
        declared = [
            name
            for name in (*self.task.entities, *self.task.features, self.task.label, *self.task.also)
            if name in rows
        ]
        table = rows.assign(**{PART: part.astype(np.int8), KEPT: kept})[[*columns, *declared]]
        past = happened[[name for name in (c.TIMESTAMP, *self.task.entities) if name in happened]]
        counts = {name: int((part == code).sum()) for code, name in enumerate(c.PARTS)}
        labels = table.loc[kept & (part != TEST), self.task.label]
        known = {"components": int(table[COMPONENT].nunique()), "unlabelled": int(table[self.task.label].isna().sum())}
        known |= {f"without {name}": int(table[name].isna().sum()) for name in self.task.also}
        if FOLD in rows and rows[FOLD].max() != NO_FOLD:
            choose = (rows[FOLD] != NO_FOLD) & kept & rows[self.task.label].notna()
            known |= {FOLDS: int(rows[FOLD].max()) + 1, FOLDED: int(choose.sum())}
        if not isinstance(self.task, RegressionTask):
            every, found = (one_by_one(one, self.task).value_counts() for one in (table[self.task.label], labels))
            lost = every.index.difference(found.index, sort=True)[:_CLASSES]  # the rarest, which thinning took away
            shown = dict.fromkeys([*every.index[:_CLASSES], *lost])
            known |= {f"{label}, to learn from": int(found.get(label, 0)) for label in shown}

        def write(folder: Path) -> None:
            table.to_parquet(folder / "rows.parquet", index=False, compression="zstd")
            if self.task.entities:
                past.to_parquet(folder / PAST, index=False, compression="zstd")

        learnt = int((kept & (part != TEST)).sum())
        return Parts(write, counts, learnt, parted.dropped, known, span(rows))


def _by_hash(rows: pd.DataFrame, strata: IntArray, given: Given) -> _Parted:
    """A component is whole in its part; those of its rows that have no label to be judged by are left out."""
    split = given.split
    part = hashed_parts(rows, strata, f"split {split.draw}", {TEST: split.test, VALID: split.valid})
    held = np.isin(rows[COMPONENT], rows.loc[part != TRAIN, COMPONENT]) & (part == TRAIN)  # those without the label
    return _Parted(
        rows.assign(**{PART: part})[~held].reset_index(drop=True), {"unlabelled_and_held_out": int(held.sum())}
    )


def _by_time(rows: pd.DataFrame, strata: IntArray, given: Given) -> _Parted:
    """Train before validation before test; what is not labelled trains, as far as it came before.

    A component is where its last labelled row is; its earlier rows are left out, because they would be known before.
    """
    _need(rows, c.TIMESTAMP, given)
    split, dated = given.split, rows[c.TIMESTAMP].notna().to_numpy()
    labelled = rows.loc[dated & (strata >= 0), c.TIMESTAMP].sort_values(ignore_index=True)
    if labelled.empty:
        raise DataError(f"{given.domain}: {NAME}: the split 'time' needs labelled rows with a time, got none.")
    last = len(labelled) - 1
    test, valid = (
        labelled[min(last, max(0, len(labelled) - round(len(labelled) * share)))]
        for share in (split.test, split.test + split.valid)
    )
    times = rows[c.TIMESTAMP]
    part = np.where(times >= test, TEST, np.where(times >= valid, VALID, TRAIN))
    useless = dated & (strata < 0) & (part != TRAIN)
    owner = rows[COMPONENT].to_numpy()
    latest = np.full(owner.max(initial=-1) + 1, TRAIN)
    np.maximum.at(latest, owner, np.where(dated & (strata >= 0), part, TRAIN))
    earlier = dated & ~useless & (part < latest[owner])
    chosen = dated & ~useless & ~earlier
    dropped = {"without_time": int((~dated).sum()), "unlabelled_and_later": int(useless.sum()),
               "group_is_held_out": int(earlier.sum())}  # fmt: skip
    return _Parted(rows.assign(**{PART: part})[chosen].reset_index(drop=True), dropped, valid)


def _shipped(rows: pd.DataFrame, strata: IntArray, given: Given) -> _Parted:
    """The split that the data set ships; without validation rows a tenth of the training components choose."""
    _need(rows, c.SPLIT, given)
    split, named = given.split, rows[c.SPLIT]
    part = np.full(len(rows), -1)
    for code, names in ((TRAIN, split.train), (VALID, split.valid), (TEST, split.test)):
        part[named.isin(names)] = code
    useless = (strata < 0) & np.isin(part, (VALID, TEST))
    chosen = (part >= 0) & ~useless
    dropped = {"split_not_used": int((part < 0).sum()), "unlabelled_and_held_out": int(useless.sum())}
    if not split.valid:
        trained = chosen & (part == TRAIN)
        part[trained] = hashed_parts(rows[trained], strata[trained], "valid", {VALID: SOURCE_VALID})
    return _Parted(rows.assign(**{PART: part})[chosen].reset_index(drop=True), dropped)


# config class of a split -> how it parts a target
TARGETS: dict[type[Any], Callable[[pd.DataFrame, IntArray, Given], _Parted]] = {
    HashSplit: _by_hash,
    TimeSplit: _by_time,
    ShippedSplit: _shipped,
}


def hashed_parts(rows: pd.DataFrame, strata: IntArray, purpose: str, shares: Mapping[int, float]) -> IntArray:
    """The part [N] of each row: components in the order of a hash, the first shares of each stratum held out.

    A component is of the rarest class among its rows; without any label it trains.
    """
    every, owner = np.unique(rows[COMPONENT].to_numpy(), return_inverse=True)
    stratum = np.full(len(every), -1)
    np.maximum.at(stratum, owner, strata)
    size = np.bincount(owner, strata >= 0, minlength=len(every))
    order = np.lexsort((Hashes.of_components(rows, purpose), stratum))
    part = np.full(len(every), TRAIN)
    for one in np.unique(stratum[stratum >= 0]):
        own = order[stratum[order] == one]
        middle = (size[own].cumsum() - size[own] / 2) / size[own].sum()
        begin = 0.0
        for code, share in shares.items():
            part[own[(middle >= begin) & (middle < begin + share)]] = code
            begin += share
    found = part[owner]
    found[strata < 0] = TRAIN
    return found


def _need(rows: pd.DataFrame, column: str, given: Given) -> None:
    if column not in rows:
        raise DataError(
            f"{given.domain}: {NAME}: the split {given.split.kind!r} needs the column {column!r}, also in sources; "
            f"name it under `columns`, or choose another split."
        )
