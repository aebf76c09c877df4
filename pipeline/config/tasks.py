"""What is predicted of which rows."""

from collections.abc import Collection
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from pipeline import columns as c
from pipeline.config.base import Bridge, TaskConfig
from pipeline.config.features import UNALIKE, FeatureType
from pipeline.config.labels import (
    SEVERAL,
    BinaryLabel,
    Label,
    MulticlassLabel,
    MultilabelLabel,
    RegressionLabel,
)
from pipeline.config.rankings import RankingTask

# Columns that stand beside the declared ones: in tables, prepared rows, judged rows, answers.
TAKEN = frozenset({
    c.DOMAIN, c.SPLIT, c.TIMESTAMP, c.ROW, c.TABLE, c.RULE, "component", "part", "kept", "row", "unit", "lane",
    "predicted", "request", "probability", "threshold", "unknown", "explanation", *c.UNREADS,
})  # fmt: skip
ColumnName = Annotated[str, Field(pattern=r"^[^\W\d]\w{0,59}$")]


class ExamplesTask(TaskConfig):
    """Predict one column of a row from others; every column that is used is declared with what it is."""

    fields: ClassVar[frozenset[str]] = frozenset({"features"})
    tables: ClassVar[tuple[str, ...]] = ("examples",)
    splits: ClassVar[frozenset[str]] = frozenset({"shipped", "time", "hash"})
    strata: ClassVar[bool] = True
    bridges: ClassVar[frozenset[Bridge]] = frozenset({"features"})

    read_as: ClassVar[tuple[str, ...]]

    label: ColumnName  # what is predicted; a row without a value is unlabelled
    also: dict[ColumnName, Label] = Field(default={})  # by the same model; the gate looks at the first alone
    features: dict[ColumnName, FeatureType] = Field(min_length=1)  # what it is predicted from
    groups: tuple[ColumnName, ...] = ()  # rows that share a value of one of them are never divided by a split
    entities: tuple[ColumnName, ...] = ()  # how many earlier rows share a value of one of them is a feature as well
    slices: tuple[ColumnName, ...] = ()  # features by whose values results are shown; none: the first small ones

    @property
    def examples(self) -> "ExamplesTask":
        """Itself."""
        return self

    def as_rows(self) -> Self:
        """The columns and how they are read; not the metric, nor how results are shown."""
        names = ("kind", "label", "features", "groups", "entities", *self.read_as)
        kept = {name: getattr(self, name) for name in names}
        also = {
            name: type(one)(**{key: getattr(one, key) for key in ("kind", *one.read_as)})
            for name, one in self.also.items()
        }
        return type(self)(**kept, also=also)

    @property
    def predicted(self) -> frozenset[str]:
        """Several labels are a kind of their own."""
        return SEVERAL if self.also else self.labels

    @property
    def each(self) -> tuple["ExamplesTask", ...]:
        """The task of each label by itself, on the same rows."""
        shared = {name: getattr(self, name) for name in ("features", "groups", "entities", "slices")}
        others = (_ALONE[one.kind](label=name, **dict(one), **shared) for name, one in self.also.items())
        return (self.model_copy(update={"also": {}}), *others)

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
        named = [*self.features, self.label, *self.also, *ids, *self.past]
        if own := sorted(TAKEN & set(named)):
            raise ValueError(f"{', '.join(own)} has a meaning of its own here; map the column to another name")
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise ValueError(
                f"{', '.join(twice)} stands there more than once, as label, feature, group or entity, or as what is "
                "counted of one; keep one"
            )
        if unknown := sorted(set(self.slices) - set(self.features)):
            raise ValueError(f"slices: {', '.join(unknown)} is no feature; there are {', '.join(self.features)}")
        if own := sorted(name for name in self.slices if self.features[name] in UNALIKE):
            raise ValueError(
                f"slices: {', '.join(own)} is made of words or a picture, and hardly two rows have the same; leave it "
                "out"
            )
        return self


class BinaryTask(BinaryLabel, ExamplesTask):
    """Predict whether something is so."""

    metric: Literal["auprc", "auroc", "log_loss"] = "auprc"  # chooses and is gated


class MulticlassTask(MulticlassLabel, ExamplesTask):
    """Predict one of several classes."""

    metric: Literal["balanced_accuracy", "log_loss", "macro_auprc"] = "balanced_accuracy"


class MultilabelTask(MultilabelLabel, ExamplesTask):
    """Predict which tags a row has: none, one or several of them."""

    metric: Literal["macro_auprc", "macro_auroc", "log_loss"] = "macro_auprc"


class RegressionTask(RegressionLabel, ExamplesTask):
    """Predict a number."""

    metric: Literal["mse", "mae"] = "mse"


# kind of label -> the task that predicts it alone
_ALONE: dict[str, type[ExamplesTask]] = {
    "binary": BinaryTask,
    "multiclass": MulticlassTask,
    "multilabel": MultilabelTask,
    "regression": RegressionTask,
}


EventName = Annotated[str, Field(pattern=r"^[^\W\d]\w{0,29}$")]
OTHER = "other"  # what a kind of event is called that the scenario does not name


class NextEventTask(TaskConfig):
    """Predict which kind of event follows in the log of a user, from what came before it in all domains."""

    fields: ClassVar[frozenset[str]] = frozenset({"features", "log"})
    labels: ClassVar[frozenset[str]] = frozenset({"classes"})
    tables: ClassVar[tuple[str, ...]] = ("interactions",)
    splits: ClassVar[frozenset[str]] = frozenset({"shipped", "time", "hash"})
    strata: ClassVar[bool] = True
    bridges: ClassVar[frozenset[Bridge]] = frozenset({"users", "features"})

    kind: Literal["next_event"]
    events: tuple[EventName, ...] = Field(min_length=2, max_length=31)  # those told apart; another is past alone
    metric: Literal["macro_auprc", "log_loss"] = "macro_auprc"  # chooses and is gated

    def as_rows(self) -> Self:
        """The kinds of event; not the metric."""
        return type(self)(kind=self.kind, events=self.events)

    @property
    def examples(self) -> MulticlassTask:
        """What is told of the past of an event: `pipeline/rows/behaviour/told.py` says how each is counted."""
        kinds = (*self.events, OTHER)
        lasts: dict[str, FeatureType] = dict.fromkeys(LASTS, "category")
        counted = [f"{kind}_of_{what}" for what in ("5", "20", "item") for kind in kinds]
        since = [f"since_{kind}" for kind in kinds]
        told = ("before", "own_of_5", "item_before", "item_run", *counted, *since, *GAPS)
        features = {**lasts, **dict.fromkeys(told, "number")}
        return MulticlassTask(kind="multiclass", label=c.EVENT, features=features, slices=(LASTS[0], "before"))

    @model_validator(mode="after")
    def _kinds_differ(self) -> Self:
        if twice := sorted({one for one in self.events if self.events.count(one) > 1}):
            raise ValueError(f"events: {', '.join(twice)} stands there more than once; keep one")
        if OTHER in self.events:
            raise ValueError(f"events: {OTHER!r} is what all kinds are called that are not named; call it otherwise")
        return self


LASTS = ("last_1", "last_2", "last_3")  # kinds of the last events, the newest first
GAPS = ("gap_1", "gap_2")  # seconds between the last two events, and between those before


def task_kind(value: object) -> str:
    """Ranking, where a file says no kind: the first task that there was."""
    return str(value.get("kind", "ranking") if isinstance(value, dict) else getattr(value, "kind", "ranking"))


Task = Annotated[
    Annotated[RankingTask, Tag("ranking")]
    | Annotated[BinaryTask, Tag("binary")]
    | Annotated[MulticlassTask, Tag("multiclass")]
    | Annotated[MultilabelTask, Tag("multilabel")]
    | Annotated[RegressionTask, Tag("regression")]
    | Annotated[NextEventTask, Tag("next_event")],
    Discriminator(task_kind),
]
