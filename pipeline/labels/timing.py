"""How long one prediction takes."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipeline.views import FEATURES, View

_ROWS = 9


def one_by_one(predict: Callable[[Any], Any], view: View) -> float | None:
    """Time predictions from the features of one row, in seconds: the median over a few, after a first try.

    None where the view has no row.
    """
    rows = [view.fields[FEATURES].take(np.array([place])) for place in range(min(_ROWS, len(view)))]
    if not rows:
        return None
    return median_seconds(predict, rows)


def median_seconds(predict: Callable[[Any], Any], asked: Sequence[Any]) -> float:
    """Time a call with each of what is asked, in seconds: the median, after a first try with the first."""
    predict(asked[0])
    times = []
    for one in asked:
        started = time.perf_counter()
        predict(one)
        times.append(time.perf_counter() - started)
    return float(np.median(times))
