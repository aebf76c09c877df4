"""How long one prediction takes."""

import time
from collections.abc import Callable
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
    predict(rows[0])
    times = []
    for row in rows:
        started = time.perf_counter()
        predict(row)
        times.append(time.perf_counter() - started)
    return float(np.median(times))
