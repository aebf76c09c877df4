"""Features as plain arrays, in which every model of examples reads them.

Shapes: N rows, M numeric columns, C categories, E numbers of the vectors of all texts and pictures of a row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from pipeline.config import UNALIKE, FeatureType
from pipeline.data.tokens import WORDS, WORDS_OF, stable_hash, word_columns
from pipeline.models.encoded import Readers, vectors_of
from pipeline.views import Features, FloatArray, IntArray, Mask

Hashes = NDArray[np.uint64]

# numeric columns
COLUMNS: dict[FeatureType, int] = {"number": 1, "flag": 1, "time": 5, "category": 0, **dict.fromkeys(UNALIKE, 0)}
_DAY = 86_400.0  # seconds
_WEEK = 7.0  # days


@dataclass(frozen=True, eq=False)
class Values:
    """What is known of some rows.

    Args:
        numbers: [N, M] numbers and flags as they are; a time as days, and hour and weekday on circles; NaN is missing.
        hashes: [N, C] of feature and value together, so that an unknown value is one like others; missing is a value.
        words: Of each text, title or bag [N, WORDS] how often its rows have a word, two of them in a row, or a piece of
            one, by the hash of these and of the feature.
        vectors: [N, E] what pretrained encoders say of each text and picture; no columns where none reads them.
    """

    numbers: FloatArray
    hashes: Hashes
    words: tuple[sparse.csr_matrix, ...]
    vectors: NDArray[np.float32]

    @classmethod
    def of(cls, features: Features, readers: Readers = ()) -> Self:
        """Read them in the order in which they are declared; `readers` read texts, beside their words, and pictures."""
        table, rows = features.table, len(features.table)
        numbers: list[FloatArray] = []
        for name, kind in features.types.items():
            if kind == "time":
                numbers += _of_time(table[name])
            elif COLUMNS[kind]:
                numbers.append(table[name].to_numpy(dtype=np.float64, na_value=np.nan))
        hashes = [_hashed(name, table[name]) for name in features.of("category")]
        return cls(
            np.stack(numbers, axis=1) if numbers else np.zeros((rows, 0)),
            np.stack(hashes, axis=1) if hashes else np.zeros((rows, 0), dtype=np.uint64),
            tuple(
                _counted(name, *WORDS_OF[kind](table[name]), rows)
                for name, kind in features.types.items()
                if kind in WORDS_OF
            ),
            vectors_of(features, readers),
        )

    @classmethod
    def under(cls, several: "Sequence[Values]") -> Self:
        """Several under each other."""
        return cls(
            np.concatenate([one.numbers for one in several]),
            np.concatenate([one.hashes for one in several]),
            tuple(sparse.vstack(texts, format="csr") for texts in zip(*(one.words for one in several), strict=True)),
            np.concatenate([one.vectors for one in several]),
        )

    def take(self, rows: "Mask | IntArray") -> "Values":
        """Some of the rows, by a mask or by their places."""
        return Values(self.numbers[rows], self.hashes[rows], tuple(one[rows] for one in self.words), self.vectors[rows])

    def buckets(self, count: int) -> NDArray[np.int64]:
        """The hashes [N, C] as numbers below `count`; two values may share one (Weinberger et al., 2009)."""
        return (self.hashes % np.uint64(count)).astype(np.int64)

    def __len__(self) -> int:
        return len(self.numbers)


def owners(types: Mapping[str, FeatureType]) -> tuple[IntArray, IntArray]:
    """Whose the numeric columns [M] and the categories [C] are, as places among the features."""
    numeric = [np.full(COLUMNS[kind], place) for place, kind in enumerate(types.values())]
    categories = [place for place, kind in enumerate(types.values()) if kind == "category"]
    return np.concatenate([*numeric, np.empty(0)]).astype(np.int64), np.array(categories, dtype=np.int64)


def text_owners(types: Mapping[str, FeatureType]) -> IntArray:
    """Whose the texts and bags are, as places among the features."""
    return np.array([place for place, kind in enumerate(types.values()) if kind in WORDS_OF], dtype=np.int64)


def by_feature(columns_NX: FloatArray, owner_X: IntArray, count: int) -> FloatArray:
    """Sums of the columns of each feature: [N, `count`]."""
    return np.asarray(columns_NX @ (owner_X[:, None] == np.arange(count)), dtype=np.float64)


def _hashed(name: str, column: pd.Series) -> Hashes:
    codes, found = pd.factorize(column)
    spelt = pd.Index([f"{name}={value}" for value in found] + [name], dtype=object)  # the last is for what is missing
    return stable_hash(spelt)[codes]


def _counted(name: str, hashes: Hashes, owner: IntArray, counts: FloatArray, rows: int) -> sparse.csr_matrix:
    return sparse.csr_matrix(  # adds up what stands more than once
        (counts.astype(np.float32), (owner, word_columns(name, hashes))), shape=(rows, WORDS)
    )


def _of_time(column: pd.Series) -> list[FloatArray]:
    since = pd.to_datetime(column, utc=True) - pd.Timestamp(0, tz="UTC")
    days = since.dt.total_seconds().to_numpy(dtype=np.float64) / _DAY
    turns = [2 * np.pi * days, 2 * np.pi * days / _WEEK]
    return [days, *(wave(turn) for turn in turns for wave in (np.sin, np.cos))]
