"""The test rows in groups by the values of features.

Shapes: N rows.
"""

from typing import Any

import numpy as np
import pandas as pd

from pipeline.config import ExamplesTask
from pipeline.views import FEATURES, Features, Slice, View

VALUES = 6  # of a feature that are shown, at most
_FEATURES = 3  # that are taken where the task names none
_OTHER, _MISSING = "other", "missing"


def make_slices(task: ExamplesTask, view: View) -> list[Slice]:
    """Divide rows by the features that the task names, else by the first few categories and flags of few values.

    Numbers and times are divided into thirds. Every row is in exactly one slice of each feature; empty ones are left
    out.
    """
    features = view.fields[FEATURES]
    found = []
    for name in task.slices or _small(features):
        groups = _groups(features, name)
        labels = [*dict.fromkeys(groups.cat.categories)]
        found += [Slice(name, str(label), (groups == label).to_numpy()) for label in labels]
    return [one for one in found if one.rows.any()]


def _small(features: Features) -> list[str]:
    names = [name for name in features.of("category", "flag") if features.table[name].nunique() <= VALUES]
    return names[:_FEATURES]


def _groups(features: Features, name: str) -> "pd.Series[Any]":
    """[N] the label of each row, as a category in the order in which they are shown."""
    values, kind = features.table[name], features.types[name]
    if kind == "flag":
        return _ordered(values.map({0.0: "no", 1.0: "yes"}), ["no", "yes"])
    if kind == "category":
        often = values.value_counts().sort_index().sort_values(ascending=False, kind="stable").index
        shown = sorted(often if len(often) + values.isna().any() <= VALUES else often[: VALUES - 1])
        named = values.where(values.isin(shown) | values.isna(), _OTHER)
        return _ordered(named, [*(one for one in shown if one != _OTHER), _OTHER])
    return _thirds(values, as_days=kind == "time")


def _thirds(values: "pd.Series[Any]", *, as_days: bool) -> "pd.Series[Any]":
    known = values.dropna()
    low, high = (known.quantile(share, interpolation="lower") for share in (1 / 3, 2 / 3)) if len(known) else (0, 0)
    first, last = (f"{edge:%Y-%m-%d}" if as_days else f"{edge:g}" for edge in (low, high))
    labels = [f"up to {first}", f"above {first}, up to {last}", f"above {last}"]
    place = np.where(values <= low, 0, np.where(values <= high, 1, 2))
    named = pd.Series(np.array(labels, dtype=object)[place]).where(values.notna().to_numpy(), None)
    return _ordered(named, labels)


def _ordered(named: "pd.Series[Any]", labels: list[str]) -> "pd.Series[Any]":
    every = [*dict.fromkeys([*labels, _MISSING])]
    return pd.Series(pd.Categorical(named.astype(object).where(named.notna(), _MISSING), categories=every))
