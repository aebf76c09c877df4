"""By how much each feature moves what a model says, over many rows.

Shapes: N rows, F features.
"""

from typing import Any

import numpy as np

from pipeline.views import FEATURES, View

_MOST = 500  # rows that are looked at, evenly spaced


def mean_effects(predictor: Any, view: View) -> dict[str, float]:
    """The mean of the absolute parts of each feature, as the predictor explains its answers; the largest first."""
    rows = view.take(np.arange(0, len(view), max(1, -(-len(view) // _MOST))))
    features = rows.fields[FEATURES]
    means_F = (
        np.abs(predictor.explained(features).features).mean(axis=0) if len(rows) else np.zeros(len(features.types))
    )
    found = dict(zip(features.types, means_F.tolist(), strict=True))
    return {name: round(found[name], 6) for name in sorted(found, key=lambda one: (-found[one], one))}
