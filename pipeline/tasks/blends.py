"""From a task to how two of its predictors are blended."""

from collections.abc import Sequence
from typing import Any, Protocol

from pipeline.config import Config, RankingTask
from pipeline.models.blends import ItemBlends
from pipeline.views import IntArray, Predictor, View


class Blender(Protocol):
    """Blends two predictors, by what is known of a unit.

    Args:
        by: What divides the units, as slices of the rows are called.
        bands: Names of the groups.
    """

    by: str
    bands: tuple[str, ...]

    def band_of(self, view: View) -> IntArray:
        """The place of each row's group: [N]."""
        ...

    def blend(self, first: Any, second: Any, target: str, shares: Sequence[float]) -> Predictor:
        """Both as one; `shares`: how much the first counts in each group, in [0, 1]."""
        ...


# config class of a task -> how; `LaneBlend.predicts` says which tasks there are
BLENDERS: dict[type[Config], Blender] = {RankingTask: ItemBlends()}


def blender_of(task: Config) -> Blender:
    """How two predictors of a task are blended."""
    return BLENDERS[type(task)]
