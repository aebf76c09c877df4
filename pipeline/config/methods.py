"""Training, and the strategies: one `adapt` followed by one `tune`."""

from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from pipeline.config.alignments import (
    CLASSES,
    LABELS,
    OF_ROWS,
    AlignConfig,
    CdanTerm,
    CoralTerm,
    DannTerm,
    MmdTerm,
)
from pipeline.config.base import Bridge, Config, LearningRate, Role, Share, Weight
from pipeline.config.baselines import Domains
from pipeline.config.models import TabularModel


class Training(Config):
    """How a model is fitted; early stopping looks at validation rows only."""

    epochs: int = Field(default=20, ge=1, le=1000)
    patience: int = Field(default=2, ge=1, le=100)
    batch_size: int = Field(default=1024, ge=1, le=1 << 20)
    negatives: int = Field(default=1024, ge=1, le=1 << 20)
    learning_rate: LearningRate | None = None  # None: as the model has it
    valid_users: int = Field(default=4000, ge=1)  # at most so many validation rows are ranked after each epoch


Start = Literal["random", "source", "adapted"]  # weights: drawn, those of the source model, those of an adapted one


class Choice(Config):
    """An adapt or a tune; what it needs stands on its class, so that nothing else asks for its kind."""

    starts: ClassVar[Start]  # what its weights begin with; an adapted model is the source's where there is no adapt
    labels: ClassVar[frozenset[Role]]  # whose labels it learns from; none: nothing is fitted
    bridges: ClassVar[frozenset[Bridge]] = frozenset(
        {"users", "items", "item_features", "features"}
    )  # one is enough; none: no need

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


class Scratch(Choice):
    """Target-only: the same model, from random weights, on the target alone."""

    starts: ClassVar[Start] = "random"
    labels: ClassVar[frozenset[Role]] = frozenset({"target"})
    bridges: ClassVar[frozenset[Bridge]] = frozenset()

    kind: Literal["scratch"]


class Direct(Choice):
    """Zero-shot: the source model as it is."""

    starts: ClassVar[Start] = "adapted"
    labels: ClassVar[frozenset[Role]] = frozenset()
    bridges: ClassVar[frozenset[Bridge]] = frozenset({"items", "item_features", "features"})

    kind: Literal["direct"]


class Further(Choice):
    """Trains weights further that are good already, in smaller steps."""

    starts: ClassVar[Start] = "adapted"
    labels: ClassVar[frozenset[Role]] = frozenset({"target"})

    learning_rate: LearningRate | None = None  # None: the model's own for such weights


class Frozen(Further):
    """The source's part stays as it is; only what is the target's own is trained."""

    kind: Literal["frozen"]


class FineTune(Further):
    """All weights are trained further on the target."""

    kind: Literal["fine_tune"]


class L2Sp(Further):
    """All weights are trained further, held to where they started: `weight * |w - w_start|^2` (Li et al., 2018)."""

    kind: Literal["l2sp"]
    weight: Weight = 0.01


class Adapter(Further):
    """The start stays as it is; a narrow network behind each block trains (Houlsby et al., 2019)."""

    kind: Literal["adapter"]
    width: int = Field(default=8, ge=1, le=1024)

    @property
    def predicts(self) -> frozenset[str]:
        """Of rows that stand for themselves: a history is read without blocks."""
        return OF_ROWS


class Lora(Further):
    """The start stays as it is; beside each linear layer a product of two thin matrices trains (Hu et al., 2022)."""

    kind: Literal["lora"]
    rank: int = Field(default=4, ge=1, le=256)

    @property
    def predicts(self) -> frozenset[str]:
        """Of rows that stand for themselves: a history is read by vectors alone, without a linear layer."""
        return OF_ROWS


class Distil(Choice):
    """The target's labels, and what the start says of the target's inputs: a student that learns from a teacher.

    `L_target + weight * divergence(teacher, student)` from random weights (Hinton, Vinyals and Dean, 2015).
    """

    starts: ClassVar[Start] = "adapted"
    labels: ClassVar[frozenset[Role]] = frozenset({"target"})
    taught: ClassVar[bool] = True

    kind: Literal["distil"]
    weight: Weight = 1.0
    temperature: float = Field(default=2.0, gt=0, le=100)  # of classes and tags; more: what is improbable counts more
    student: TabularModel | None = None  # what serves, in the place of the scenario's model; None: of the same shape

    @property
    def inputs(self) -> bool:
        """Always: the teacher needs no labels."""
        return True

    @property
    def predicts(self) -> frozenset[str]:
        """Of rows that stand for themselves: of items a teacher would have to score all for every user."""
        return OF_ROWS

    @model_validator(mode="after")
    def _reads_no_encoder(self) -> Self:
        if self.student and self.student.encoder:
            raise ValueError("student: expected none with an encoder of its own, which only the model's text has")
        return self


class Joint(Choice):
    """Both domains at once from random weights: `source_weight * L_source + target_weight * L_target`.

    With `align` also a distance between the features of source rows and of the target's inputs.
    """

    starts: ClassVar[Start] = "random"
    labels: ClassVar[frozenset[Role]] = frozenset({"source", "target"})

    kind: Literal["joint"]
    source_weight: Weight = 0.3
    target_weight: Weight = 1.0
    align: AlignConfig | None = None

    @property
    def inputs(self) -> bool:
        """With an alignment."""
        return self.align is not None

    @property
    def predicts(self) -> frozenset[str]:
        """What the alignment can."""
        return LABELS if self.align is None else self.align.predicts

    @property
    def name(self) -> str:
        """`joint`, `joint+coral`, ..."""
        return self.kind if self.align is None else f"{self.kind}+{self.align.kind}"


TuneConfig = Annotated[
    Scratch | Direct | Frozen | FineTune | L2Sp | Adapter | Lora | Distil | Joint, Field(discriminator="kind")
]


def choices(union: Any) -> dict[str, type[Choice]]:
    """The classes of a union of adapts or tunes, by kind."""
    return {get_args(one.model_fields["kind"].annotation)[0]: one for one in get_args(get_args(union)[0])}


class Strategy(Config):
    """How source knowledge reaches the target."""

    adapt: AdaptConfig = NoAdapt()
    tune: TuneConfig

    @property
    def name(self) -> str:
        """`target_only`, `fine_tune`, `coral+fine_tune`, `joint+coral`, ...: also the name of its lane."""
        if self.domains == "target":
            return "target_only"
        return f"{self.adapt.name}+{self.tune.name}" if self.start == "adapted" else self.tune.name

    @property
    def start(self) -> Start:
        """Which weights the tuning begins with."""
        if self.tune.starts == "random":
            return "random"
        return "adapted" if self.adapt.starts == "source" else "source"

    @property
    def domains(self) -> Domains:
        """Whose rows it learns from, of those with labels."""
        if self.start == "random" and "source" not in self.tune.labels:
            return "target"
        return "all" if "target" in self.tune.labels else "source"

    @property
    def asks_for_source_rows(self) -> bool:
        """Whether it reads rows of a source, and not only a model that was learnt from them."""
        return self.adapt.starts == "source" or "source" in self.tune.labels

    @model_validator(mode="after")
    def _adapt_has_a_use(self) -> Self:
        if self.adapt.starts == "source" and self.tune.starts == "random":
            used = sorted(kind for kind, tune in choices(TuneConfig).items() if tune.starts == "adapted")
            raise ValueError(
                f"adapt {self.adapt.kind!r} before tune {self.tune.kind!r} would have no effect, because "
                f"{self.tune.kind!r} starts from random weights: leave out adapt, tune with one of {', '.join(used)}, "
                "or align while both domains are learnt from, tune: {kind: joint, align: {kind: coral}}"
            )
        return self
