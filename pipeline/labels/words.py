"""How people are told of what was judged."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """Names and sentences of a kind of label; gate, report and figures know no others.

    Args:
        metrics: Kind of metric -> its name for people; what follows an `@` in a metric stays behind the name.
        less: Kinds of metric of which less is better.
        units: What is drawn again and counted, in the plural.
        percent: Values are written in per cent and differences in points, else both as they are.
        digits: Of a value or a difference, after the point.
        chance: What a scorer that knows nothing does.
        protocol: How the test rows were judged.
    """

    metrics: Mapping[str, str]
    less: frozenset[str]
    units: str
    percent: bool
    digits: int
    chance: str
    protocol: str

    def name(self, metric: str) -> str:
        """Spell a metric: `NDCG@10` for `ndcg@10`."""
        kind, at, cutoff = metric.partition("@")
        return f"{self.metrics[kind]}{at}{cutoff}"

    def sign(self, metric: str) -> float:
        """1 for a metric of which more is better, else -1."""
        return -1.0 if metric.partition("@")[0] in self.less else 1.0

    @property
    def scale(self) -> float:
        """What a value is multiplied by before it is written."""
        return 100.0 if self.percent else 1.0

    @property
    def mark(self) -> str:
        """What stands behind a written value."""
        return " %" if self.percent else ""

    @property
    def written(self) -> str:
        """What stands behind a metric's name where its values follow without a mark."""
        return " in %" if self.percent else ""

    @property
    def column(self) -> str:
        """What stands behind the name of a column whose values follow without a mark."""
        return ", %" if self.percent else ""

    @property
    def points(self) -> str:
        """What stands behind a written difference."""
        return " points" if self.percent else ""

    def number(self, value: float, sign: str = "") -> str:
        """Write a value, or with the sign `+` a difference."""
        return f"{self.scale * value:{sign}.{self.digits}f}"

    def difference(self, value: float, low: float, high: float) -> str:
        """Write a difference with its interval, for a sentence."""
        return f"{self.number(value, '+')}{self.points} [{self.number(low, '+')}, {self.number(high, '+')}]"
