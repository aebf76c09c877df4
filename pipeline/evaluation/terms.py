"""By what is judged, and the names of those that are no lanes."""

from dataclasses import dataclass

from pipeline.config import Gate
from pipeline.labels.words import Words

TARGET_ONLY = "target_only"
CHANCE = "chance"  # a scorer that knows nothing
CHAMPION = "champion"  # what serves, beside the lanes


@dataclass(frozen=True)
class Terms:
    """By what is judged: the gate's settings, the gated metric, how people are told of it, the seed of resamples."""

    gate: Gate
    metric: str
    words: Words
    seed: int

    @property
    def level(self) -> float:
        """Of the intervals: 0.95 for 95 %."""
        return 1 - self.gate.alpha

    @property
    def sign(self) -> float:
        """1 where more of the metric is better, else -1."""
        return self.words.sign(self.metric)
