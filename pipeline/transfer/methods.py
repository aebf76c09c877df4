"""From a config to its method: one line for each."""

from collections.abc import Callable
from typing import Any

from pipeline import config as cfg
from pipeline.config.methods import Choice
from pipeline.transfer.distances import DomainClassifier, coral
from pipeline.transfer.method import Align, Distance, Frozen, Method

# config of an extra term -> builder(feature dimensions) of its distance
DISTANCES: dict[type[cfg.Config], Callable[[int], Distance]] = {
    cfg.CoralTerm: lambda dim: coral,
    cfg.DannTerm: DomainClassifier,
}


def _joint(config: cfg.Joint, dim: int) -> Method:
    shares = config.source_weight, config.target_weight
    if config.align is None:
        return Method(*shares)
    return Align(DISTANCES[type(config.align)](dim), config.align.weight, *shares)


# config class -> builder(config, feature dimensions)
ADAPTS: dict[type[cfg.Config], Callable[[Any, int], Method]] = {
    cfg.NoAdapt: lambda config, dim: Method(1.0, 0.0),
    cfg.Coral: lambda config, dim: Align(coral, config.weight),
    cfg.Dann: lambda config, dim: Align(DomainClassifier(dim), config.weight),
}
TUNES: dict[type[cfg.Config], Callable[[Any, int], Method]] = {
    cfg.Scratch: lambda config, dim: Method(),
    cfg.Direct: lambda config, dim: Method(0.0, 0.0),
    cfg.Frozen: lambda config, dim: Frozen(),
    cfg.FineTune: lambda config, dim: Method(),
    cfg.Joint: _joint,
}


def build_adapt(config: Choice, dim: int) -> Method:
    """The method of an adaptation; `none` is plain source training."""
    return ADAPTS[type(config)](config, dim)


def build_tune(config: Choice, dim: int) -> Method:
    """The method of a tuning."""
    return TUNES[type(config)](config, dim)
