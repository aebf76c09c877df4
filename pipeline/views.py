"""The one shape between tables and models: rows of one domain, what is known of them, and what is predicted.

Shapes: N rows, U units of all domains, I_d items of domain d.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from pipeline import columns as c
from pipeline.config import Encoded, FeatureType
from pipeline.data.embeddings import Embeddings
from pipeline.data.mistakes import Costs
from pipeline.past import Histories, Log, Past

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

ROW, UNIT, WEIGHT = "row", "unit", "weight"  # columns of `View.rows`
PAST = "past"  # the field that is a `Past`
FEATURES = "features"  # the field that is a `Features`


class Field(Protocol):
    """A named input of the rows."""

    def take(self, places: IntArray, /) -> Self:
        """The same of some of the rows, in the order of their places."""
        ...


@dataclass(frozen=True, eq=False)
class Features:
    """What is known of each row itself.

    Args:
        table: [N] a column for each feature, in the order in which they are declared: numbers and flags (0, 1) as
            float64, all else as texts, times in UTC, pictures by the names of their contents; what is missing is NaN,
            None or NaT.
        types: What each feature is, in the same order.
        embeddings: What pretrained encoders said of texts and pictures, by what they read.
        pictures: The contents of pictures of which nothing is known yet, by name.
        log: What came before each row, where rows are events of a log.
    """

    table: pd.DataFrame
    types: Mapping[str, FeatureType]
    embeddings: Mapping[Encoded, Embeddings] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    log: Log | None = None

    def take(self, places: IntArray) -> "Features":
        """The same of some of the rows."""
        log = self.log.take(places) if self.log else None
        return replace(self, table=self.table.iloc[places].reset_index(drop=True), log=log)

    def of(self, *types: FeatureType) -> list[str]:
        """Names of the features of these types."""
        return [name for name, one in self.types.items() if one in types]


class Label(Protocol):
    """What is predicted of the rows."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def take(self, places: IntArray, /) -> Self:
        """The same of some of the rows."""
        ...


@dataclass(frozen=True, eq=False)
class ItemLabel:
    """Which item each row's unit took, of all that can be an answer.

    Args:
        value: [N] places in the catalogue.
        catalogue: [I] the items of the domain: item_id, train_count and, where titles exist, title and category.
        seen: CSR [U, I], what is left out when a unit's items are ranked: what it is known to have taken.
        embeddings: What a pretrained encoder says of the items' texts.
    """

    value: IntArray
    catalogue: pd.DataFrame
    seen: sparse.csr_matrix
    name: str = "item"
    embeddings: Embeddings | None = None

    def take(self, places: IntArray) -> "ItemLabel":
        """The same of some of the rows."""
        return replace(self, value=self.value[places])


@dataclass(frozen=True, eq=False)
class ClassLabel:
    """Which class each row is of; `name` is what the label is called.

    Args:
        value: [N] places among the classes; -1 where it is not known.
        classes: Names of all classes, at least one; of two the second is the one that is looked for.
    """

    value: IntArray
    classes: tuple[str, ...]
    name: str

    @property
    def known(self) -> Mask:
        """Which rows [N] have a label."""
        return self.value >= 0

    def take(self, places: IntArray) -> "ClassLabel":
        """The same of some of the rows."""
        return replace(self, value=self.value[places])


@dataclass(frozen=True, eq=False)
class TagLabel:
    """Which tags each row has; `name` is what the label is called.

    Args:
        value: [N, K] whether a row has a tag; in no row where it is not known.
        known: [N] which rows have a label; of one without any tag it is known, too.
        classes: Names of all tags, K of them.
    """

    value: Mask
    known: Mask
    classes: tuple[str, ...]
    name: str

    def take(self, places: IntArray) -> "TagLabel":
        """The same of some of the rows."""
        return replace(self, value=self.value[places], known=self.known[places])


@dataclass(frozen=True, eq=False)
class NumberLabel:
    """Which number each row has: [N], NaN where it is not known."""

    value: FloatArray
    name: str

    @property
    def known(self) -> Mask:
        """Which rows [N] have a label."""
        return ~np.isnan(self.value)

    def take(self, places: IntArray) -> "NumberLabel":
        """The same of some of the rows."""
        return replace(self, value=self.value[places])


@dataclass(frozen=True)
class View:
    """Rows of one domain.

    Args:
        domain: Whose rows.
        rows: [N] columns `row` (its place in what `prepare` published), `unit` (what is drawn again and counted) and,
            where rows count differently, `weight`.
        fields: What may be read of them, by name.
        labels: What is predicted; the first is gated.
    """

    domain: str
    rows: pd.DataFrame
    fields: Mapping[str, Any]  # each is a Field
    labels: tuple[Any, ...]  # each is a Label

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def label(self) -> Any:
        """The label that is gated."""
        return self.labels[0]

    @property
    def known(self) -> Mask:
        """Which rows [N] have a label, or one of several."""
        found: Mask = np.logical_or.reduce([label.known for label in self.labels])
        return found

    def of_label(self, name: str) -> Self:
        """The same rows with that label alone."""
        return replace(self, labels=tuple(label for label in self.labels if label.name == name))

    @property
    def units(self) -> IntArray:
        """[N] the unit of each row."""
        return self.rows[UNIT].to_numpy(dtype=np.int64)

    @property
    def weights(self) -> FloatArray:
        """[N] what each row counts in training."""
        return self.rows[WEIGHT].to_numpy(dtype=np.float64) if WEIGHT in self.rows else np.ones(len(self))

    def take(self, chosen: "Mask | IntArray | slice") -> Self:
        """Some of the rows, by a mask or by their places."""
        places = np.arange(len(self))[chosen]
        return replace(
            self,
            rows=self.rows.iloc[places].reset_index(drop=True),
            fields={name: field.take(places) for name, field in self.fields.items()},
            labels=tuple(label.take(places) for label in self.labels),
        )


Views = Mapping[str, View]  # by domain, the sources before the target
Chosen = Mapping[str, float | list[float] | Costs]  # what is settled last, mostly by validation, by name


class Predictor(Protocol):
    """What a lane leaves behind: a fitted model or baseline, as the label kind asks it."""

    needs: tuple[str, ...]  # libraries that it loads, beside those that every predictor needs

    def settled(self, chosen: Chosen) -> Self:
        """The same with what validation chose last, see `LabelKind.settle`."""
        ...

    def save(self, folder: Path) -> None:
        """Write all that it is, without pickling."""
        ...


@dataclass(frozen=True)
class Slice:
    """Some of the rows of a view: what divides them, the group's name, and which rows [N] are in it."""

    by: str
    label: str
    rows: Mask


class ItemScorer(Protocol):
    """A predictor of items."""

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        """[n, I] of the histories of n units; higher is better."""
        ...


class ClassEstimator(Protocol):
    """A predictor of a class, or of tags."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes or tags that it knows."""
        ...

    def probabilities(self, features: Features) -> FloatArray:
        """[N, K] of each that it knows; of classes a row's sum is one, a tag stands for itself."""
        ...

    def decided(self, probabilities_NK: FloatArray) -> IntArray:
        """Which class is told: [N] places among those that it knows; of tags [N, K] ones and zeros."""
        ...


class NumberEstimator(Protocol):
    """A predictor of a number."""

    def values(self, features: Features) -> FloatArray:
        """[N]."""
        ...


def item_columns(catalogues: Mapping[str, pd.DataFrame], target: str) -> dict[str, IntArray]:
    """The column of each domain's items in one matrix of all: the target's first, one column for each item id."""
    own = pd.Index(catalogues[target][c.ITEM])
    ids = pd.Index(np.unique(np.concatenate([items[c.ITEM].to_numpy(dtype=object) for items in catalogues.values()])))
    every = own.append(ids.difference(own, sort=True))
    return {name: every.get_indexer(pd.Index(items[c.ITEM])).astype(np.int64) for name, items in catalogues.items()}


def taken_elsewhere(past: Past, catalogues: Mapping[str, pd.DataFrame], target: str) -> FloatArray:
    """How often each item of the target was taken in the other domains under the same id, by weight: [I_target]."""
    columns, own = item_columns(catalogues, target), len(catalogues[target])
    others = [name for name in catalogues if name != target]
    every = np.concatenate([columns[name] for name in others])
    taken = np.concatenate([np.asarray(past.taken[name].sum(axis=0)).ravel() for name in others])
    return np.asarray(np.bincount(every, taken, minlength=own)[:own], dtype=np.float64)
