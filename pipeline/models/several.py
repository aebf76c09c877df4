"""A predictor of several labels: one for each, the gated one first."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from pipeline.data.mistakes import Costs
from pipeline.models.estimators import Estimator
from pipeline.models.ranker import PARTS, Arrays, Saved
from pipeline.views import Chosen


class SeveralEstimator(Saved):
    """Says of each label what its own estimator says; those of one network share all but their heads."""

    kind = "several"

    def __init__(self, parts: Mapping[str, Estimator]) -> None:
        """`parts`: by the label's name."""
        self.parts = dict(parts)
        self.needs = tuple(dict.fromkeys(one for part in self.parts.values() for one in part.needs))

    def of_label(self, name: str) -> Estimator:
        """What predicts one label."""
        return self.parts[name]

    def settled(self, chosen: Chosen) -> Self:
        """A copy with what was chosen for each label, under `label.what`."""
        own: dict[str, dict[str, float | list[float] | Costs]] = {name: {} for name in self.parts}
        for key, value in chosen.items():
            name, _, what = key.rpartition(".")
            own[name][what] = value
        return type(self)({name: part.settled(own[name]) for name, part in self.parts.items()})

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """What each part is; an array that the first part has under the same name is kept once."""
        told, arrays, first = [], Arrays(), Arrays()
        for place, part in enumerate(self.parts.values()):
            settings, own = part.state()
            first = first or own
            names = {
                key: f"{0 if key in first and np.array_equal(own[key], first[key]) else place}.{key}" for key in own
            }
            arrays |= {names[key]: array for key, array in own.items()}
            told.append({"kind": part.kind, "settings": settings, "arrays": names})
        return {"labels": list(self.parts), PARTS: told}, arrays

    @classmethod
    def from_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same predictors; those that `state` described are there already."""
        del arrays
        return cls(dict(zip(settings["labels"], settings[PARTS], strict=True)))
