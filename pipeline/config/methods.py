"""The model, its training, and the strategies: one `adapt` followed by one `tune`."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.config.base import Config, LearningRate, Weight


class RankingTask(Config):
    """Rank the target's catalogue for each user."""

    kind: Literal["ranking"] = "ranking"
    cutoffs: tuple[int, ...] = (10, 20)
    metric: Literal["ndcg", "recall", "hit_rate", "mrr"] = "ndcg"  # at the first cutoff; chooses and is gated


PriorWeights = Annotated[tuple[Annotated[float, Field(gt=0, le=100)], ...], Field(min_length=1)]


class HistoryModel(Config):
    """A user is the weighted sum of the vectors of the items in the history, of all domains."""

    kind: Literal["history"] = "history"
    dim: int = Field(default=128, ge=4, le=1024)
    text_buckets: int = Field(default=4096, ge=16, le=1 << 20)  # feature hashing of title and category words
    dropout: float = Field(default=0.5, ge=0, lt=1)  # share of history items hidden from the encoder in training
    temperature: float = Field(default=0.2, gt=0, le=10)  # fixed: a larger one regularises more
    prior_weights: PriorWeights = (1.0, 0.7, 2.0, 0.5, 4.0, 8.0)  # tried on validation when a lane is fitted


class Training(Config):
    """How a model is fitted; early stopping looks at validation rows only."""

    epochs: int = Field(default=20, ge=1, le=1000)
    patience: int = Field(default=2, ge=1, le=100)
    batch_size: int = Field(default=1024, ge=1, le=1 << 20)
    negatives: int = Field(default=1024, ge=1, le=1 << 20)
    learning_rate: LearningRate = 0.1
    valid_users: int = Field(default=4000, ge=1)  # at most so many validation rows are ranked after each epoch


class NoAdapt(Config):
    """The source model as it was trained."""

    kind: Literal["none"] = "none"


class Coral(Config):
    """Correlation alignment: equal covariances of the features (Sun and Saenko, 2016)."""

    kind: Literal["coral"]
    weight: Weight = 30.0
    epochs: int = Field(default=3, ge=1, le=1000)


class Dann(Config):
    """Domain-adversarial features (Ganin et al., 2016)."""

    kind: Literal["dann"]
    weight: Weight = 0.1
    epochs: int = Field(default=3, ge=1, le=1000)


AdaptConfig = Annotated[NoAdapt | Coral | Dann, Field(discriminator="kind")]


class Scratch(Config):
    """Target-only: the same model, from random weights, on the target alone."""

    kind: Literal["scratch"]


class Direct(Config):
    """Zero-shot: the source model as it is."""

    kind: Literal["direct"]


class Frozen(Config):
    """The source's part stays as it is; only the target's own vectors are trained."""

    kind: Literal["frozen"]
    learning_rate: LearningRate = 0.03


class FineTune(Config):
    """All weights are trained further on the target."""

    kind: Literal["fine_tune"]
    learning_rate: LearningRate = 0.03  # smaller than from scratch: the start is already good


class Joint(Config):
    """Both domains at once from random weights: `source_weight * L_source + target_weight * L_target`."""

    kind: Literal["joint"]
    source_weight: Weight = 0.3
    target_weight: Weight = 1.0


TuneConfig = Annotated[Scratch | Direct | Frozen | FineTune | Joint, Field(discriminator="kind")]

# Which bridges carry a choice over; an empty set needs none. One of those named is enough.
ADAPT_BRIDGES: dict[str, frozenset[str]] = {
    "none": frozenset(),
    "coral": frozenset({"users", "items", "item_features"}),
    "dann": frozenset({"users", "items", "item_features"}),
}
TUNE_BRIDGES: dict[str, frozenset[str]] = {
    "scratch": frozenset(),
    "direct": frozenset({"items", "item_features", "labels"}),
    "frozen": frozenset({"users", "items", "item_features"}),
    "fine_tune": frozenset({"users", "items", "item_features"}),
    "joint": frozenset({"users", "items", "item_features"}),
}
NEEDS_SOURCE_MODEL = frozenset({"direct", "frozen", "fine_tune"})


class Strategy(Config):
    """How source knowledge reaches the target."""

    adapt: AdaptConfig = NoAdapt()
    tune: TuneConfig

    @property
    def name(self) -> str:
        """`target_only`, `fine_tune`, `coral+fine_tune`, ...: also the name of its lane."""
        if self.tune.kind == "scratch":
            return "target_only"
        return self.tune.kind if self.adapt.kind == "none" else f"{self.adapt.kind}+{self.tune.kind}"

    @model_validator(mode="after")
    def _adapt_has_a_use(self) -> Self:
        if self.adapt.kind != "none" and self.tune.kind not in NEEDS_SOURCE_MODEL:
            raise ValueError(
                f"adapt {self.adapt.kind!r} before tune {self.tune.kind!r} would have no effect, because "
                f"{self.tune.kind!r} starts from random weights: leave out adapt, or tune with one of "
                f"{', '.join(sorted(NEEDS_SOURCE_MODEL))}"
            )
        return self
