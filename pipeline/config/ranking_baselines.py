"""Simple strong methods that rank items."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pipeline.config.base import Bridge
from pipeline.config.baseline import Baseline
from pipeline.config.encoders import Encoded, Encoders, TextEncoder, named, with_encoders


class RankingBaseline(Baseline):
    """Ranks items by what users did."""

    reads: ClassVar[frozenset[str]] = frozenset({"past"})
    predicts: ClassVar[frozenset[str]] = frozenset({"items"})

    @property
    def bridges(self) -> frozenset[Bridge]:
        """Items, where it asks for no user."""
        over_items = self.domains == "source" or self.name == "popularity+source"
        return frozenset({"items"}) if over_items else frozenset()


class Popularity(RankingBaseline):
    """How often an item was taken."""

    kind: Literal["popularity"]


class ItemKnn(RankingBaseline):
    """Items that go with those of the history: shrunk cosine of idf-weighted columns."""

    kind: Literal["item_knn"]
    neighbours: tuple[int, ...] = (200,)
    shrinkage: tuple[Annotated[float, Field(ge=0)], ...] = (100.0, 1000.0)


class UserKnn(RankingBaseline):
    """What similar users took: cosine of idf-weighted rows."""

    kind: Literal["user_knn"]
    neighbours: tuple[int, ...] = (300,)


class Ials(RankingBaseline):
    """Implicit alternating least squares (Hu, Koren and Volinsky, 2008)."""

    draws: ClassVar[bool] = True

    kind: Literal["ials"]
    factors: int = Field(default=64, ge=1, le=1024)
    alpha: tuple[float, ...] = (10.0, 20.0)
    regularization: tuple[float, ...] = (30.0, 100.0)
    iterations: int = Field(default=12, ge=1, le=1000)


class Ease(RankingBaseline):
    """Linear item-item weights in closed form (Steck, 2019), over items or over users, whichever are fewer."""

    kind: Literal["ease"]
    regularization: tuple[float, ...] = (100.0, 300.0)
    max_side: int = Field(default=20_000, ge=1)  # rows of the dense matrix: 20,000 need 1.6 GB in fp32


class Markov(RankingBaseline):
    """What came after the last items of the history, in the order of all domains, the older the less it counts."""

    ordered: ClassVar[bool] = True

    kind: Literal["markov"]
    decay: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.8, 0.5)


class ContentKnn(RankingBaseline):
    """Items whose titles are like those of the history: cosine of TF-IDF weights, or of a pretrained encoder's vectors.

    It asks for no row of an item, so that one that nobody has taken yet is ranked like any other.
    """

    kind: Literal["content_knn"]
    encoder: TextEncoder | None = None  # pretrained: its vectors in the place of words

    @property
    def encoders(self) -> Encoders:
        """The one that is named."""
        return named(self.encoder)

    @property
    def method(self) -> str:
        """Which encoder it reads, too: `content_knn_minilm`."""
        return with_encoders(self.kind, self.encoders)

    @property
    def asks_for(self) -> frozenset[Encoded]:
        """Texts, always."""
        return frozenset({"text"})

    @property
    def bridges(self) -> frozenset[Bridge]:
        """Titles, where those of a source are read."""
        return frozenset() if self.domains == "target" else frozenset({"item_features"})


class Blend(RankingBaseline):
    """The plain sum of the standardised scores of iALS and user-kNN."""

    draws: ClassVar[bool] = True

    kind: Literal["ials_knn"]
    factors: int = Field(default=64, ge=1, le=1024)
    alpha: tuple[float, ...] = (20.0,)
    regularization: tuple[float, ...] = (100.0,)
    iterations: int = Field(default=12, ge=1, le=1000)
    neighbours: tuple[int, ...] = (300,)
