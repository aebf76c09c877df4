"""What lanes of another scenario begin with, of a model that was registered: a network's weights, or all that it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config import TrainSettings
from pipeline.errors import UserError
from pipeline.models.estimators import Estimator
from pipeline.models.learner import NOTHING, Taught
from pipeline.models.several import SeveralEstimator


def hand_over(parts: Mapping[str, Any], settings: TrainSettings, folder: Path) -> Taught:
    """Write what lanes begin with, and give the names that its weights know.

    Args:
        parts: The predictors by the scenario's labels.
        settings: Of the scenario.
        folder: Where to write.

    Raises:
        UserError: no lane of the scenario can begin with it; what differs is named.
    """
    if next(iter(parts.values())).kind != settings.model.begins:
        _whole(parts, settings).save(folder)
        return NOTHING
    from safetensors.torch import save_file

    from pipeline.models.tabular_estimator import start_of

    weights, known = start_of(parts, settings)
    save_file(weights, folder / "model.safetensors")
    return known


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
