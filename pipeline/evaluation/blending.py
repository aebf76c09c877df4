"""How much each of two lanes counts, by what is known of a unit: chosen on validation rows.

Shapes: N validation rows, B groups of units, G shares that are tried.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.choosing import Chooser
from pipeline.views import FloatArray, IntArray, Mask, Predictor

TRIED = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # shares of the first lane
PRIOR = 500  # a group's own units decide as if so many of all units stood beside them
FOLDS = 5


@dataclass(frozen=True)
class Mixed:
    """What was chosen.

    Args:
        shares: [B] how much the first lane counts in each group.
        metrics: Every metric of the validation rows, each unit judged by shares that were chosen without it.
    """

    shares: tuple[float, ...]
    metrics: dict[str, float]


@dataclass(frozen=True)
class _Tried:
    """What a blend with each share says of the validation rows, the share first that wins where shares are equal."""

    chooser: Chooser
    said: Sequence[FloatArray]  # [G] of [N] or [N, M]
    band_N: IntArray
    groups: int

    def places(self, chosen_N: Mask) -> IntArray:
        """The best share of each group by some of the rows: [B] places among those that are tried."""
        every_G = self._worth(chosen_N)
        found = np.full(self.groups, np.argmax(every_G))
        for group in range(self.groups):
            own_N = chosen_N & (self.band_N == group)
            if not own_N.any():
                continue
            count = len(np.unique(self.chooser.view.units[own_N]))
            worth_G = (count * self._worth(own_N) + PRIOR * every_G) / (count + PRIOR)
            if worth_G.max() > worth_G[found[group]]:
                found[group] = np.argmax(worth_G)
        return found

    def _worth(self, chosen_N: Mask) -> FloatArray:
        rows, label = self.chooser.view.take(chosen_N), self.chooser.label
        return np.array([self.chooser.worth(label.values([(rows, one[chosen_N])])) for one in self.said])


def mix(
    chooser: Chooser, blend: Callable[[Sequence[float]], Predictor], band_N: IntArray, groups: int, prefer: int
) -> Mixed:
    """Choose a share for each group: that of the best `(n m + PRIOR M) / (n + PRIOR)`.

    m is the metric of the group's n units, M that of all: a group goes its own way as far as its units are many and
    say so. Of equal shares a group takes that of all, and all take the one nearest to the preferred lane alone.

    Args:
        chooser: The validation rows, and how they are judged.
        blend: Both lanes as one, with a share for each group; neither has seen the validation rows.
        band_N: Each row's group; the rows of a unit are in one.
        groups: B.
        prefer: 0 or 1: the lane that serves alone where neither is better.
    """
    shares_G = np.array(TRIED if prefer else TRIED[::-1])
    tried = _Tried(chooser, [chooser.predict(blend([share] * groups))[1] for share in shares_G], band_N, groups)
    units = np.unique(chooser.view.units, return_inverse=True)[1]
    apart = tried.said[0].copy()
    for fold in range(FOLDS):
        own_N = units % FOLDS == fold
        if own_N.any() and not own_N.all():
            place_N = tried.places(~own_N)[band_N]
            for place, said in enumerate(tried.said):
                apart[own_N & (place_N == place)] = said[own_N & (place_N == place)]
    found = shares_G[tried.places(np.ones(len(band_N), dtype=np.bool_))]
    return Mixed(tuple(float(share) for share in found), chooser.defined([(chooser.view, apart)]))
