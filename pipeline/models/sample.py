"""Rows of several domains as one sample, with labels and without; classes and tags are matched by name, not by place.

Shapes: N rows, K classes or tags.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from pipeline.config import Encoders
from pipeline.errors import DataError, UserError
from pipeline.models.encoded import Reader, Readers
from pipeline.models.feature_values import Values
from pipeline.views import (
    FEATURES,
    ClassLabel,
    Features,
    FloatArray,
    IntArray,
    Mask,
    NumberLabel,
    TagLabel,
    View,
    Views,
)

NO_ENCODERS: Encoders = {}


def known_classes(views: Iterable[View]) -> tuple[str, ...]:
    """Names of the classes or tags that a row of these views has, in their order; none where numbers are meant.

    Raises:
        DataError: no row has a label, or any tag.
    """
    labels = [view.label for view in views]
    if not any(label.known.any() for label in labels):
        raise DataError(
            f"{', '.join(view.domain for view in views)}: no row for training has a {labels[0].name}, so nothing can "
            "be learnt; bring rows with labels, take a larger share, or state another split."
        )
    classed = [label for label in labels if not isinstance(label, NumberLabel)]
    found = {label.classes[place] for label in classed for place in _met(label)}
    if classed and not found:
        raise DataError(
            f"{', '.join(view.domain for view in views)}: no row for training has a tag of {labels[0].name}, so "
            "nothing can be learnt; bring rows with tags, take a larger share, or state another split."
        )
    return tuple(dict.fromkeys(name for label in classed for name in label.classes if name in found))


def classes_of_both(taught: Sequence[str], label: ClassLabel | TagLabel, met: Sequence[str]) -> tuple[str, ...]:
    """The classes or tags that a registered model knows, then the others that rows of the target have.

    Raises:
        UserError: it knows none of the target's.
    """
    if not set(taught) & set(label.classes):
        raise UserError(
            f"source_model: it tells {', '.join(taught)} apart, and {label.name} is {', '.join(label.classes)}: no "
            "class is in common; spell them alike."
        )
    return tuple(dict.fromkeys((*taught, *met)))


def _met(label: ClassLabel | TagLabel) -> IntArray:
    """The places of the classes or tags that a row has."""
    if isinstance(label, TagLabel):
        return np.flatnonzero(label.value.any(axis=0))
    return np.unique(label.value[label.known])


def answers(view: View, classes: tuple[str, ...], *, own: bool = True) -> FloatArray | IntArray:
    """What each row [N] of a view has: its place among these classes, or its number; -1 or NaN where it is not known.

    Of tags [N, K] ones and zeros. A tag that no row of a source has (`own` is False) may not be known there at all, so
    that its rows say nothing of it: NaN.
    """
    label = view.label
    if isinstance(label, NumberLabel):
        return np.asarray(label.value, dtype=np.float64)
    if isinstance(label, TagLabel):
        has = np.full((len(view), len(classes)), 0.0 if own else np.nan)
        met = [(classes.index(label.classes[at]), at) for at in _met(label) if label.classes[at] in classes]
        for place, at in met:
            has[:, place] = label.value[:, at]
        has[~label.known] = np.nan
        return has
    places = np.array([classes.index(name) if name in classes else -1 for name in label.classes], dtype=np.int64)
    found: IntArray = np.append(places, -1)[label.value]  # what is not known is -1, the last
    return found


@dataclass(frozen=True, eq=False)
class Sample:
    """Labelled rows, and beside them others of which no label is known.

    Args:
        values: What is known of them.
        answers: [N] places among the classes, or numbers; [N, K] of tags, NaN where a row says nothing of one.
        classes: Names of the classes or tags [K]; none where numbers are predicted.
        weights: [N] what each row counts, above zero.
        own: [N] whether a row is the target's.
        others: What is known of rows without a label, and of a target's whose labels are not to be seen.
        readers: What read texts, beside their words, and pictures.
        categories: Names of the categories, in the order in which `values` has them.
    """

    values: Values
    answers: FloatArray | IntArray
    classes: tuple[str, ...]
    weights: FloatArray
    own: Mask
    others: tuple[Features, ...] = ()
    readers: Readers = ()
    categories: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        views: Views,
        weights: Mapping[str, float],
        target: str,
        encoders: Encoders = NO_ENCODERS,
        taught: Sequence[str] = (),
    ) -> Self:
        """The rows with a label of the domains that have a weight; all but the target are sources.

        A target without a weight lends all its rows without their labels. `encoders` read texts, beside
        their words, and pictures; `taught` are classes or tags that a registered model knows.

        Raises:
            DataError: there is none.
            UserError: the registered model knows no class of the target.
        """
        chosen = {name: view.take(view.label.known) for name, view in views.items() if name in weights}
        blind = {name: view.take(~view.label.known) for name, view in views.items() if name in weights}
        blind |= {target: views[target]} if target in views and target not in weights else {}
        classes = known_classes(chosen.values())
        if taught:
            classes = classes_of_both(taught, views[target].label, classes)
        first = next(iter(chosen.values())).fields[FEATURES]
        readers = Reader.all_of(encoders, first)
        return cls(
            Values.under([Values.of(view.fields[FEATURES], readers) for view in chosen.values()]),
            np.concatenate([answers(view, classes, own=name == target) for name, view in chosen.items()]),
            classes,
            np.concatenate([np.full(len(view), weights[name]) for name, view in chosen.items()]),
            np.concatenate([np.full(len(view), name == target) for name, view in chosen.items()]),
            tuple(view.fields[FEATURES] for view in blind.values() if len(view)),
            readers,
            tuple(first.of("category")),
        )

    def take(self, rows: Mask) -> "Sample":
        """Some of the rows, with the same classes."""
        return replace(
            self, values=self.values.take(rows), answers=self.answers[rows], weights=self.weights[rows],
            own=self.own[rows],
        )  # fmt: skip

    @property
    def says_nothing(self) -> bool:
        """Whether all rows are of one class."""
        return len(self.classes) == 1 and not self.tagged

    @property
    def tagged(self) -> bool:
        """Whether a row may have any number of the classes at once: tags."""
        return self.answers.ndim == 2

    def of_tag(self, place: int) -> "Sample":
        """Whether the rows have one tag, as one of two classes; of the rows that say something of it.

        There is one class where all of them have it, or none does.
        """
        known = ~np.isnan(self.answers[:, place])
        some = self.take(known)
        has = some.answers[:, place].astype(np.int64)
        both = (f"not {self.classes[place]}", self.classes[place])
        return replace(some, answers=has, classes=both, others=())

    @property
    def odds(self) -> float:
        """Logarithm of how often the second of two classes is met to the first, each at least by half a row."""
        total, second = self.weights.sum(), self.weights @ self.answers
        second = np.clip(second, 0.5, max(total - 0.5, 0.5))
        return float(np.log(second) - np.log(max(total - second, 0.5)))

    @property
    def varies(self) -> bool:
        """Whether not all answers are the same."""
        return bool(len(self.answers) and (self.answers != self.answers[0]).any())
