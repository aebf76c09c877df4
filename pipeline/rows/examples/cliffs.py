"""Rows that one value of a feature decides: here all are of the class that is looked for, and just beside hardly any.

A good feature changes what is probable by and by; a cliff is mostly how the label came about, such as a purchase in the
very second of the sign-up. Whatever learns finds such rows, with a source or without one.

Shapes: N rows, V distinct values.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.data.tokens import WORDS_OF
from pipeline.rows.examples.give_aways import as_number, give_aways
from pipeline.views import FEATURES, ClassLabel, Features, View

PURE = 0.99  # share of these rows that are of the class
BESIDE = 0.5  # share of the rows beside them, and of all rows, that are of it at most
FEWEST = 30  # rows of the class that have to be there
_COST = PURE / (1 - PURE)  # of a row of the other class: more than so many of this one have to come with it
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Cliff:
    """Some values of a feature, and how many labelled training rows have them.

    Args:
        feature: Whose values.
        low: The least of them; of a category, a number for nothing.
        high: The greatest.
        value: Of a category the one value, else None.
        rows: Training rows with them.
        positives: Those of them that are of the class.
    """

    feature: str
    low: float
    high: float
    value: str | None
    rows: int
    positives: int

    def holds(self, features: Features) -> Mask:
        """Which rows [N] have such a value."""
        values = features.table[self.feature]
        if self.value is not None:
            return np.asarray(values == self.value, dtype=np.bool_)
        number = as_number(values)
        return np.asarray((number >= self.low) & (number <= self.high))

    def told(self, label: str) -> str:
        """Say what was found."""
        where = self.value if self.value is not None else _between(self.low, self.high)
        return (
            f"{self.feature} of {where} tells {label} by itself: {self.positives:,} of {self.rows:,} training rows "
            "with it are of the class that is looked for, and hardly any beside them; held-out rows with it are marked"
        )


def cliffs(views: Mapping[str, View]) -> list[Cliff]:
    """Find the cliffs of labelled rows of all domains together, where the label is one of two classes.

    One of several classes is left alone: what each of them is told by is what classes are.
    """
    if any(not isinstance(view.label, ClassLabel) or len(view.label.classes) != 2 for view in views.values()):
        return []
    known = [view.take(view.label.known) for view in views.values()]
    is_so = np.concatenate([view.label.value == 1 for view in known])
    if is_so.sum() < FEWEST or is_so.mean() > BESIDE:
        return []
    whole = {name for view in known for name in give_aways(view)}  # told as a whole; there would be nothing beside
    found: list[Cliff] = []
    for name, kind in known[0].fields[FEATURES].types.items():
        if name not in whole and kind not in WORDS_OF:  # hardly two rows have the same words
            values = pd.concat([view.fields[FEATURES].table[name] for view in known], ignore_index=True)
            find = _of_category if kind == "category" else _of_number
            found += find(name, values, is_so)
    return found


def _of_category(name: str, values: "pd.Series[Any]", is_so: Mask) -> Iterator[Cliff]:
    counts = pd.DataFrame({"value": values, "is_so": is_so}).groupby("value")["is_so"].agg(["size", "sum"])
    for value, rows, positives in counts.itertuples(name=None):
        others = len(values) - rows
        if _pays(positives, rows) > 0 and positives >= FEWEST and (is_so.sum() - positives) <= BESIDE * others:
            yield Cliff(name, 0.0, 0.0, str(value), int(rows), int(positives))


def _of_number(name: str, values: "pd.Series[Any]", is_so: Mask) -> Iterator[Cliff]:
    """Look at either end."""
    number = as_number(values)
    known = ~np.isnan(number)
    distinct, place = np.unique(number[known], return_inverse=True)
    rows_V = np.bincount(place, minlength=len(distinct))
    so_V = np.bincount(place, is_so[known], minlength=len(distinct)).astype(np.int64)
    for way in (1, -1):
        found = _end(rows_V[::way], so_V[::way])
        if found is not None:
            last, rows, positives = found
            ends = distinct[::way][[0, last]]
            low, high = (-np.inf, ends[1]) if way > 0 else (ends[1], np.inf)
            yield Cliff(name, float(low), float(high), None, rows, positives)


def _end(rows_V: IntArray, so_V: IntArray) -> tuple[int, int, int] | None:
    """The last value of a cliff from the first value on, its rows and its positives; None where there is none."""
    if len(rows_V) < 2:
        return None
    rows, positives = np.cumsum(rows_V), np.cumsum(so_V)
    worth = _pays(positives, rows)
    last = int(worth.argmax())
    if worth[last] <= 0 or positives[last] < FEWEST or last == len(rows) - 1:
        return None
    until = min(int(np.searchsorted(rows, 2 * rows[last])), len(rows) - 1)  # as many rows beside, or all that are left
    beside = (positives[until] - positives[last]) / (rows[until] - rows[last])
    return (last, int(rows[last]), int(positives[last])) if beside <= BESIDE else None


def _pays(positives: Any, rows: Any) -> Any:
    return positives - _COST * (rows - positives)


def _between(low: float, high: float) -> str:
    return f"{high + 0.0:g} or less" if np.isinf(low) else f"{low + 0.0:g} or more"  # no -0
