"""Simple strong methods, each with the settings that validation chooses from."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pipeline.config.base import Bridge
from pipeline.config.baseline import Baseline, SourceWeights
from pipeline.config.encoders import Encoders, ImageEncoder, TextEncoder, named, with_encoders
from pipeline.config.features import FEATURE_TYPES, NAME_ONE, UNALIKE, WORDED, FeatureType, unseen
from pipeline.config.ranking_baselines import Blend, ContentKnn, Ease, Ials, ItemKnn, Markov, Popularity, UserKnn


class ExamplesBaseline(Baseline):
    """Predicts a label from features."""

    reads: ClassVar[frozenset[str]] = frozenset({"features"})
    predicts: ClassVar[frozenset[str]] = frozenset({"classes", "tags", "numbers"})
    types: ClassVar[frozenset[FeatureType]] = FEATURE_TYPES  # of features that it looks at

    def unfit(self, features: Mapping[str, FeatureType]) -> str:
        """Why it can make nothing of such features; empty where it can."""
        return unseen(features, self.types)

    @property
    def bridges(self) -> frozenset[Bridge]:
        """Features, where rows of a source are learnt from."""
        return frozenset() if self.domains == "target" else frozenset({"features"})


Grid = Annotated[tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...], Field(min_length=1)]


class Constant(ExamplesBaseline):
    """The share of each class or tag, or the mean: what can be said without looking."""

    kind: Literal["constant"]


class Frequency(ExamplesBaseline):
    """How often each class was met with each value of one category: of the last event a Markov chain."""

    predicts: ClassVar[frozenset[str]] = frozenset({"classes"})
    types: ClassVar[frozenset[FeatureType]] = frozenset({"category"})
    carries: ClassVar[Mapping[str, str]] = {"source": "frequency"}

    kind: Literal["frequency"]
    by: str | None = None  # the category; nothing: the first
    prior: Grid = (1.0, 10.0, 100.0)  # rows of the mean that are added to those of each value

    def unfit(self, features: Mapping[str, FeatureType]) -> str:
        """There is no category, or it is none."""
        there = [name for name, kind in features.items() if kind == "category"]
        if self.by is None or self.by in there:
            return super().unfit(features)
        return f"by: expected one of {', '.join(there) or 'no category'}, got {self.by!r}"


class Linear(ExamplesBaseline):
    """Logistic regression of a class or of each tag, ridge regression of a number."""

    types: ClassVar[frozenset[FeatureType]] = FEATURE_TYPES - {"image"}  # but for those that an encoder reads
    carries: ClassVar[Mapping[str, str]] = {"source": "linear"}

    kind: Literal["linear"]
    buckets: int = Field(default=1024, ge=16, le=1 << 20)  # of hashed values, for all categories together
    words: int = Field(default=1 << 18, ge=16, le=1 << 24)  # the same for words of texts; only those that are met cost
    regularization: Grid = (0.01, 0.1, 1.0, 10.0, 100.0)  # times half the squared length of the weights
    encoder: TextEncoder | None = None  # pretrained: its vectors of texts stand beside their words
    image_encoder: ImageEncoder | None = None  # pretrained: its vectors are all that is read of pictures

    @property
    def encoders(self) -> Encoders:
        """Those that are named."""
        return named(self.encoder, self.image_encoder)

    @property
    def method(self) -> str:
        """Which encoders it reads, too: `linear_minilm`."""
        return with_encoders(self.kind, self.encoders)

    def unfit(self, features: Mapping[str, FeatureType]) -> str:
        """There is nothing but pictures, and nothing reads them."""
        return unseen(features, FEATURE_TYPES if self.image_encoder else self.types, f"{NAME_ONE}, or leave it out")


class LinearTransfer(ExamplesBaseline):
    """The same regressions of the target's rows, shrunk to the weights of the sources' in place of zero."""

    types: ClassVar[frozenset[FeatureType]] = FEATURE_TYPES - {"image"}
    carries: ClassVar[Mapping[str, str]] = {"all": "linear"}

    kind: Literal["linear_transfer"]
    domains: Literal["all"] = "all"
    source_weights: SourceWeights = (1.0,)
    buckets: int = Field(default=1024, ge=16, le=1 << 20)
    words: int = Field(default=1 << 18, ge=16, le=1 << 24)
    regularization: Grid = (0.1, 1.0, 10.0, 100.0)  # times half the squared distance to the source's weights
    source_regularization: Grid = (1.0, 10.0)  # times half the squared length of the source's weights

    @property
    def name(self) -> str:
        """It always uses the sources."""
        return f"{self.kind}+source"

    @property
    def method(self) -> str:
        """On the target alone it is a linear regression."""
        return "linear"


class Boosting(ExamplesBaseline):
    """Gradient boosting of trees (LightGBM); of texts, bags and pictures it knows nothing."""

    types: ClassVar[frozenset[FeatureType]] = FEATURE_TYPES - UNALIKE
    carries: ClassVar[Mapping[str, str]] = {"source": "boosting", "all": "boosting"}

    kind: Literal["boosting"]
    rounds: int = Field(default=100, ge=1, le=10_000)
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    leaves: tuple[Annotated[int, Field(ge=2, le=1024)], ...] = Field(default=(4, 15), min_length=1)
    smallest_leaf: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(5, 40), min_length=1)  # in rows


class Anomaly(ExamplesBaseline):
    """How unusual a row is beside those of the class that is not looked for, of which alone it learns.

    Of texts, bags and pictures it knows nothing.
    """

    types: ClassVar[frozenset[FeatureType]] = FEATURE_TYPES - UNALIKE
    predicts: ClassVar[frozenset[str]] = frozenset({"one of two classes"})


class IsolationForest(Anomaly):
    """How few random cuts set a row apart (Liu, Ting and Zhou, 2008)."""

    draws: ClassVar[bool] = True
    carries: ClassVar[Mapping[str, str]] = {"source": "isolation_forest"}

    kind: Literal["isolation_forest"]
    trees: int = Field(default=100, ge=1, le=1000)
    rows: tuple[Annotated[int, Field(ge=2, le=65_536)], ...] = Field(default=(64, 256), min_length=1)  # of each tree


class AutoEncoder(Anomaly):
    """How badly a row is brought back from a few numbers: a linear auto-encoder, principal components."""

    carries: ClassVar[Mapping[str, str]] = {"source": "auto_encoder"}

    kind: Literal["auto_encoder"]
    axes: tuple[Annotated[int, Field(ge=1, le=1024)], ...] = Field(default=(1, 2, 4, 8), min_length=1)  # how few


class Msda(ExamplesBaseline):
    """Logistic or ridge regression on words of texts and bags and on what a denoiser says of them, then self-training.

    The denoiser (mSDA; Chen et al., 2012) learns in closed form from the rows of all domains of the lane, without any
    label, so that words of one domain are read as those that go with them in both.
    """

    types: ClassVar[frozenset[FeatureType]] = WORDED
    inputs: ClassVar[bool] = True
    carries: ClassVar[Mapping[str, str]] = {"source": "msda"}

    kind: Literal["msda"]
    words: int = Field(default=5000, ge=16, le=20_000)  # the most frequent, which the denoiser reads
    dim: int = Field(default=1000, ge=4, le=20_000)  # the most frequent of these, which it makes again
    layers: int = Field(default=3, ge=1, le=10)
    noise: float = Field(default=0.5, ge=0, lt=1)  # the probability with which a word is struck out
    rounds: int = Field(default=4, ge=0, le=100)  # of learning from what was said of rows without a label
    regularization: Grid = (1.0,)  # times half the squared length of the weights


BaselineConfig = Annotated[
    Popularity
    | ItemKnn
    | UserKnn
    | Ials
    | Ease
    | Markov
    | ContentKnn
    | Blend
    | Constant
    | Frequency
    | Linear
    | LinearTransfer
    | Boosting
    | IsolationForest
    | AutoEncoder
    | Msda,
    Field(discriminator="kind"),
]
