"""From a task to how people are told of what was judged; loads nothing heavy, because every command ends by telling."""

from collections.abc import Callable
from typing import Any

from pipeline.config import (
    BinaryTask,
    Config,
    ExamplesTask,
    MulticlassTask,
    MultilabelTask,
    NextEventTask,
    RankingTask,
    RegressionTask,
)
from pipeline.labels.example_words import class_words, event_words, number_words, tag_words, two_class_words
from pipeline.labels.item_words import ITEMS
from pipeline.labels.several_words import several_words
from pipeline.labels.words import Words

# config class of a task -> the words of its label
WORDS: dict[type[Config], Callable[[Any], Words]] = {
    RankingTask: lambda task: ITEMS,  # noqa: ARG005
    BinaryTask: two_class_words,
    MulticlassTask: class_words,
    MultilabelTask: tag_words,
    RegressionTask: number_words,
    NextEventTask: lambda task: event_words(),  # noqa: ARG005
}


def words_of(task: Config) -> Words:
    """The words of the label that is gated, and the names of the metrics of all."""
    if isinstance(task, ExamplesTask) and task.also:
        return several_words({one.label: WORDS[type(one)](one) for one in task.each})
    return WORDS[type(task)](task)
