"""What a label of examples is, and how it is read: what a task predicts first, and what it predicts beside that."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from pipeline.config.base import Config

SEVERAL = frozenset({"several labels"})  # the kind of label of rows that have more than one


class LabelConfig(Config):
    """One label."""

    labels: ClassVar[frozenset[str]]  # kinds of label that it is
    read_as: ClassVar[tuple[str, ...]] = ()  # settings that decide how it is read, beside its kind


class Costs(Config):
    """What a mistake costs, in one unit; what is right costs nothing."""

    false_positive: float = Field(gt=0, le=1_000_000)  # to say yes where it is not so
    false_negative: float = Field(gt=0, le=1_000_000)  # to say no where it is so

    @property
    def threshold(self) -> float:
        """From which probability on yes costs less in the mean, where probabilities are what they say (Elkan, 2001)."""
        return self.false_positive / (self.false_positive + self.false_negative)


MistakeCost = Annotated[float, Field(ge=0, le=1_000_000)]


class BinaryLabel(LabelConfig):
    """Whether something is so."""

    labels: ClassVar[frozenset[str]] = frozenset({"classes", "one of two classes"})
    read_as: ClassVar[tuple[str, ...]] = ("positive",)

    kind: Literal["binary"]
    positive: str | None = None  # the value of the label that is looked for; None: the label says yes or no
    costs: Costs | None = None  # of mistakes; the threshold is then for the least cost; None: for the highest F1


class MulticlassLabel(LabelConfig):
    """One of several classes."""

    labels: ClassVar[frozenset[str]] = frozenset({"classes"})

    kind: Literal["multiclass"]
    costs: dict[str, dict[str, MistakeCost]] = Field(default={})  # what is so -> what is told -> cost; others cost 1

    @model_validator(mode="after")
    def _right_costs_nothing(self) -> Self:
        if wrong := [name for name, told in self.costs.items() if told.get(name)]:
            raise ValueError(
                f"costs: {wrong[0]!r} told where it is so is no mistake and costs nothing, got "
                f"{self.costs[wrong[0]][wrong[0]]:g}; leave it out"
            )
        return self


class MultilabelLabel(LabelConfig):
    """Which tags a row has: none, one or several of them."""

    labels: ClassVar[frozenset[str]] = frozenset({"tags"})
    read_as: ClassVar[tuple[str, ...]] = ("separator", "none")

    kind: Literal["multilabel"]
    separator: str = Field(min_length=1)  # what stands between the tags of a row; blanks around are none
    none: str | None = Field(default=None, min_length=1)  # the label of a row of which it is known that it has no tag


class RegressionLabel(LabelConfig):
    """A number."""

    labels: ClassVar[frozenset[str]] = frozenset({"numbers"})

    kind: Literal["regression"]


Label = Annotated[
    BinaryLabel | MulticlassLabel | MultilabelLabel | RegressionLabel,
    Field(discriminator="kind"),
]
