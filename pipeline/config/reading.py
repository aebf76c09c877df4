"""What models and baselines answer alike: which features they read, and by which pretrained encoders."""

from collections.abc import Mapping

from pipeline.config.base import Config
from pipeline.config.encoders import Encoded, Encoders
from pipeline.config.features import FeatureType


class Reading(Config):
    """What reads the features of rows."""

    @property
    def encoders(self) -> Encoders:
        """The pretrained encoders whose vectors it reads."""
        return {}

    @property
    def asks_for(self) -> frozenset[Encoded]:
        """Without which types of features it is no use."""
        return frozenset(self.encoders)

    def unfit(self, features: Mapping[str, FeatureType]) -> str:
        """Why it can make nothing of such features; empty where it can."""
        del features
        return ""
