"""The test rows in groups: by how much is known of the user and how popular the item is."""

import numpy as np

from pipeline.past import BANDS, OWN_HISTORY, bands, lengths
from pipeline.views import PAST, IntArray, Slice, View


def make_slices(view: View) -> list[Slice]:
    """Divide rows by length of the history in target and sources, popularity of the item, and cold or warm user.

    A cold user has no training row in the target. Every row is in exactly one slice of each kind; empty ones are left
    out.
    """
    past = view.fields[PAST].taken
    users, items, target = view.units, view.label.value, past[view.domain]
    own = lengths(target)[users]
    others = [lengths(past[name])[users] for name in past if name != view.domain]  # none where a model is the source
    popularity = np.bincount(target.indices, minlength=target.shape[1])[items]
    return [
        *_by_count(OWN_HISTORY, own),
        *(_by_count("history in the source", np.sum(others, axis=0)) if others else []),
        *_by_count("popularity of the item", popularity),
        *[
            Slice("kind of user", label, chosen)
            for label, chosen in (("cold", own == 0), ("warm", own > 0))
            if chosen.any()
        ],
    ]


def _by_count(by: str, counts: IntArray) -> list[Slice]:
    group = bands(counts)
    return [Slice(by, BANDS[place], group == place) for place in np.unique(group)]
