"""From a baseline's config to the rankers that it may become; validation picks one of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from pipeline import config as cfg
from pipeline.models.content import ContentKnnRanker
from pipeline.models.ease import EaseRanker
from pipeline.models.factors import BlendRanker, IalsRanker
from pipeline.models.markov import MarkovRanker
from pipeline.models.neighbours import ItemKnnRanker, PopularityRanker, UserKnnRanker
from pipeline.models.ranker import Ranker
from pipeline.models.stack import Stack
from pipeline.past import Histories, Past
from pipeline.views import PAST, ItemLabel, Views, item_columns

Settings = dict[str, Any]


@dataclass(frozen=True)
class Known:
    """What a baseline learns from: what users took, how the items of all domains stand side by side, and their labels.

    `labels`: of each domain, for those that read what is said of items.
    """

    histories: Histories
    stack: Stack
    labels: Mapping[str, ItemLabel]


Fit = Callable[[Known, Settings, int], Ranker]  # (what is known, settings, seed)


def _blend(known: Known, settings: Settings, seed: int) -> BlendRanker:
    factors = {key: value for key, value in settings.items() if key != "neighbours"}
    ials = IalsRanker.fit(known.histories, known.stack, **factors, seed=seed)
    return BlendRanker(ials, UserKnnRanker.fit(known.histories, known.stack, settings["neighbours"]))


# config class -> (fit, the fields that are tried in all combinations)
BASELINES: dict[type[cfg.Baseline], tuple[Fit, tuple[str, ...]]] = {
    cfg.Popularity: (lambda known, settings, seed: PopularityRanker.fit(known.histories, known.stack), ()),
    cfg.ItemKnn: (
        lambda known, settings, seed: ItemKnnRanker.fit(known.histories, known.stack, **settings),
        ("neighbours", "shrinkage"),
    ),
    cfg.UserKnn: (
        lambda known, settings, seed: UserKnnRanker.fit(known.histories, known.stack, **settings),
        ("neighbours",),
    ),
    cfg.Ials: (
        lambda known, settings, seed: IalsRanker.fit(known.histories, known.stack, **settings, seed=seed),
        ("alpha", "regularization"),
    ),
    cfg.Ease: (
        lambda known, settings, seed: EaseRanker.fit(known.histories, known.stack, **settings),
        ("regularization",),
    ),
    cfg.Markov: (
        lambda known, settings, seed: MarkovRanker.fit(known.histories, known.stack, **settings),
        ("decay",),
    ),
    cfg.ContentKnn: (
        lambda known, settings, seed: ContentKnnRanker.fit(known.stack, known.labels, **settings),
        (),
    ),
    cfg.Blend: (_blend, ("alpha", "regularization", "neighbours")),
}
_FIXED = ("factors", "iterations", "max_side", "encoder")  # settings that are given, not searched
WEIGHT = "source_weight"


def candidates(config: cfg.Baseline) -> Iterator[Settings]:
    """Every combination of settings that a baseline may have, the source's weight among them."""
    given = tuple(name for name in _FIXED if hasattr(config, name))
    return combinations(config, BASELINES[type(config)][1], given)


def combinations(
    config: cfg.Baseline, searched: tuple[str, ...], given: tuple[str, ...], *, rows: bool = True
) -> Iterator[Settings]:
    """The fields that are given, with every combination of those that are searched and of the source's weight.

    `rows`: whether a source has any that could weigh.
    """
    grid = {name: getattr(config, name) for name in searched}
    if rows:
        grid[WEIGHT] = {"target": (0.0,), "source": (1.0,), "all": config.source_weights}[config.domains]
    fixed = {name: getattr(config, name) for name in given}
    for values in product(*grid.values()):
        yield {**fixed, **dict(zip(grid, values, strict=True))}


def fit_baseline(
    config: cfg.Baseline, views: Views, target: str, settings: Settings, seed: int, *, shared: bool = False
) -> Ranker:
    """The baseline fitted with one combination of settings.

    Args:
        config: Which baseline, and on which domains' rows.
        views: The rows of each domain that may be learnt from.
        target: The domain whose items are ranked.
        settings: One of `candidates`.
        seed: Of what is drawn.
        shared: Whether an item id means one item in all domains; else no two domains have an item in common.
    """
    histories: Past = views[target].fields[PAST]
    if config.domains == "source":  # whoever is known in the target alone does not count either
        known = np.flatnonzero(sum(np.diff(histories[name].indptr) for name in histories if name != target))
        histories = histories.of(known).without(target)
    columns = item_columns({name: view.label.catalogue for name, view in views.items()}, target) if shared else None
    stack = Stack.of(histories, target, settings[WEIGHT], columns)
    own = {key: value for key, value in settings.items() if key != WEIGHT}
    labels = {name: view.label for name, view in views.items()}
    return BASELINES[type(config)][0](Known(histories, stack, labels), own, seed)
