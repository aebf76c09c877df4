"""What all settings have in common: frozen values, and a key that is not known is an error."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pipeline.config.encoders import READ_BY, Encoded

if TYPE_CHECKING:
    from pipeline.config.tasks import ExamplesTask

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Share = Annotated[float, Field(gt=0, le=1)]
Kept = Annotated[float, Field(ge=0.0001, le=1)]  # a share of rows; with less there is nothing left to learn from
Thinning = Literal["proportional", "stratified"]
Draw = Annotated[int, Field(ge=0, le=2**31 - 1)]
Weight = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
LearningRate = Annotated[float, Field(gt=0, le=10)]
Bridge = Literal["users", "items", "item_features", "features"]
Duplicates = Literal["first", "last", "sum", "refuse"]  # which of several rows of one user and item counts
Role = Literal["source", "target", "inputs"]  # of rows in a batch; inputs: rows of the target, seen without labels


class Config(BaseModel):
    """Base of all settings: frozen, and a key that is not known is an error."""

    # what was given is not repeated in pydantic's own words, because it may be a URL with a password
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


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

    @property
    def examples(self) -> "ExamplesTask | None":
        """The columns of its rows, where each is told by features; None: they are told by something else."""
        return None

    @property
    def predicted(self) -> frozenset[str]:
        """The kinds of label that what is learnt has to predict, all labels together."""
        return self.labels

    @property
    def each(self) -> tuple["TaskConfig", ...]:
        """The task of each label by itself, the gated one first."""
        return (self,)

    def as_rows(self) -> Self:
        """What decides about the rows: how they are judged is asked when they are there."""
        return type(self)()

    def as_tables(self) -> Self:
        """What decides about the columns of its tables."""
        return self.as_rows()

    def lacks(self, kind: Encoded, tables: Collection[str]) -> str:
        """What its rows do not have of a type of feature where there are only these kinds of table; nothing: some."""
        if self.examples is None:
            return "" if "items" in tables else "titles of items, and tables name no items"
        there = READ_BY[kind] & {*self.examples.features.values()}
        return "" if there else f"features of the type {' or '.join(sorted(READ_BY[kind]))}, and the task names none"


def _tellable(title: str) -> str:
    """Refuse control characters, which the databases behind Airflow and MLflow do not take."""
    if any(letter < " " and letter not in "\t\n" for letter in title):
        raise ValueError("expected a text without control characters")
    return title


def _comes(schedule: str) -> str:
    """Refuse what is no cron expression, and one whose time never comes, such as the 31st of February."""
    from croniter import CroniterError, croniter

    try:
        cron = croniter(schedule, datetime(2026, 1, 1))  # noqa: DTZ001  any day, in UTC
        cron.get_next(datetime)
    except CroniterError as error:
        raise ValueError(f"expected cron with five fields, such as '0 2 * * *' ({error})") from None
    if len(cron.expanded) != 5:
        raise ValueError("expected cron with five fields, such as '0 2 * * *'")
    return schedule


Title = Annotated[str, AfterValidator(_tellable)]
Cron = Annotated[str, AfterValidator(_comes)]
