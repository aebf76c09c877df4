"""How predictors are kept on disk without pickling, and the interface of everything that ranks."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import StorageError

if TYPE_CHECKING:
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

    def save(self, folder: Path) -> None:
        """Write `ranker.json` and `weights.safetensors`."""
        from safetensors.numpy import save_file

        settings, arrays = self.state()
        value = {"kind": self.kind, "settings": settings}
        (folder / "ranker.json").write_text(json.dumps(value, sort_keys=True, indent=1), encoding="utf-8")
        whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        save_file(whole, folder / "weights.safetensors")


Kinds = Mapping[str, Callable[[], type[Saved]]]  # the class of each kind, asked for only where it is needed


def read_saved(folder: Path, kinds: Kinds) -> Saved:
    """The predictor that was saved in a folder, of one of some kinds; nothing is unpickled.

    Raises:
        StorageError: a file is missing or damaged, or the kind is another.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        value = json.loads((folder / "ranker.json").read_text(encoding="utf-8"))
        return _made(value, load_file(folder / "weights.safetensors"), kinds)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise StorageError(
            f"{folder}: expected a saved ranker (ranker.json, weights.safetensors): {error!r}."
        ) from error


def kind_of(folder: Path) -> str:
    """The kind of the predictor that was saved in a folder; of several labels that of the first one's.

    Raises:
        StorageError: a file is missing or damaged.
    """
    try:
        value = json.loads((folder / "ranker.json").read_text(encoding="utf-8"))
        return str(value["settings"][PARTS][0]["kind"] if value["kind"] == "several" else value["kind"])
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise StorageError(f"{folder}: expected a saved ranker (ranker.json): {error!r}.") from error


def _made(value: Mapping[str, Any], arrays: Arrays, kinds: Kinds) -> Saved:
    """A predictor from its kind and settings; one that is made of others gets them made."""
    settings = value["settings"]
    if PARTS in settings:
        own = [{key: arrays[name] for key, name in part["arrays"].items()} for part in settings[PARTS]]
        settings = {**settings, PARTS: [_made(*one, kinds) for one in zip(settings[PARTS], own, strict=True)]}
    return kinds[value["kind"]]().from_state(settings, arrays)


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
