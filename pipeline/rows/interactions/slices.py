"""The test rows in groups: by how much is known of the user and how popular the item is."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.views import PAST, Slice, View

_EDGES = (0, 1, 3, 5, 10, 20, 100)  # a group starts at an edge and ends before the next


def make_slices(view: View) -> list[Slice]:
    """Divide rows by length of the history in target and sources, popularity of the item, and cold or warm user.

    A cold user has no training row in the target. Every row is in exactly one slice of each kind; empty ones are left
    out.
    """
    past = view.fields[PAST].taken
    users, items, target = view.units, view.label.value, past[view.domain]
    own = _taken(target)[users]
    elsewhere = np.sum([_taken(past[name]) for name in past if name != view.domain], axis=0)[users]
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
