"""iALS and its sum with user-kNN."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.models.neighbours import UserKnnRanker
from pipeline.models.ranker import Arrays, Ranker, Scores
from pipeline.models.scales import standardised
from pipeline.models.stack import Stack

if TYPE_CHECKING:
    from pipeline.past import Histories


class IalsRanker(Ranker):
    """Implicit alternating least squares (Hu, Koren and Volinsky, 2008): user and item factors of weighted counts.

    A user's factors are solved from the history, x_u = (Y' C_u Y + reg I)^-1 Y' C_u p_u, so a new user needs no
    retraining. C_u is alpha r_u where the user took the item, 1 elsewhere: what `implicit` does, not the paper's
    1 + alpha r_u. r_u is what the row counts, 1 where rows have no weights.
    """

    kind = "ials"

    def __init__(self, stack: Stack, item_factors: NDArray[np.float32], alpha: float, regularization: float) -> None:
        from implicit.cpu.als import AlternatingLeastSquares

        self.stack = stack
        self.alpha, self.regularization = alpha, regularization
        self._model = AlternatingLeastSquares(
            factors=item_factors.shape[1], alpha=alpha, regularization=regularization, num_threads=1
        )
        self._model.item_factors = item_factors

    @classmethod
    def fit(  # noqa: PLR0913  the method has these settings
        cls,
        histories: "Histories",
        stack: Stack,
        *,
        factors: int,
        alpha: float,
        regularization: float,
        iterations: int,
        seed: int,
    ) -> Self:
        """Alternate for a fixed number of iterations; one thread and one seed give one result."""
        from implicit.cpu.als import AlternatingLeastSquares

        model = AlternatingLeastSquares(
            factors=factors, alpha=alpha, regularization=regularization, iterations=iterations, num_threads=1,
            random_state=np.random.default_rng(seed),
        )  # fmt: skip
        model.fit(stack.matrix(histories), show_progress=False)
        return cls(stack, model.item_factors, alpha, regularization)

    def scores(self, histories: "Histories") -> Scores:
        """Factors of the histories times factors of the target's items."""
        matrix = self.stack.matrix(histories)
        factors = self._model.recalculate_user(np.arange(matrix.shape[0]), matrix)
        return np.asarray(factors @ self._model.item_factors[: self.stack.targets].T, dtype=np.float32)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The item factors of all stacked domains."""
        stack, arrays = self.stack.state()
        settings = {"stack": stack, "alpha": self.alpha, "regularization": self.regularization}
        return settings, {**arrays, "item_factors": self._model.item_factors}

    @classmethod
    def from_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """From the item factors."""
        stack = Stack.from_state(settings["stack"], arrays)
        return cls(stack, arrays["item_factors"], settings["alpha"], settings["regularization"])


class BlendRanker(Ranker):
    """The plain sum of the scores of iALS and user-kNN, each standardised within a user."""

    kind = "ials_knn"

    def __init__(self, ials: IalsRanker, knn: UserKnnRanker) -> None:
        self.ials, self.knn = ials, knn

    def scores(self, histories: "Histories") -> Scores:
        """The sum of two standard scores."""
        total = standardised(self.ials.scores(histories))
        total += standardised(self.knn.scores(histories))
        return total

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The states of both."""
        settings: dict[str, Any] = {}
        arrays: Arrays = {}
        for name, part in (("ials", self.ials), ("knn", self.knn)):
            settings[name], own = part.state()
            arrays |= {f"{name}/{key}": value for key, value in own.items()}
        return settings, arrays

    @classmethod
    def from_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """From the states of both."""

        def part(name: str) -> Arrays:
            return {key.removeprefix(f"{name}/"): value for key, value in arrays.items() if key.startswith(f"{name}/")}

        return cls(
            IalsRanker.from_state(settings["ials"], part("ials")),
            UserKnnRanker.from_state(settings["knn"], part("knn")),
        )
