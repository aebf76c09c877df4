"""Features that tell the label by themselves: what is only known once the answer is, more often than a good guess.

Shapes: N rows.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config import UNALIKE
from pipeline.views import FEATURES, ClassLabel, NumberLabel, TagLabel, View

TELLING = 0.99  # AUROC, or rank correlation with a number, from which on a feature gives the label away
_FEWEST = 10  # rows on each side below which chance could do that
_GROUPS = 50  # of rows by a number
_TAGS = 20  # that are looked at
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


def apart(view: View) -> Iterator[tuple[str, View]]:
    """What is predicted, by its name; of tags each for itself, as one of two classes, and the most frequent ones only.

    The others are left out because each costs a look at every feature; of a rare tag chance alone could tell.
    """
    label = view.label
    if not isinstance(label, TagLabel):
        yield label.name, view
        return
    counts = label.value.sum(axis=0)
    for place in np.argsort(-counts, kind="stable")[:_TAGS]:
        value = np.where(label.known, label.value[:, place], -1).astype(np.int64)
        name = label.classes[place]
        yield f"the tag {name} of {label.name}", replace(view, labels=(ClassLabel(value, (f"not {name}", name), name),))


def give_aways(view: View) -> dict[str, float]:
    """Features of labelled rows that tell the label by themselves, with how well: AUROC, or rank correlation.

    A number is read as it is, and in groups; a category by how often the label goes with it in the other half of the
    rows, so that a value of its own for each row tells nothing.
    """
    rows = view.take(view.label.known)
    features = rows.fields[FEATURES]
    found = {name: _tells(features.table[name], kind, rows.label) for name, kind in features.types.items()}
    return {name: round(value, 4) for name, value in found.items() if value >= TELLING}


def _tells(values: "pd.Series[Any]", kind: str, label: ClassLabel | NumberLabel) -> float:
    number = None if kind in {"category", *UNALIKE} else as_number(values)
    group = _groups(values if number is None else number)
    if isinstance(label, NumberLabel):
        return 0.0 if len(values) < 2 * _FEWEST or number is None else _correlation(number, label.value)
    classes = [one for one in np.unique(label.value) if _enough(label.value == one)]
    if not classes:
        return 0.0
    return float(np.mean([_tells_class(number, group, label.value == one) for one in classes]))


def _tells_class(number: FloatArray | None, group: IntArray, is_so: Mask) -> float:
    best = _auroc(_from_other_half(group, is_so), is_so)
    if number is not None:
        for missing in (-np.inf, np.inf):
            found = _auroc(np.where(np.isnan(number), missing, number), is_so)
            best = max(best, found, 1 - found)
    return best


def _enough(is_so: Mask) -> bool:
    return min(int(is_so.sum()), int((~is_so).sum())) >= _FEWEST


def as_number(values: "pd.Series[Any]") -> FloatArray:
    """A number, a flag or a time as a number: [N], NaN where it is missing."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return np.where(values.isna(), np.nan, values.astype("int64").to_numpy(dtype=np.float64))
    return values.to_numpy(dtype=np.float64)


def _groups(values: Any) -> IntArray:
    """[N] the group of each row: equal values, of numbers near ones where there are many; -1 where it is missing."""
    codes, distinct = pd.factorize(values, sort=isinstance(values, np.ndarray))
    if isinstance(values, np.ndarray) and len(distinct) > _GROUPS:
        place = pd.Series(codes[codes >= 0]).rank(method="average", pct=True).to_numpy()
        codes = codes.copy()
        codes[codes >= 0] = np.ceil(place * _GROUPS).astype(np.int64)
    return np.asarray(codes, dtype=np.int64)


def _from_other_half(group: IntArray, is_so: Mask) -> FloatArray:
    """[N] the share of the rows of a group of which it is so, among those of the other half of all rows."""
    half = np.arange(len(group)) % 2
    score = np.full(len(group), is_so.mean())
    for own in (0, 1):
        other = half != own
        known = pd.Series(is_so[other]).groupby(group[other]).mean()
        said = known.reindex(group[half == own]).to_numpy()
        score[half == own] = np.where(np.isnan(said), score[half == own], said)
    return score


def _auroc(score: FloatArray, is_so: Mask) -> float:
    rank = pd.Series(score).rank().to_numpy()
    positives = is_so.sum()
    return float((rank[is_so].sum() - positives * (positives + 1) / 2) / (positives * (len(score) - positives)))


def _correlation(number: FloatArray, value: FloatArray) -> float:
    known = ~np.isnan(number)
    if known.sum() < 2 * _FEWEST or np.ptp(number[known]) == 0 or np.ptp(value[known]) == 0:
        return 0.0
    return abs(float(pd.Series(number[known]).corr(pd.Series(value[known]), method="spearman")))
