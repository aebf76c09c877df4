"""Labelled rows of several domains as one sample; classes are matched by name, never by place.

Shapes: N rows, K classes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from pipeline.errors import DataError
from pipeline.models.feature_values import Values
from pipeline.views import FEATURES, ClassLabel, FloatArray, IntArray, View, Views


def known_classes(views: Iterable[View]) -> tuple[str, ...]:
    """Names of the classes that a row of these views has, in the order of their labels; none where numbers are meant.

    Raises:
        DataError: no row has a label.
    """
    labels = [view.label for view in views]
    if not any(label.known.any() for label in labels):
        raise DataError(
            f"{', '.join(view.domain for view in views)}: no row for training has a {labels[0].name}, so nothing can "
            "be learnt; bring rows with labels, take a larger share, or state another split."
        )
    classed = [label for label in labels if isinstance(label, ClassLabel)]
    found = {label.classes[place] for label in classed for place in np.unique(label.value[label.known])}
    return tuple(dict.fromkeys(name for label in classed for name in label.classes if name in found))


def answers(view: View, classes: tuple[str, ...]) -> FloatArray | IntArray:
    """What each row [N] of a view has: its place among these classes, or its number; all labels are known."""
    label = view.label
    if not isinstance(label, ClassLabel):
        return np.asarray(label.value, dtype=np.float64)
    places = np.array([classes.index(name) if name in classes else -1 for name in label.classes], dtype=np.int64)
    return places[label.value]


@dataclass(frozen=True, eq=False)
class Sample:
    """Labelled rows.

    Args:
        values: What is known of them.
        answers: [N] places among the classes, or numbers.
        classes: Names of the classes [K]; none where numbers are predicted.
        weights: [N] what each row counts, above zero.
    """

    values: Values
    answers: FloatArray | IntArray
    classes: tuple[str, ...]
    weights: FloatArray

    @classmethod
    def of(cls, views: Views, weights: Mapping[str, float]) -> Self:
        """The rows with a label of the domains that have a weight.

        Raises:
            DataError: there is none.
        """
        chosen = {name: view.take(view.label.known) for name, view in views.items() if name in weights}
        classes = known_classes(chosen.values())
        return cls(
            Values.under([Values.of(view.fields[FEATURES]) for view in chosen.values()]),
            np.concatenate([answers(view, classes) for view in chosen.values()]),
            classes,
            np.concatenate([np.full(len(view), weights[name]) for name, view in chosen.items()]),
        )

    @property
    def says_nothing(self) -> bool:
        """Whether all rows are of one class."""
        return len(self.classes) == 1
