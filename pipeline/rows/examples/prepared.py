"""Prepared examples of several domains as views.

Shapes: N rows of one domain.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from pipeline import columns as c
from pipeline.config import READ_BY, BinaryTask, Bridge, Encoded, ExamplesTask, MultilabelTask, RegressionTask
from pipeline.data.embeddings import Embeddings, is_empty
from pipeline.data.splits import PART, TEST, TRAIN, VALID
from pipeline.rows.examples.folds import each_held_back
from pipeline.rows.examples.naming import COMPONENT
from pipeline.rows.examples.parting import KEPT
from pipeline.rows.examples.past import PAST, Events, events_of, told_of
from pipeline.rows.examples.tags import tag_label, tag_names
from pipeline.rows.kind import PARTED_UNIT
from pipeline.views import FEATURES, ROW, UNIT, ClassLabel, Features, FloatArray, Mask, NumberLabel, TagLabel, View

_CODES = {c.TRAIN: TRAIN, c.VALID: VALID, c.TEST: TEST}


@dataclass(frozen=True)
class Examples:
    """Examples by domain.

    Args:
        task: What the columns are.
        frames: By domain, the target last: `row_id`, `component`, `part`, `kept`, the features and the labels, and the
            `timestamp` where there are any.
        name: The target.
        events: When something happened to each value of each entity, in all domains, whichever are looked at.
        embeddings: What pretrained encoders say of texts and pictures.
        personal: Features whose values the example of a request does not show.
    """

    task: ExamplesTask
    frames: Mapping[str, pd.DataFrame]
    name: str
    events: Mapping[str, Events] = field(default_factory=dict)
    embeddings: Mapping[Encoded, Embeddings] = field(default_factory=dict)
    personal: Collection[str] = ()

    @classmethod
    def read(
        cls, task: ExamplesTask, folders: Mapping[str, Path], target: str, embeddings: Mapping[Encoded, Embeddings]
    ) -> Self:
        """What `prepare` published of each domain."""
        names = [*(name for name in folders if name != target), target]
        frames = {name: pd.read_parquet(folders[name] / "rows.parquet") for name in names}
        events = events_of({name: pd.read_parquet(folders[name] / PAST) for name in names if task.entities}, task)
        told = {name: one.assign(**told_of(one, events, task)) for name, one in frames.items()}
        return cls(task, told, target, events, embeddings)

    @property
    def units(self) -> str:
        """Rows, or groups of those that belong together."""
        return "groups of rows" if self.task.groups else "rows"

    def of_sources(self) -> Self:
        """The sources alone, the first in the target's place."""
        first, *others = (name for name in self.frames if name != self.name)
        return self._placed(first, others)

    def each_placed(self) -> tuple[Self, ...]:
        """Each domain in the target's place, the others beside it; the target first."""
        every = (self.name, *(name for name in self.frames if name != self.name))
        placed = {one: [*(name for name in every if name != one), one] for one in every}
        return tuple(
            replace(self, frames={n: self.frames[n] for n in names}, name=one) for one, names in placed.items()
        )

    def with_all_rows(self) -> Self:
        """The same as before thinning."""
        return replace(self, frames={**self.frames, self.name: self.frames[self.name].assign(**{KEPT: True})})

    def folds(self) -> tuple[Self, ...]:
        """Once for each fold of the target, which is its validation then."""
        made = each_held_back(self.frames[self.name])
        return tuple(replace(self, frames={**self.frames, self.name: one}) for one in made)

    def parted(self) -> pd.DataFrame:
        """The target's rows that are used, with part, component and time."""
        frame = self.frames[self.name]
        return frame[frame[KEPT] | (frame[PART] == TEST)].rename(columns={COMPONENT: PARTED_UNIT})

    def training(self, held_back: Collection[str] = ()) -> dict[str, View]:
        """The rows of each domain that may be learnt from, those without a label among them.

        Where none of a domain's rows is kept for training, because it is declared without labels, all of them are
        inputs without a label.
        """
        found = {}
        for name, frame in self.frames.items():
            parts = (TRAIN,) if name in held_back else (TRAIN, VALID)
            wanted = frame[PART].isin(parts).to_numpy()
            kept = frame[KEPT].to_numpy()
            blind = not (kept & (frame[PART] != TEST).to_numpy()).any()
            found[name] = self._view(name, wanted & (kept | blind), hidden=blind)
        return found

    def held_out(self, part: str) -> View:
        """The target's labelled rows of a part."""
        frame = self.frames[self.name]
        wanted = (frame[PART] == _CODES[part]) & frame[KEPT] & frame[self.task.label].notna()
        return self._view(self.name, wanted.to_numpy())

    def stand_in(self, bridges: Collection[Bridge]) -> View:
        """The validation rows: what is known of a row is known in every domain."""
        del bridges
        return self.held_out(c.VALID)

    def named(self, view: View) -> pd.Index:
        """Name rows by their ids."""
        return self.names(self.name, view)

    def names(self, domain: str, view: View) -> pd.Index:
        """The ids of the rows of a domain's view."""
        ids = self.frames[domain][c.ROW].to_numpy(dtype=object)
        found: pd.Index = pd.Index(ids[view.rows[ROW].to_numpy()], dtype=object)
        return found

    def recent(self, view: View, most: int) -> list[tuple[str, ...]]:
        """Nothing: a row stands for itself, and its features may be personal."""
        del most
        return [()] * len(view)

    def as_served(self, bridges: Collection[Bridge], *, target_labels: bool, personal: Collection[str]) -> Self:
        """The same, for nothing of the rows is served but what is typical of them, where that is not personal."""
        del bridges, target_labels
        return replace(self, personal=tuple(personal))

    @cached_property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """By label the names of the classes or tags of all domains; of yes and no the second is looked for."""
        return {one.label: self._classes(one) for one in self.task.each if not isinstance(one, RegressionTask)}

    def _classes(self, task: ExamplesTask) -> tuple[str, ...]:
        if isinstance(task, BinaryTask):
            return class_names(task)
        labels = [frame[task.label].dropna().drop_duplicates() for frame in self.frames.values()]
        return tag_names(pd.concat(labels), task)

    def contents(self, kind: Encoded) -> list[str]:
        """The different texts of all features but for empty ones, or the names of their pictures, in order."""
        names = [name for name, one in self.task.features.items() if one in READ_BY[kind]]
        every = pd.concat([frame[name] for frame in self.frames.values() for name in names])
        return sorted(every[~is_empty(every)].unique())

    def _placed(self, target: str, others: Sequence[str]) -> Self:
        return replace(self, frames={name: self.frames[name] for name in (*others, target)}, name=target)

    def _view(self, domain: str, chosen: Mask, *, hidden: bool = False) -> View:
        frame = self.frames[domain]
        rows = frame[chosen]
        table = pd.DataFrame({ROW: np.flatnonzero(chosen), UNIT: rows[COMPONENT].to_numpy(dtype=np.int64)})
        hide = np.full(len(rows), hidden)
        labels = tuple(self._label(rows[one.label].mask(hide), one) for one in self.task.each)
        features = replace(features_of(rows, self.task, past=True), embeddings=self.embeddings)
        return View(domain, table, {FEATURES: features}, labels)

    def _label(self, values: "pd.Series[Any]", task: ExamplesTask) -> ClassLabel | TagLabel | NumberLabel:
        name, missing = task.label, values.isna().to_numpy()
        if isinstance(task, RegressionTask):
            return NumberLabel(_floats(values), name)
        classes = self.classes[name]
        if isinstance(task, MultilabelTask):
            return tag_label(values, classes, task)
        if isinstance(task, BinaryTask):
            looked_for = True if task.positive is None else task.positive
            found = (values == looked_for).to_numpy(dtype=np.int64, na_value=0)
        else:
            found = pd.Index(classes).get_indexer(pd.Index(values.to_numpy(dtype=object))).astype(np.int64)
        return ClassLabel(np.where(missing, -1, found), classes, name)


def class_names(task: BinaryTask) -> tuple[str, str]:
    """What the two classes are called; the second is looked for."""
    return ("no", "yes") if task.positive is None else (f"not {task.positive}", task.positive)


def as_classes(labels: "pd.Series[Any]", task: ExamplesTask) -> "pd.Series[Any]":
    """Labels as the task tells them apart: all values but the one that is looked for are one class."""
    if not isinstance(task, BinaryTask) or task.positive is None:
        return labels
    return (labels == task.positive).astype(object).where(labels.notna(), None)


def features_of(rows: pd.DataFrame, task: ExamplesTask, *, past: bool = False) -> Features:
    """The declared features of some rows, with what the past says of them or without.

    One that the table does not have is missing in all of them.
    """
    types = {**task.features, **(task.past if past else {})}
    columns: dict[str, object] = {}
    for name, kind in types.items():
        values = rows[name] if name in rows else pd.Series(np.full(len(rows), None, dtype=object))
        if kind in ("number", "flag"):
            columns[name] = _floats(values)
        elif kind == "time":
            columns[name] = pd.to_datetime(values, utc=True).dt.as_unit("us").array
        else:
            columns[name] = values.astype(object).where(values.notna(), None).to_numpy(dtype=object)
    return Features(pd.DataFrame(columns), types)


def _floats(values: "pd.Series[Any]") -> FloatArray:
    """Numbers, or yes and no as 1 and 0; NaN where there is none."""
    return np.asarray(values.astype(object).where(values.notna(), np.nan), dtype=np.float64)
