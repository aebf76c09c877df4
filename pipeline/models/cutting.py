"""From a model's config to how its rows are cut into batches."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from pipeline.config import Config, HistoryModel, Role, SequenceModel, TrainSettings
from pipeline.models.batches import InputRows, RankingRows, Sampling
from pipeline.models.sequence_batches import SequenceInputs, SequenceRows
from pipeline.models.sides import LabelledRows, UnlabelledRows
from pipeline.past import Past, refuse_without_order
from pipeline.views import PAST, View


def _sampling(settings: TrainSettings, hidden: float) -> Sampling:
    return Sampling(settings.training.batch_size, settings.training.negatives, hidden, settings.seed)


def _histories(settings: TrainSettings, view: View, role: Role, reads: Sequence[str]) -> RankingRows:
    model: Any = settings.model
    return RankingRows(view, role, reads, _sampling(settings, model.dropout))


def _sequences(settings: TrainSettings, view: View, role: Role, reads: Sequence[str]) -> SequenceRows:
    model: Any = settings.model
    refuse_without_order(view.fields[PAST], f"model {model.name}")
    return SequenceRows(view, role, reads, _sampling(settings, model.hidden), model.length)


def _history_inputs(settings: TrainSettings, users: Tensor, past: Past) -> InputRows:
    return InputRows(settings.target, users, past, settings.training.batch_size, _seed(settings))


def _sequence_inputs(settings: TrainSettings, users: Tensor, past: Past) -> SequenceInputs:
    model: Any = settings.model
    sampling = Sampling(settings.training.batch_size, 0, 0.0, _seed(settings))
    return SequenceInputs(settings.target, users, past, sampling, model.length)


def _seed(settings: TrainSettings) -> int:
    """Not the draws of the labelled rows."""
    return settings.seed + 1


# config class of a model -> the labelled rows of a view in a role, seen through what some domains say
LABELLED: dict[type[Config], Callable[[TrainSettings, View, Role, Sequence[str]], LabelledRows]] = {
    HistoryModel: _histories,
    SequenceModel: _sequences,
}

# config class of a model -> inputs of some of the target's users, seen through a past
INPUTS: dict[type[Config], Callable[[TrainSettings, Tensor, Past], UnlabelledRows]] = {
    HistoryModel: _history_inputs,
    SequenceModel: _sequence_inputs,
}
