"""The test rows in groups: by how much is known of the user and how popular the item is."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from pipeline import columns as c
from pipeline.data.prepared import Domains

_EDGES = (0, 1, 3, 5, 10, 20, 100)  # a group starts at an edge and ends before the next


@dataclass(frozen=True)
class Slice:
    """Some of the test rows: what divides them, the group's name, and which rows [N] are in it."""

    by: str
    label: str
    rows: NDArray[np.bool_]


def make_slices(domains: Domains, rows: pd.DataFrame) -> list[Slice]:
    """Divide test rows by length of the history in target and sources, popularity of the item, and cold or warm user.

    A cold user has no training row in the target. Every row is in exactly one slice of each kind; empty ones are left
    out.
    """
    parts = (c.TRAIN, c.VALID)
    users, items = rows["user"].to_numpy(), rows["item"].to_numpy()
    target = domains.matrix(domains.target, parts)
    own = _taken(target)[users]
    elsewhere = np.sum([_taken(domains.matrix(source, parts)) for source in domains.sources], axis=0)[users]
    popularity = np.bincount(target.indices, minlength=target.shape[1])[items]
    return [
        *_by_count("history in the target", own),
        *_by_count("history in the source", elsewhere),
        *_by_count("popularity of the item", popularity),
        *[
            Slice("kind of user", label, chosen)
            for label, chosen in (("cold", own == 0), ("warm", own > 0))
            if chosen.any()
        ],
    ]


def _taken(matrix: sparse.csr_matrix) -> NDArray[np.int64]:
    return np.asarray(np.diff(matrix.indptr), dtype=np.int64)


def _by_count(by: str, counts: NDArray[np.int64]) -> list[Slice]:
    group = np.searchsorted(_EDGES, counts, side="right") - 1
    return [Slice(by, _label(place), group == place) for place in np.unique(group)]


def _label(place: int) -> str:
    first = _EDGES[place]
    if place == len(_EDGES) - 1:
        return f"{first} or more"
    last = _EDGES[place + 1] - 1
    return f"{first}" if first == last else f"{first} to {last}"
