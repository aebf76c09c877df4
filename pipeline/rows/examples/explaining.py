"""What made a prediction, in words: the features that add most to it, with their sign.

Shapes: N rows, F features.
"""

from typing import Any

import numpy as np
import pandas as pd

from pipeline.config import FeatureType
from pipeline.errors import DataError
from pipeline.views import Features, FloatArray


def explanations(features: Features, parts_NF: FloatArray, most: int) -> list[str]:
    """Name the features that add most to what is told of each row: `page_values +1.32; month=Nov +0.41`.

    One that adds nothing, rounded, is left out. A category or flag stands with its value; whatever else has parts of
    its own, such as the words of a text, belongs here too.

    Raises:
        DataError: fewer than none are asked for.
    """
    if most < 0:
        raise DataError(f"explain: expected how many features are to be named, 0 for none, got {most}.")
    names = [_named(name, kind, features.table[name]) for name, kind in features.types.items()]
    found = []
    for row, parts_F in enumerate(parts_NF):
        first = np.argsort(-np.abs(parts_F), kind="stable")[:most]
        told = [f"{names[place][row]} {parts_F[place]:+.2f}" for place in first if round(abs(parts_F[place]), 2) > 0]
        found.append("; ".join(told))
    return found


def _named(name: str, kind: FeatureType, values: "pd.Series[Any]") -> list[str]:
    if kind == "category":
        return [f"{name} missing" if pd.isna(value) else f"{name}={value}" for value in values]
    if kind == "flag":
        return [f"{name} missing" if np.isnan(value) else f"{name}={'yes' if value else 'no'}" for value in values]
    return [name] * len(values)
