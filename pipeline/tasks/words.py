"""From a task to how people are told of what was judged; loads nothing heavy, because every command ends by telling."""

from pipeline.config import Config, RankingTask
from pipeline.labels.item_words import ITEMS
from pipeline.labels.words import Words

WORDS: dict[type[Config], Words] = {RankingTask: ITEMS}  # config class of a task -> the words of its label


def words_of(task: Config) -> Words:
    """The words of the label that is gated."""
    return WORDS[type(task)]
