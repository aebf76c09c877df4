"""The strategies: one `adapt` followed by one `tune`."""

from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from pipeline.config.adaptations import AdaptConfig, Choice, NoAdapt, Start
from pipeline.config.alignments import (
    ITEMS,
    LABELS,
    OF_ROWS,
    AlignConfig,
)
from pipeline.config.base import Bridge, Config, LearningRate, Role, Weight
from pipeline.config.baseline import Domains
from pipeline.config.models import TabularModel


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


class Mapping(Choice):
    """A map from what the source says of a user to what the target would, learnt from users of both (EMCDR).

    Man et al., "Cross-Domain Recommendation: An Embedding and Mapping Approach", 2017. The source's part stays as it
    is, the target's items learn from the target's histories alone, and who has none there is read by the map.
    """

    starts: ClassVar[Start] = "adapted"
    labels: ClassVar[frozenset[Role]] = frozenset({"target"})
    bridges: ClassVar[frozenset[Bridge]] = frozenset({"users"})
    apart: ClassVar[bool] = True

    kind: Literal["mapping"]
    hidden: int = Field(default=0, ge=0, le=4096)  # width of a hidden layer; 0: the map is linear
    weight: Weight = 1.0  # of the squared distance between what the map and the target say

    @property
    def predicts(self) -> frozenset[str]:
        """Of units with a past in several domains."""
        return ITEMS


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
        if self.student and self.student.encoders:
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
    Scratch | Direct | Frozen | FineTune | L2Sp | Mapping | Adapter | Lora | Distil | Joint, Field(discriminator="kind")
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
    def alone(self) -> str:
        """The lane that is the same without a source."""
        return "target_only"

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
