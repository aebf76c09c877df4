"""What is asked of those who rank items, and what a row counts."""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from pipeline import columns as c
from pipeline.config.base import Bridge, Config, TaskConfig


class MinRows(Config):
    """How many training rows a user and an item must have, or theirs are left out; one: all stay."""

    users: int = Field(default=1, ge=1, le=1000)
    items: int = Field(default=1, ge=1, le=1000)


Described = Literal["title", "category", "brand", "price"]
Counts = Annotated[float, Field(ge=0, le=1_000_000)]  # what a row counts; 0: nothing is learnt from it


class RowWeight(Config):
    """What a row counts: the product of these parts; one that is left out, or that a row has no value for, is 1."""

    event: dict[str, Counts] = Field(default={})  # every event that rows have, and what it counts
    rating: dict[float, Counts] = Field(default={})  # of `value`: straight lines between these, then the nearest
    half_life_days: float | None = Field(default=None, gt=0, le=1_000_000)  # 0.5 ** (age / half life); nothing: 1


class AtLeast(Config):
    """Numbers from here on."""

    at_least: float


class Relevant(Config):
    """Which held-out rows are answers to be found: those that meet all that is named, without a value none does."""

    event: tuple[str, ...] = ()  # one of these; none: any
    rating: AtLeast | None = None  # of the column `value`; nothing: any


class RankingTask(TaskConfig):
    """Rank the target's catalogue for each user."""

    fields: ClassVar[frozenset[str]] = frozenset({"past"})
    labels: ClassVar[frozenset[str]] = frozenset({"items"})
    tables: ClassVar[tuple[str, ...]] = ("interactions", "items")
    splits: ClassVar[frozenset[str]] = frozenset({"shipped", "time", "leave_last_out", "cold_users", "hash"})
    bridges: ClassVar[frozenset[Bridge]] = frozenset({"users", "items", "item_features"})
    unlabelled: ClassVar[frozenset[Bridge]] = frozenset({"users"})

    kind: Literal["ranking"] = "ranking"
    cutoffs: tuple[int, ...] = (10, 20)
    metric: Literal["ndcg", "recall", "hit_rate", "mrr"] = "ndcg"  # at the first cutoff; chooses and is gated
    min_rows: MinRows = MinRows()
    weight: RowWeight = RowWeight()
    relevant: Relevant = Relevant()
    described_by: Annotated[tuple[Described, ...], Field(min_length=1)] = ("title", "category")  # of the items table

    def as_rows(self) -> Self:
        """Which rows are left out, what they count, which are answers and what describes items; not the metric."""
        own = type(self)
        return own(min_rows=self.min_rows, weight=self.weight, relevant=self.relevant, described_by=self.described_by)

    def as_tables(self) -> Self:
        """Which columns are looked at, and not what is made of their values."""
        weight, relevant = self.weight, self.relevant
        looked = RowWeight(
            event={"": 1} if weight.event else {},
            rating={0: 1} if weight.rating else {},
            half_life_days=1 if weight.half_life_days else None,
        )
        asked = Relevant(event=("",) if relevant.event else (), rating=AtLeast(at_least=0) if relevant.rating else None)
        return type(self)(weight=looked, relevant=asked)

    def refuse_events(self, there: Iterable[str]) -> None:
        """Refuse a weight by event that does not say what each event counts that rows are known to have.

        Raises:
            ValueError: it leaves one out, which would stop the run when its rows are read.
        """
        for event in there if self.weight.event else ():
            if event not in self.weight.event:
                raise ValueError(
                    f"task.weight.event: rows have the event {event!r}, which it does not name; say what each event "
                    "counts (0: nothing is learnt from it)"
                )

    @property
    def weighs(self) -> bool:
        """Whether rows may count differently."""
        return self.weight != RowWeight()

    @property
    def judges_some(self) -> bool:
        """Whether some held-out rows are no answers."""
        return self.relevant != Relevant()

    @property
    def asks_for(self) -> dict[str, str]:
        """Columns that its rows must have, and the setting that says so."""
        said: dict[str, dict[str, object]] = {
            c.EVENT: {"task.weight.event": self.weight.event, "task.relevant.event": self.relevant.event},
            c.VALUE: {"task.weight.rating": self.weight.rating, "task.relevant.rating": self.relevant.rating},
            c.TIMESTAMP: {"task.weight.half_life_days": self.weight.half_life_days},
        }
        named = {column: [name for name, value in ways.items() if value] for column, ways in said.items()}
        return {column: names[0] for column, names in named.items() if names}
