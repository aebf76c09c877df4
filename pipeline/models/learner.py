"""What turns views into networks, batches and predictors: one for each kind of model."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pipeline.config import Strategy
from pipeline.models.sides import Rows
from pipeline.views import Predictor, View, Views

State = Mapping[str, Any]  # weights by name
Taught = Mapping[str, list[Any]]  # what a registered model knows by name: the classes of each label, or items
NOTHING: Taught = {}
Finish = dict[str, Any]  # what validation picks for a fitted network, such as how much a prior counts


class Learner(Protocol):
    """A kind of model with the settings of a step that trains, and what a registered model knows that it begins with.

    Views are of all domains that take part, with the validation rows held back that choose.
    """

    def pretrain(self, views: Views) -> tuple[Any, Rows]:
        """Draw a network for the sources, and cut the rows that it learns from."""
        ...

    def adapt(self, views: Views) -> tuple[Any, Rows]:
        """Draw a network that can read sources and target; rows of the sources, and inputs of the target.

        Raises:
            CrossliftError: the network can read nothing of the target.
        """
        ...

    def tune(self, views: Views, strategy: Strategy) -> tuple[Any, Rows]:
        """Draw a network as a strategy wants it, and cut the rows that it learns from."""
        ...

    def teach(self, rows: Rows, views: Views, teacher: State) -> Rows:
        """Put beside the target's inputs what the model with these weights says of them."""
        ...

    def carry(self, network: Any, views: Views, strategy: Strategy) -> None:
        """Give a network that started from the source's weights what the bridges say beside them."""
        ...

    def finishes(self, views: Views, strategy: Strategy) -> Sequence[Finish]:
        """What validation picks from, at least one."""
        ...

    def told(self, finish: Finish) -> dict[str, float]:
        """A finish in plain numbers."""
        ...

    def predictor(self, network: Any, finish: Finish) -> Predictor:
        """What a network says of its target's rows; a copy, which may be trained on."""
        ...

    def as_trained(self, network: Any, view: View) -> Predictor:
        """What a network says of the rows of any domain that it was trained on, before anything is picked for it."""
        ...
