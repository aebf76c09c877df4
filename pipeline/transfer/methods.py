"""From a config to its method: one line for each."""

from collections.abc import Callable
from typing import Any

from pipeline import config as cfg
from pipeline.config.methods import Choice
from pipeline.transfer.adapters import Adapters, LowRank
from pipeline.transfer.conditional import Conditional
from pipeline.transfer.distances import DomainClassifier, coral, mmd
from pipeline.transfer.method import Align, Frozen, Held, Method
from pipeline.transfer.self_training import SelfTrained
from pipeline.transfer.taught import Taught
from pipeline.transfer.weighting import Reweighted

Aligned = Callable[[Any, int, float, float], Method]  # (config, feature dimensions, source's share, target's share)

# config of an extra term
ALIGNS: dict[type[cfg.Config], Aligned] = {
    cfg.CoralTerm: lambda config, dim, *shares: Align(coral, config.weight, *shares),
    cfg.MmdTerm: lambda config, dim, *shares: Align(mmd, config.weight, *shares),
    cfg.DannTerm: lambda config, dim, *shares: Align(DomainClassifier(dim), config.weight, *shares),
    cfg.CdanTerm: lambda config, dim, *shares: Conditional(dim, config.weight, *shares),
}


def _joint(config: cfg.Joint, dim: int) -> Method:
    shares = config.source_weight, config.target_weight
    if config.align is None:
        return Method(*shares)
    return ALIGNS[type(config.align)](config.align, dim, *shares)


# config class -> builder(config, feature dimensions)
ADAPTS: dict[type[cfg.Config], Callable[[Any, int], Method]] = {
    cfg.NoAdapt: lambda config, dim: Method(1.0, 0.0),
    cfg.Coral: lambda config, dim: ALIGNS[cfg.CoralTerm](config, dim, 1.0, 0.0),
    cfg.Mmd: lambda config, dim: ALIGNS[cfg.MmdTerm](config, dim, 1.0, 0.0),
    cfg.Dann: lambda config, dim: ALIGNS[cfg.DannTerm](config, dim, 1.0, 0.0),
    cfg.Cdan: lambda config, dim: ALIGNS[cfg.CdanTerm](config, dim, 1.0, 0.0),
    cfg.Reweight: lambda config, dim: Reweighted(config.most),
    cfg.SelfTraining: lambda config, dim: SelfTrained(config),
}
TUNES: dict[type[cfg.Config], Callable[[Any, int], Method]] = {
    cfg.Scratch: lambda config, dim: Method(),
    cfg.Direct: lambda config, dim: Method(0.0, 0.0),
    cfg.Frozen: lambda config, dim: Frozen(),
    cfg.FineTune: lambda config, dim: Method(),
    cfg.L2Sp: lambda config, dim: Held(config.weight),
    cfg.Adapter: lambda config, dim: Adapters(config.width),
    cfg.Lora: lambda config, dim: LowRank(config.rank),
    cfg.Distil: lambda config, dim: Taught(config.weight, config.temperature),
    cfg.Joint: _joint,
}


def build_adapt(config: Choice, dim: int) -> Method:
    """The method of an adaptation; `none` is plain source training."""
    return ADAPTS[type(config)](config, dim)


def build_tune(config: Choice, dim: int) -> Method:
    """The method of a tuning."""
    return TUNES[type(config)](config, dim)
