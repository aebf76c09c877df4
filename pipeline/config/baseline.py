"""What every simple strong method answers."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pipeline.config.base import Bridge
from pipeline.config.reading import Reading

Domains = Literal["target", "source", "all"]
SourceWeights = Annotated[tuple[Annotated[float, Field(gt=0, le=10)], ...], Field(min_length=1)]


class Baseline(Reading):
    """A simple strong method; with `domains: all` the source's weight is chosen on validation."""

    reads: ClassVar[frozenset[str]]  # fields that it needs
    predicts: ClassVar[frozenset[str]]  # kinds of label that it can predict
    draws: ClassVar[bool] = False  # whether the seed matters
    ordered: ClassVar[bool] = False  # whether it reads what users did in its order
    inputs: ClassVar[bool] = False  # whether rows of the target without their labels say something to it
    carries: ClassVar[Mapping[str, str]] = {}  # by `domains`: see `begins`

    domains: Domains = "target"
    source_weights: SourceWeights = (0.2, 0.5, 1.0)

    @property
    def name(self) -> str:
        """`ease`, `ease+source` on all domains, `source_ease` on the source alone: also the name of its lane."""
        return {"target": self.method, "all": f"{self.method}+source", "source": f"source_{self.method}"}[self.domains]

    @property
    def method(self) -> str:
        """`ease`: the name of the same method on the target alone."""
        return str(getattr(self, "kind"))  # noqa: B009  every subclass has one

    @property
    def alone(self) -> str:
        """The lane that is the same without a source."""
        return self.method

    @property
    def begins(self) -> str:
        """The kind of registered model that it can begin with, without rows of a source; empty: it can with none."""
        return self.carries.get(self.domains, "")

    @property
    def bridges(self) -> frozenset[Bridge]:
        """What the domains must have in common for the source's rows to say something of the target's."""
        return frozenset()
