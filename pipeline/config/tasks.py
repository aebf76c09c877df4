"""What is predicted of which rows."""

from collections.abc import Collection
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import Discriminator, Field, Tag, model_validator

from pipeline import columns as c
from pipeline.config.base import Bridge, Config

# Columns that stand beside the declared ones: in tables, prepared rows, judged rows, answers.
TAKEN = frozenset({
    c.DOMAIN, c.SPLIT, c.TIMESTAMP, c.ROW, c.TABLE, c.RULE, "component", "part", "kept", "row", "unit", "lane",
    "predicted", "request", "probability", "threshold", "unknown", "explanation", *c.UNREADS,
})  # fmt: skip
ColumnName = Annotated[str, Field(pattern=r"^[^\W\d]\w{0,59}$")]
FeatureType = Literal["number", "category", "flag", "time", "text", "bag"]
FEATURE_TYPES: frozenset[FeatureType] = frozenset(get_args(FeatureType))


class TaskConfig(Config):
    """What is predicted of which rows; the kinds of both stand in `pipeline/tasks/`."""

    fields: ClassVar[frozenset[str]]  # what its rows say, by name
    labels: ClassVar[frozenset[str]]  # kinds of label that they have
    tables: ClassVar[tuple[str, ...]]  # kinds of table that it reads, the one whose rows are learnt from first
    splits: ClassVar[frozenset[str]]  # kinds of split that can part its rows
    strata: ClassVar[bool] = False  # its rows are of classes, each of which can keep its share when rows are taken away
    bridges: ClassVar[frozenset[Bridge]]  # what its domains can have in common
    unlabelled: ClassVar[frozenset[Bridge]] = frozenset()  # of these an adaptation needs one where labels are missing

    @property
    def name(self) -> str:
        """What a package calls it."""
        return str(getattr(self, "kind"))  # noqa: B009  every subclass has one

    def as_rows(self) -> Self:
        """What decides about the rows: how they are judged is asked when they are there."""
        return type(self)()

    def as_tables(self) -> Self:
        """What decides about the columns of its tables."""
        return self.as_rows()

    def lacks_texts(self, tables: Collection[str]) -> str:
        """Which texts its rows do not have where there are only these kinds of table; nothing: they have some."""
        return "" if "items" in tables else "titles of items, and tables name no items"


class MinRows(Config):
    """How many training rows a user and an item must have, or theirs are left out; one: all stay."""

    users: int = Field(default=1, ge=1, le=1000)
    items: int = Field(default=1, ge=1, le=1000)


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

    def as_rows(self) -> Self:
        """Which rows are left out, what they count and which are answers; not the metric."""
        return type(self)(min_rows=self.min_rows, weight=self.weight, relevant=self.relevant)

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


class ExamplesTask(TaskConfig):
    """Predict one column of a row from others; every column that is used is declared with what it is."""

    fields: ClassVar[frozenset[str]] = frozenset({"features"})
    tables: ClassVar[tuple[str, ...]] = ("examples",)
    splits: ClassVar[frozenset[str]] = frozenset({"shipped", "time", "hash"})
    strata: ClassVar[bool] = True
    bridges: ClassVar[frozenset[Bridge]] = frozenset({"features"})

    label: ColumnName  # what is predicted; a row without a value is unlabelled
    features: dict[ColumnName, FeatureType] = Field(min_length=1)  # what it is predicted from
    groups: tuple[ColumnName, ...] = ()  # rows that share a value of one of them are never divided by a split
    entities: tuple[ColumnName, ...] = ()  # how many earlier rows share a value of one of them is a feature as well
    slices: tuple[ColumnName, ...] = ()  # features by whose values results are shown; none: the first small ones

    def as_rows(self) -> Self:
        """The columns; not the metric, nor how results are shown."""
        kept = {name: getattr(self, name) for name in self.rows_are()}
        return type(self)(**kept)

    @classmethod
    def rows_are(cls) -> tuple[str, ...]:
        """The settings that decide about rows."""
        return ("kind", "label", "features", "groups", "entities")

    def lacks_texts(self, tables: Collection[str]) -> str:
        """Features of the type text."""
        del tables
        return "" if "text" in self.features.values() else "features of the type text, and task.features names none"

    @property
    def past(self) -> dict[str, FeatureType]:
        """Features that are counted for each entity: its rows before, in all domains, and hours since the last."""
        return {f"{entity}_{told}": "number" for entity in self.entities for told in ("before", "hours_since")}

    def refuse_shown(self, personal: Collection[str]) -> None:
        """Refuse slices of personal features: results by their values would show them.

        Raises:
            ValueError: it is so.
        """
        hidden = set(personal) & set(self.features)
        if shown := sorted(hidden & set(self.slices)):
            raise ValueError(
                f"task.slices: {', '.join(shown)} is personal, and its values would be shown; leave it out"
            )
        if hidden and not self.slices:
            raise ValueError(
                f"task.slices: expected the features whose values may be shown, because {', '.join(sorted(hidden))} "
                "is personal"
            )

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        ids = [*self.groups, *(name for name in self.entities if name not in self.groups)]  # one may be both
        named = [*self.features, self.label, *ids, *self.past]
        if own := sorted(TAKEN & set(named)):
            raise ValueError(f"{', '.join(own)} has a meaning of its own here; map the column to another name")
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise ValueError(
                f"{', '.join(twice)} stands there more than once, as label, feature, group or entity, or as what is "
                "counted of one; keep one"
            )
        if unknown := sorted(set(self.slices) - set(self.features)):
            raise ValueError(f"slices: {', '.join(unknown)} is no feature; there are {', '.join(self.features)}")
        if texts := sorted(name for name in self.slices if self.features[name] in ("text", "bag")):
            raise ValueError(
                f"slices: {', '.join(texts)} is made of words, and hardly two rows have the same; leave it out"
            )
        return self


class Costs(Config):
    """What a mistake costs, in one unit; what is right costs nothing."""

    false_positive: float = Field(gt=0, le=1_000_000)  # to say yes where it is not so
    false_negative: float = Field(gt=0, le=1_000_000)  # to say no where it is so

    @property
    def threshold(self) -> float:
        """From which probability on yes costs less in the mean, where probabilities are what they say (Elkan, 2001)."""
        return self.false_positive / (self.false_positive + self.false_negative)


class BinaryTask(ExamplesTask):
    """Predict whether something is so."""

    labels: ClassVar[frozenset[str]] = frozenset({"classes", "one of two classes"})

    kind: Literal["binary"]
    positive: str | None = None  # the value of the label that is looked for; None: the label says yes or no
    metric: Literal["auprc", "auroc", "log_loss"] = "auprc"  # chooses and is gated
    costs: Costs | None = None  # of mistakes; the threshold is then where they cost least; None: where F1 is highest

    @classmethod
    def rows_are(cls) -> tuple[str, ...]:
        """What counts as positive, too."""
        return (*super().rows_are(), "positive")


class MulticlassTask(ExamplesTask):
    """Predict one of several classes."""

    labels: ClassVar[frozenset[str]] = frozenset({"classes"})

    kind: Literal["multiclass"]
    metric: Literal["balanced_accuracy", "log_loss"] = "balanced_accuracy"


class MultilabelTask(ExamplesTask):
    """Predict which tags a row has: none, one or several of them."""

    labels: ClassVar[frozenset[str]] = frozenset({"tags"})

    kind: Literal["multilabel"]
    separator: str = Field(min_length=1)  # what stands between the tags of a row; blanks around are none
    none: str | None = Field(default=None, min_length=1)  # the label of a row of which it is known that it has no tag
    metric: Literal["macro_auprc", "macro_auroc", "log_loss"] = "macro_auprc"

    @classmethod
    def rows_are(cls) -> tuple[str, ...]:
        """How tags are read, too."""
        return (*super().rows_are(), "separator", "none")


class RegressionTask(ExamplesTask):
    """Predict a number."""

    labels: ClassVar[frozenset[str]] = frozenset({"numbers"})

    kind: Literal["regression"]
    metric: Literal["mse", "mae"] = "mse"


def task_kind(value: object) -> str:
    """Ranking, where a file says no kind: the first task that there was."""
    return str(value.get("kind", "ranking") if isinstance(value, dict) else getattr(value, "kind", "ranking"))


Task = Annotated[
    Annotated[RankingTask, Tag("ranking")]
    | Annotated[BinaryTask, Tag("binary")]
    | Annotated[MulticlassTask, Tag("multiclass")]
    | Annotated[MultilabelTask, Tag("multilabel")]
    | Annotated[RegressionTask, Tag("regression")],
    Discriminator(task_kind),
]
