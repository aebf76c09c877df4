"""What every kind of row answers: its prepared domains as views, and how a lane of it is served."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict

from pipeline.config import Alike, Bridge, Duplicates, Encoded, Reading, TaskConfig
from pipeline.rows.learnt import Learnt
from pipeline.views import View

EXPLAIN, EXPLANATION = "explain", "explanation"  # a parameter of a request: how many reasons; a column of its answer
PARTED_UNIT = "unit"  # a column of `Prepared.parted`
FOLDS, FOLDED = "folds", "choosing in folds"  # of `Parts.known`: how many there are, and how many rows choose in them
NOT_RELEVANT = "not_relevant"  # of `Parts.dropped`: held out for the test, and no answer that is looked for
VALID_NOT_RELEVANT = "valid_not_relevant"  # of `Parts.rows`: held out for validation, no answer, and trained on later


class Prepared(Protocol):
    """What `prepare` published of several domains, one of them in the target's place."""

    @property
    def units(self) -> str:
        """What is drawn again and counted, in the plural."""
        ...

    @property
    def name(self) -> str:
        """The domain that is the target."""
        ...

    def of_sources(self) -> Self:
        """The sources alone, the first in the target's place."""
        ...

    def each_placed(self) -> tuple[Self, ...]:
        """Each domain in the target's place, the others beside it; the target first."""
        ...

    def with_all_rows(self) -> Self:
        """The same as before thinning."""
        ...

    def folds(self) -> tuple[Self, ...]:
        """Once for each part of the target's rows that chooses while the others train; most often one, as it is."""
        ...

    def parted(self) -> pd.DataFrame:
        """The target's rows that are used: `part` (0 train, 1 valid, 2 test), `unit` and, if there, `timestamp`."""
        ...

    def training(self, held_back: Collection[str] = ()) -> Mapping[str, View]:
        """The rows of each domain that may be learnt from, those of validation too but for domains held back."""
        ...

    def held_out(self, part: str) -> View:
        """The target's rows of a part, with what may be known when they are predicted."""
        ...

    def stand_in(self, bridges: Collection[Bridge]) -> View:
        """The target's validation rows, met as those of a domain without labels are met over these bridges."""
        ...

    def named(self, view: View) -> pd.Index:
        """Name the rows [N] of a view of the target by what they are, the same every night."""
        ...

    def contents(self, kind: Encoded) -> list[str]:
        """The different texts of all rows or items but for empty ones, or the names of their pictures, in order."""
        ...

    def recent(self, view: View, most: int) -> list[tuple[str, ...]]:
        """What the unit of each row [N] did last, the newest first, in words; nothing where a row stands alone."""
        ...

    def as_served(self, bridges: Collection[Bridge], *, target_labels: bool, personal: Collection[str]) -> Self:
        """As a package holds them: without labels of the target, what the sources say of it stands in for them.

        Of the columns that are `personal` the example of a request shows no value.
        """
        ...


Tables = Mapping[str, pd.DataFrame]  # the validated tables of a domain by name


@dataclass(frozen=True)
class CleanTables:
    """One domain's clean tables, and the share of rows in quarantine of the table where it is larger, in [0, 1].

    `worst` says what took most of these rows.
    """

    tables: Tables
    quarantined: float
    worst: str = ""


@dataclass(frozen=True)
class Given:
    """What a domain brings to be parted: its tables, and which rows for training and which repeats are kept."""

    domain: str
    tables: Tables
    split: Any  # the config of the split
    share: float
    draw: int
    stratified: bool = False  # each class keeps that share of its rows, and at least one
    duplicates: Duplicates = "first"


@dataclass(frozen=True)
class Parts:
    """A parted domain.

    Args:
        write: Writes it into a folder; equal rows give equal bytes.
        rows: Rows by part.
        kept: Rows for training and validation that thinning keeps.
        dropped: Rows that are in no part, by reason.
        known: What else there is to tell of it.
        span: The times of the first and the last row, None where there are no times.
    """

    write: Callable[[Path], None]
    rows: dict[str, int]
    kept: int
    dropped: dict[str, int]
    known: dict[str, int]
    span: tuple[pd.Timestamp, pd.Timestamp] | None = None


class Parting(Protocol):
    """How a kind of row is parted."""

    def target(self, given: Given, sources: Mapping[str, Tables]) -> tuple[Parts, Any]:
        """Part the target's rows; and the border from which sources must not know anything.

        Args:
            given: The target.
            sources: The tables of the sources, where the split looks at them.

        Raises:
            DataError: the split needs a column that is missing.
        """
        ...

    def source(self, given: Given, border: Any) -> Parts:
        """Part a source's rows, those from before the border.

        Raises:
            DataError: as for `target`.
        """
        ...


class PackageInfo(BaseModel):
    """What a package is, and which data and code made it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenario: str
    lane: str
    task: str = "ranking"  # packages of 0.1 do not say it
    target: str
    sources: tuple[str, ...]
    pseudonymous: bool  # user ids stand here as in the user's own tables: nothing is hashed
    key: str | None = None  # id of the key that made the pseudonyms; packages of 0.1 do not say it
    alike: dict[str, tuple[Alike, ...]] = {}  # which spellings of an id are one, by column
    reading: Reading = Reading()  # how values of rows are read; older packages do not say it
    candidate: str  # hash of the candidate's manifest
    data: dict[str, str]  # step and domain -> hash of the manifest
    code: str  # version of Crosslift

    @property
    def domains(self) -> tuple[str, ...]:
        """The sources, then the target."""
        return (*self.sources, self.target)


@dataclass(frozen=True)
class Carried:
    """What of a package can stand for a source.

    Args:
        parts: The predictors by the labels of the other task that they say.
        catalogues: Of each domain the items, in the order in which its predictor has them, the one that it serves
            first: item_id and train_count. None where rows are told by features.
    """

    parts: Mapping[str, Any]
    catalogues: Mapping[str, pd.DataFrame] = field(default_factory=dict)


class Served(Protocol):
    """A package in memory."""

    @property
    def learnt(self) -> Learnt:
        """The rows that it has learnt from, those of what it began with among them."""
        ...

    @property
    def requests(self) -> Mapping[str, str]:
        """Columns of a request: `any` (text or number), `texts` (a list), `picture` (bytes, or these in base64)."""
        ...

    def answer(self, frame: pd.DataFrame, params: Mapping[str, Any]) -> pd.DataFrame:
        """Answer requests, one a row."""
        ...

    def on(self, prepared: Any) -> Any:
        """Make the predictor speak of another night's rows.

        Raises:
            ConfigError: the other night's target is another domain.
        """
        ...

    def carried(self, task: TaskConfig) -> "Carried":
        """Find what of it can stand for a source of another task.

        Raises:
            UserError: it is of other rows or labels; what differs is named.
        """
        ...

    def examples(self) -> list[dict[str, Any]]:
        """Requests that show the ways of being served."""
        ...


class Serving(Protocol):
    """How packages of a task are written, read, and asked."""

    params: ClassVar[Mapping[str, int]]  # what a request may say beside its rows, with the values it has otherwise
    example_params: ClassVar[Mapping[str, int]]  # what the example of a package says

    def write(self, folder: Path, prepared: Any, before: Learnt) -> None:
        """Write what a predictor needs beside itself to answer requests; `before`: what it began with had learnt."""
        ...

    def read(self, folder: Path, info: PackageInfo, predictor: Any) -> Served:
        """Read it back.

        Raises:
            StorageError: a file is missing or damaged.
        """
        ...
