"""What lanes of another scenario begin with, of a model that was registered: a network's weights, or all that it is."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.config import TrainSettings
from pipeline.errors import UserError
from pipeline.models.estimators import Estimator
from pipeline.models.learner import NOTHING, Taught
from pipeline.models.several import SeveralEstimator


def hand_over(
    parts: Mapping[str, Any], catalogues: Mapping[str, pd.DataFrame], settings: TrainSettings, folder: Path
) -> Taught:
    """Write what lanes begin with, and give the names that its weights know.

    Args:
        parts: The predictors by the scenario's labels.
        catalogues: The items of each domain that they know, where they rank any.
        settings: Of the scenario.
        folder: Where to write.

    Raises:
        UserError: no lane of the scenario can begin with it; what differs is named.
    """
    first = next(iter(parts.values()))
    if first.kind not in NETWORKS:
        _whole(parts, settings).save(folder)
        return NOTHING
    from safetensors.torch import save_file

    weights, known = NETWORKS[first.kind](parts, catalogues, settings)
    save_file(weights, folder / "model.safetensors")
    return known


def _tabular(parts: Mapping[str, Any], _: Mapping[str, pd.DataFrame], settings: TrainSettings) -> tuple[Any, Taught]:
    from pipeline.models.tabular_estimator import start_of  # loads torch

    return start_of(parts, settings)


def _items(
    parts: Mapping[str, Any], catalogues: Mapping[str, pd.DataFrame], settings: TrainSettings
) -> tuple[Any, Taught]:
    from pipeline.models.item_start import start_of

    [ranker] = parts.values()
    return start_of(ranker.network, catalogues, settings)


# kind of predictor -> the weights of its network that another may begin with, and what they know
NETWORKS: dict[str, Callable[..., tuple[Any, Taught]]] = {"tabular": _tabular, "network": _items}


def _whole(parts: Mapping[str, Estimator], settings: TrainSettings) -> Estimator | SeveralEstimator:
    assert settings.task.examples
    labels = [one.label for one in settings.task.examples.each]
    if missing := [name for name in labels if name not in parts]:
        raise UserError(
            f"source_model: it predicts {', '.join(parts)}, and nothing of {', '.join(missing)}; take that out of "
            "task.also, or name a model that predicts all of them."
        )
    whole = {name: parts[name].unsettled() for name in labels}
    return SeveralEstimator(whole) if len(whole) > 1 else whole[labels[0]]
