"""What is trained."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from pipeline.config.encoders import Encoders, ImageEncoder, TextEncoder, named
from pipeline.config.features import FEATURE_TYPES, NAME_ONE, FeatureType, unseen
from pipeline.config.labels import SEVERAL
from pipeline.config.reading import Reading

PriorWeights = Annotated[tuple[Annotated[float, Field(gt=0, le=100)], ...], Field(min_length=1)]


class ModelConfig(Reading):
    """What is trained."""

    reads: ClassVar[frozenset[str]]  # fields that it needs
    predicts: ClassVar[frozenset[str]]  # kinds of label that it can have for its first

    ordered: ClassVar[bool] = False  # whether it reads what users did in its order
    apart: ClassVar[bool] = False  # what each domain says of a unit can be told by itself
    begins: ClassVar[str] = ""  # the kind of registered model that it can begin with, without rows of a source

    rate: ClassVar[float]  # of learning from random weights, where the scenario says none
    further_rate: ClassVar[float]  # of learning from weights that are good already

    dim: int  # of the features

    @property
    def name(self) -> str:
        """What it is called."""
        return str(getattr(self, "kind"))  # noqa: B009  every subclass has one

    def as_trained(self) -> Self:
        """What decides about the weights."""
        return self


class ItemModel(ModelConfig):
    """What a user did is read, and items are ranked, by the vectors of one space."""

    reads: ClassVar[frozenset[str]] = frozenset({"past"})
    predicts: ClassVar[frozenset[str]] = frozenset({"items"})
    begins: ClassVar[str] = "network"
    rate: ClassVar[float] = 0.1  # of Adagrad
    further_rate: ClassVar[float] = 0.03

    text_buckets: int = Field(default=4096, ge=16, le=1 << 20)  # feature hashing of title and category words
    encoder: TextEncoder | None = None  # pretrained, and frozen: its vector of an item's title stands beside its words
    own_dropout: float = Field(default=0, ge=0, lt=1)  # how often words alone stand for an item in training
    temperature: float = Field(default=0.2, gt=0, le=10)  # fixed: a larger one regularises more
    prior_weights: PriorWeights = (1.0, 0.7, 2.0, 0.5, 4.0, 8.0)  # tried on validation when a lane is fitted

    @property
    def encoders(self) -> Encoders:
        """The one that is named."""
        return named(self.encoder)

    def as_trained(self) -> Self:
        """What decides about the weights: how much popularity counts is tried when they are there."""
        return self.model_copy(update={"prior_weights": (1.0,)})

    def as_built(self) -> Self:
        """What its weights have to fit: not how they are learnt."""
        learnt = {"dropout", "own_dropout", "hidden", "weight_decay"} & type(self).model_fields.keys()
        return self.as_trained().model_copy(update=dict.fromkeys(learnt, 0.0))


class HistoryModel(ItemModel):
    """A user is the weighted sum of the vectors of the items in the history, of all domains."""

    apart: ClassVar[bool] = True

    kind: Literal["history"] = "history"
    dim: int = Field(default=128, ge=4, le=1024)
    dropout: float = Field(default=0.5, ge=0, lt=1)  # share of history items hidden from the encoder in training


class SequenceModel(ItemModel):
    """A user is what a causal transformer makes of the last items of the history, of all domains, in their order."""

    ordered: ClassVar[bool] = True

    kind: Literal["sequence"]
    dim: int = Field(default=64, ge=4, le=1024)
    heads: int = Field(default=2, ge=1, le=64)
    blocks: int = Field(default=2, ge=1, le=16)
    feedforward: int = Field(default=4, ge=1, le=16)  # width of a block's feed-forward part, times `dim`
    length: int = Field(default=100, ge=1, le=4096)  # events that are read, the last ones
    gaps: bool = True  # whether it reads how long after each other they were, and before the request, where times exist
    kinds: bool = True  # whether it reads of what kind they were, where rows have an event
    hidden: float = Field(default=0.3, ge=0, lt=1)  # share of events that are left out of what is read in training
    dropout: float = Field(default=0.2, ge=0, lt=1)  # in the layers
    weight_decay: float = Field(default=0.01, ge=0, le=10)  # of the layers
    temperature: float = Field(default=0.1, gt=0, le=10)

    @model_validator(mode="after")
    def _heads_divide_the_features(self) -> Self:
        _refuse_uneven(self.dim, self.heads)
        return self


class FeatureModel(ModelConfig):
    """Numbers by their quantiles, hashed categories by vectors of their own, and a small residual network on both."""

    reads: ClassVar[frozenset[str]] = frozenset({"features"})
    predicts: ClassVar[frozenset[str]] = frozenset({"classes", "tags", "numbers"}) | SEVERAL
    begins: ClassVar[str] = "tabular"
    rate: ClassVar[float] = 0.001  # of AdamW
    further_rate: ClassVar[float] = 0.0003

    dim: int = Field(default=64, ge=4, le=1024)
    buckets: int = Field(default=4096, ge=16, le=1 << 20)  # of hashed values, for all categories together
    words: int = Field(default=1 << 14, ge=16, le=1 << 20)  # the same for words of texts, where there are any
    bins: int = Field(default=16, ge=2, le=256)  # of each number, equally full on the rows that are learnt from
    blocks: int = Field(default=2, ge=0, le=16)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0, le=10)
    encoder: TextEncoder | None = None  # pretrained: its vectors of texts stand beside their words
    tuned: int = Field(default=0, ge=0, le=100)  # last layers of `encoder` that train along; 0: frozen
    image_encoder: ImageEncoder | None = None  # the same for pictures, of which nothing else is read

    @property
    def encoders(self) -> Encoders:
        """Those that are named."""
        return named(self.encoder, self.image_encoder)

    def unfit(self, features: Mapping[str, FeatureType]) -> str:
        """There is nothing but pictures, and nothing reads them."""
        return unseen(features, FEATURE_TYPES if self.image_encoder else FEATURE_TYPES - {"image"}, NAME_ONE)

    @model_validator(mode="after")
    def _tunes_an_encoder(self) -> Self:
        if self.tuned and self.encoder is None:
            raise ValueError("tuned: expected beside `encoder`, whose last layers would train; there is none")
        return self

    def as_built(self) -> Self:
        """What its weights have to fit: not how they are learnt."""
        return self.model_copy(update={"dropout": 0.0, "weight_decay": 0.0})


class TabularModel(FeatureModel):
    """Features alone."""

    kind: Literal["tabular"]


class EventModel(FeatureModel):
    """Features, and the last events of a log one by one, attended to from the newest."""

    reads: ClassVar[frozenset[str]] = frozenset({"features", "log"})
    predicts: ClassVar[frozenset[str]] = frozenset({"classes"})

    kind: Literal["events"]
    heads: int = Field(default=4, ge=1, le=64)

    @model_validator(mode="after")
    def _heads_divide_the_features(self) -> Self:
        _refuse_uneven(self.dim, self.heads)
        return self


def _refuse_uneven(dim: int, heads: int) -> None:
    if dim % heads:
        raise ValueError(f"expected `dim` to be a multiple of `heads`, got {dim} and {heads}")


def _kind(value: object) -> str:
    return str(value.get("kind", "history") if isinstance(value, dict) else getattr(value, "kind", "history"))


Model = Annotated[
    Annotated[HistoryModel, Tag("history")]
    | Annotated[SequenceModel, Tag("sequence")]
    | Annotated[TabularModel, Tag("tabular")]
    | Annotated[EventModel, Tag("events")],
    Discriminator(_kind),
]

# kind of task -> kind of the model that it is usually learnt by
MODELS = {
    "ranking": "history",
    "binary": "tabular",
    "multiclass": "tabular",
    "multilabel": "tabular",
    "regression": "tabular",
    "next_event": "events",
}
