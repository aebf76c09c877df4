"""The kind of label that is the event which follows: a class, whose rows are counted by the users they belong to."""

from dataclasses import dataclass

import numpy as np

from pipeline.config import NextEventTask
from pipeline.labels.class_kind import Classes
from pipeline.labels.example_words import event_words
from pipeline.labels.words import Words
from pipeline.views import View


@dataclass(frozen=True)
class NextEvents(Classes):
    """One of several kinds of event, by its probability."""

    task: NextEventTask  # type: ignore[assignment]

    @property
    def words(self) -> Words:
        """Names, units and sentences."""
        return event_words()

    def told(self, view: View) -> str:
        """How many events of how many users there are, and of which kinds."""
        counts = np.bincount(view.label.value, minlength=len(view.label.classes))
        kinds = ", ".join(f"{count:,} {name}" for name, count in zip(view.label.classes, counts, strict=True) if count)
        return f"{len(view):,} events of {len(np.unique(view.units)):,} users are judged: {kinds}."
