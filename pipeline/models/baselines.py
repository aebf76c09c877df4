"""From a baseline's config to the rankers that it may become; validation picks one of them."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

from pipeline import config as cfg
from pipeline.models.ease import EaseRanker
from pipeline.models.factors import BlendRanker, IalsRanker
from pipeline.models.neighbours import ItemKnnRanker, PopularityRanker, UserKnnRanker
from pipeline.models.ranker import Ranker

if TYPE_CHECKING:
    from pipeline.data.prepared import Histories

Settings = dict[str, Any]
Fit = Callable[["Histories", str, Settings, int], Ranker]  # (histories, target, settings, seed)


def _ials(histories: "Histories", target: str, settings: Settings, seed: int) -> IalsRanker:
    return IalsRanker.fit(histories, target, **settings, seed=seed)


def _blend(histories: "Histories", target: str, settings: Settings, seed: int) -> BlendRanker:
    weight = settings["source_weight"]
    factors = {key: settings[key] for key in ("factors", "alpha", "regularization", "iterations")}
    ials = IalsRanker.fit(histories, target, weight, **factors, seed=seed)
    return BlendRanker(ials, UserKnnRanker.fit(histories, target, weight, settings["neighbours"]))


# config class -> (fit, the fields that are tried in all combinations -> the setting's name)
BASELINES: dict[type[cfg.Baseline], tuple[Fit, dict[str, str]]] = {
    cfg.Popularity: (lambda histories, target, settings, seed: PopularityRanker.fit(histories, target), {}),
    cfg.ItemKnn: (
        lambda histories, target, settings, seed: ItemKnnRanker.fit(histories, target, **settings),
        {"neighbours": "neighbours", "shrinkage": "shrinkage"},
    ),
    cfg.UserKnn: (
        lambda histories, target, settings, seed: UserKnnRanker.fit(histories, target, **settings),
        {"neighbours": "neighbours"},
    ),
    cfg.Ials: (_ials, {"alpha": "alpha", "regularization": "regularization"}),
    cfg.Ease: (
        lambda histories, target, settings, seed: EaseRanker.fit(histories, target, **settings),
        {"regularization": "regularization"},
    ),
    cfg.Blend: (_blend, {"alpha": "alpha", "regularization": "regularization", "neighbours": "neighbours"}),
}
_FIXED = ("factors", "iterations", "max_side")  # settings that are given, not searched


def candidates(config: cfg.Baseline) -> Iterator[Settings]:
    """Every combination of settings that a baseline may have, the source's weight among them."""
    grid = {name: getattr(config, field) for field, name in BASELINES[type(config)][1].items()}
    if not isinstance(config, cfg.Popularity):
        grid["source_weight"] = (0.0,) if config.domains == "target" else config.source_weights
    fixed = {name: getattr(config, name) for name in _FIXED if hasattr(config, name)}
    for values in product(*grid.values()):
        yield {**fixed, **dict(zip(grid, values, strict=True))}


def fit_baseline(config: cfg.Baseline, histories: "Histories", target: str, settings: Settings, seed: int) -> Ranker:
    """The baseline fitted with one combination of settings."""
    return BASELINES[type(config)][0](histories, target, settings, seed)
