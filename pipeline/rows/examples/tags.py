"""Labels that are tags: read from texts, and taken one by one.

Shapes: N rows, K tags.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.config import ExamplesTask, MultilabelTask
from pipeline.views import Mask, TagLabel


def spelt_once(labels: "pd.Series[Any]", task: ExamplesTask) -> "pd.Series[Any]":
    """Labels [N] with one spelling for each set of tags: sorted, each once, nothing but the separator between them.

    A text without any tag in it is no label. Labels that are no tags stay as they are.
    """
    if not isinstance(task, MultilabelTask):
        return labels
    texts = labels.astype(object)
    spelt = {
        text: task.none if _says_none(str(text), task) else task.separator.join(_tags(str(text), task)) or None
        for text in texts.dropna().unique()
    }
    return texts.map(spelt).astype("str")


def one_by_one(labels: "pd.Series[Any]", task: ExamplesTask) -> "pd.Series[Any]":
    """The classes or tags of rows, each under its row's place [0, N); a row without a label has none.

    What says that a row has no tag stands among them like one.
    """
    placed = labels.reset_index(drop=True).dropna()
    if not isinstance(task, MultilabelTask):
        return placed
    texts = placed.astype(object)
    return texts.map({text: _tags(str(text), task) or [task.none or ""] for text in texts.unique()}).explode()


def tag_names(labels: "pd.Series[Any]", task: ExamplesTask) -> tuple[str, ...]:
    """The names of all classes or tags, sorted."""
    none = {task.none} if isinstance(task, MultilabelTask) else set()
    return tuple(sorted({str(one) for one in one_by_one(labels, task).unique()} - none))


def tag_label(labels: "pd.Series[Any]", tags: Sequence[str], task: MultilabelTask) -> TagLabel:
    """Labels [N], spelt once, as a label of a view."""
    each = one_by_one(labels, task)
    place = each.map({name: at for at, name in enumerate(tags)}).fillna(-1).to_numpy(dtype=np.int64)
    value: Mask = np.zeros((len(labels), len(tags)), dtype=np.bool_)
    value[each.index.to_numpy(dtype=np.int64)[place >= 0], place[place >= 0]] = True
    return TagLabel(value, labels.notna().to_numpy(), tuple(tags), task.label)


def joined(told_NK: Mask, tags: Sequence[str], task: MultilabelTask) -> list[str]:
    """The tags that are told of each row [N], as a label spells them."""
    names = np.array(tags, dtype=object)
    return [task.separator.join(sorted(names[row])) or (task.none or "") for row in told_NK.astype(np.bool_)]


def _says_none(text: str, task: MultilabelTask) -> bool:
    return task.none is not None and text.strip() == task.none.strip()


def _tags(text: str, task: MultilabelTask) -> list[str]:
    if _says_none(text, task):
        return []
    return sorted({one.strip() for one in text.split(task.separator)} - {"", task.none or ""})
