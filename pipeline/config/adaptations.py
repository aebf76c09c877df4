"""The first half of a strategy: what brings features of the domains together before labels of the target are seen."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pipeline.config.alignments import CLASSES, LABELS, OF_ROWS, CdanTerm, CoralTerm, DannTerm, MmdTerm
from pipeline.config.base import Bridge, Config, Role, Share, Weight

Start = Literal["random", "source", "adapted"]  # weights: drawn, those of the source model, those of an adapted one


class Choice(Config):
    """An adapt or a tune; what it needs stands on its class, so that nothing else asks for its kind."""

    starts: ClassVar[Start]  # what its weights begin with; an adapted model is the source's where there is no adapt
    labels: ClassVar[frozenset[Role]]  # whose labels it learns from; none: nothing is fitted
    bridges: ClassVar[frozenset[Bridge]] = frozenset(
        {"users", "items", "item_features", "features"}
    )  # one is enough; none: no need
    apart: ClassVar[bool] = False  # it needs to know what each domain says of a unit by itself

    taught: ClassVar[bool] = False  # its start is a teacher, and its own weights are drawn

    @property
    def inputs(self) -> bool:
        """Whether it looks at inputs of the target without labels."""
        return False

    @property
    def predicts(self) -> frozenset[str]:
        """Kinds of label that it can learn from; one is enough."""
        return LABELS

    @property
    def name(self) -> str:
        """What it is called in the name of a lane."""
        return str(getattr(self, "kind"))  # noqa: B009  every subclass has one


class NoAdapt(Choice):
    """The source model as it was trained."""

    starts: ClassVar[Start] = "random"
    labels: ClassVar[frozenset[Role]] = frozenset({"source"})
    bridges: ClassVar[frozenset[Bridge]] = frozenset()

    kind: Literal["none"] = "none"


class Adaptation(Choice):
    """An adapt that trains the source model further, looking at the target's inputs: a step of its own."""

    starts: ClassVar[Start] = "source"
    labels: ClassVar[frozenset[Role]] = frozenset({"source"})

    epochs: int = Field(default=3, ge=1, le=1000)

    @property
    def inputs(self) -> bool:
        """Always."""
        return True


class Coral(CoralTerm, Adaptation):
    """Source labels, and `CoralTerm` between the features of source rows and of the target's inputs."""


class Mmd(MmdTerm, Adaptation):
    """Source labels, and `MmdTerm` between the features of source rows and of the target's inputs."""


class Dann(DannTerm, Adaptation):
    """Source labels, and `DannTerm` between the features of source rows and of the target's inputs."""


class Cdan(CdanTerm, Adaptation):
    """Source labels, and `CdanTerm` between source rows and the target's inputs."""


class Reweight(Adaptation):
    """Source labels, each row counting as much as it looks like one of the target's."""

    kind: Literal["reweight"]
    most: float = Field(default=10.0, ge=1, le=1000)  # odds above it count as it

    @property
    def predicts(self) -> frozenset[str]:
        """Of rows that stand for themselves: a user who is in both domains is no row of either."""
        return OF_ROWS


class SelfTraining(Adaptation):
    """Source labels, and the classes that the model is surest of for the target's inputs, told anew each round."""

    kind: Literal["self_training"]
    weight: Weight = 0.3  # of the loss of the target's rows
    share: Share = 0.5  # of the rows told to be of a class, the surest first
    confidence: float = Field(default=0.6, ge=0, lt=1)  # no row that is less sure
    rounds: int = Field(default=2, ge=1, le=20)  # each of `epochs`

    @property
    def predicts(self) -> frozenset[str]:
        """Classes: one of them a row."""
        return CLASSES


AdaptConfig = Annotated[NoAdapt | Coral | Mmd | Dann | Cdan | Reweight | SelfTraining, Field(discriminator="kind")]
