"""What every kind of label answers: how it is judged, and in which words people are told."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pipeline.labels.answers import Answers
from pipeline.labels.curves import Curve
from pipeline.labels.statistic import Statistic
from pipeline.labels.words import Words
from pipeline.views import Chosen, FloatArray, Mask, View


class LabelKind(Protocol):
    """A kind of label with the settings of a task.

    Shapes: N rows of a view, M numbers of a row. What a predictor says of a row is one number (a rank, a value) or a
    few (the probability of each class and which one is told), the same few for every predictor.
    """

    @property
    def words(self) -> Words:
        """Names, units and sentences."""
        ...

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all metrics."""
        ...

    @property
    def gated(self) -> str:
        """The one metric that chooses and is gated."""
        ...

    @property
    def watched(self) -> str:
        """The metric that is watched while a network is fitted: the gated one, or one that moves more smoothly."""
        ...

    @property
    def fewest(self) -> int:
        """Over how many units it has to be taken at least to tell one epoch from another."""
        ...

    def told(self, view: View) -> str:
        """A sentence about what is done with each unit."""
        ...

    def predict(self, predictor: Any, view: View) -> FloatArray:
        """What is judged of each row: [N] or [N, M].

        Raises:
            CrossliftError: what the predictor says cannot be judged.
        """
        ...

    def chance(self, view: View) -> FloatArray:
        """The same of a scorer that knows nothing."""
        ...

    def settle(self, fitted: Sequence[tuple[Any, View]]) -> Chosen:
        """What is chosen last, for `Predictor.settled`: a temperature, a threshold, or nothing.

        Args:
            fitted: Predictors of one method, each with the validation rows that it has not seen; all rows together
                choose.
        """
        ...

    def statistic(self, view: View, predicted: FloatArray, chosen: Mask, metrics: Sequence[str]) -> Statistic:
        """Make metrics of the chosen rows [N] over their units; equal rows give equal units in every lane."""
        ...

    def values(self, judged: Sequence[tuple[View, FloatArray]]) -> dict[str, float]:
        """Compute every metric over the rows of some views together."""
        ...

    def positives(self, view: View, chosen: Mask) -> int | None:
        """Count the chosen rows [N] of the class that is looked for; None where there is none such."""
        ...

    def curves(self, view: View, predicted: Mapping[str, FloatArray]) -> tuple[Curve, ...]:
        """Curves of what each lane says of the rows, for people; none where numbers tell all."""
        ...

    def truth(self, view: View) -> list[Answers]:
        """What happened in each row [N], to be shown to people."""
        ...

    def answers(self, predictor: Any, view: View) -> list[Answers]:
        """What a predictor says of each row [N], to be shown beside it."""
        ...

    def effects(self, predictor: Any, view: View) -> dict[str, float]:
        """By how much each feature moves what is told of the rows, in the mean; empty where rows have no features."""
        ...

    def information(self, view: View, predicted: FloatArray) -> float | None:
        """How much the answers tell the rows apart, in nats, which no label says; None where nothing can be said."""
        ...

    def latency(self, predictor: Any, view: View) -> float | None:
        """Time one prediction, in seconds; None where there is nothing to predict."""
        ...
