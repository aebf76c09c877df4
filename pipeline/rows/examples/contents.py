"""What examples say, as numbers that are equal where the contents are: exactly, or nearly.

Shapes: N rows of all domains one after the other, F features.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config import UNALIKE, FeatureType
from pipeline.data.tokens import plain_bags, plain_texts
from pipeline.views import Features

IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

FEW = 10  # rows that may share a value that tells a row from all others
LONG = 20  # characters of a text that is not written twice by chance
_DIGITS = 3  # significant ones of a number, where rows are nearly equal


@dataclass(frozen=True)
class Contents:
    """Rows by what they say.

    Args:
        row: [N] a number for each content: of all features and the label.
        bare: [N] the same of the features alone.
        told_apart: [N] whether a value of the row stands in no row of other features, and in few rows at all.
    """

    row: IntArray
    bare: IntArray
    told_apart: Mask

    @classmethod
    def exact(cls, features: Features, label: "pd.Series[Any]") -> "Contents":
        """Equal where every value is."""
        return cls._of(features, label, lambda values, kind: values)  # noqa: ARG005

    @classmethod
    def near(cls, features: Features, label: "pd.Series[Any]") -> "Contents":
        """Equal where numbers have the same three digits, times the same day, categories the same letters in any case.

        Of texts the same words in any case, whatever stands between them; of pictures the same bytes.
        """
        return cls._of(features, label, lambda values, kind: _COARSER[kind](values))

    @classmethod
    def _of(
        cls,
        features: Features,
        label: "pd.Series[Any]",
        seen_as: Callable[["pd.Series[Any]", FeatureType], "pd.Series[Any]"],
    ) -> "Contents":
        codes = {name: pd.factorize(seen_as(features.table[name], kind))[0] for name, kind in features.types.items()}
        bare = _numbered([*codes.values()])
        told_apart = np.zeros(len(bare), dtype=np.bool_)
        for name in codes if len(codes) > 1 else ():  # one feature is equal by chance, however fine it is
            told_apart |= _only_here(codes[name], bare)
        # but for a long text, and a picture, which names are as long as: also where there is nothing else
        for name in features.of(*UNALIKE):
            long = (features.table[name].str.len() >= LONG).to_numpy(dtype=np.bool_, na_value=False)
            told_apart |= long & _only_here(codes[name], bare)
        return cls(_numbered([bare, pd.factorize(label)[0]]), bare, told_apart)


def _numbered(codes: list[IntArray]) -> IntArray:
    """Number the lines of several columns of codes: [N]."""
    found = codes[0]
    for code in codes[1:]:
        found = pd.factorize(found * (code.max(initial=0) + 2) + code + 1)[0].astype(np.int64)
    return np.asarray(found, dtype=np.int64)


def _only_here(code: IntArray, bare: IntArray) -> Mask:
    """Which rows have a value that stands in no row of another content, and in few rows."""
    contents = pd.Series(bare).groupby(code).transform("nunique").to_numpy()
    rows = pd.Series(bare).groupby(code).transform("size").to_numpy()
    return np.asarray((code >= 0) & (contents == 1) & (rows <= FEW))


def _rounded(values: "pd.Series[Any]") -> "pd.Series[Any]":
    numbers = values.astype(np.float64)
    size = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(numbers.abs().where(numbers != 0, 1.0))))
    return ((numbers * size).round() / size).round(12)  # what is left of the division is no difference


_COARSER: dict[FeatureType, Callable[["pd.Series[Any]"], "pd.Series[Any]"]] = {
    "number": _rounded,
    "flag": lambda values: values,
    "category": lambda values: values.astype("str").str.strip().str.lower().where(values.notna(), None),
    "time": lambda values: pd.to_datetime(values, utc=True).dt.floor("D"),
    "text": plain_texts,
    "title": plain_texts,
    "bag": plain_bags,
    "image": lambda values: values,
}
