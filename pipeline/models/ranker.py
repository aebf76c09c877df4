"""How predictors are kept on disk without pickling, and the interface of everything that ranks."""

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.config import TrainSettings
    from pipeline.models.network import Network
    from pipeline.past import Histories
    from pipeline.views import Chosen

Scores = NDArray[np.float32]
Arrays = dict[str, NDArray[Any]]
PARTS = "parts"  # in the settings of a predictor that is made of others: the kind, settings and arrays of each


class Saved(ABC):
    """A predictor that is kept as plain values."""

    kind: ClassVar[str]
    needs: tuple[str, ...] = ()  # libraries beside NumPy, SciPy and implicit

    @abstractmethod
    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Settings as plain JSON values, and arrays: all that `from_state` needs."""

    @classmethod
    @abstractmethod
    def from_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The predictor that `state` described."""

    def settled(self, chosen: "Chosen") -> Self:
        """The same: nothing is chosen last, unless a predictor says otherwise."""
        assert not chosen
        return self

    def as_start(self, settings: "TrainSettings") -> "Network":
        """The network that a lane with these settings may begin with: none, unless a predictor says otherwise.

        Raises:
            UserError: it is no such network; what differs is named.
        """
        raise UserError(
            f"source_model: it is {self.kind}; expected a network (kind {settings.model.name}) that can learn further."
        )

    def save(self, folder: Path) -> None:
        """Write `ranker.json` and `weights.safetensors`."""
        from safetensors.numpy import save_file

        settings, arrays = self.state()
        value = {"kind": self.kind, "settings": settings}
        (folder / "ranker.json").write_text(json.dumps(value, sort_keys=True, indent=1), encoding="utf-8")
        whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        save_file(whole, folder / "weights.safetensors")


class Ranker(Saved):
    """Scores the target's catalogue from what users did in any domain; a new user needs no retraining."""

    @abstractmethod
    def scores(self, histories: "Histories") -> Scores:
        """Score every target item, higher is better.

        Args:
            histories: CSR [n, I_d] of each domain; a domain that is absent counts as empty.

        Returns:
            [n, I_target], finite.
        """
