"""Two rankers as one: their scores, made comparable and added up by how much each counts for such a user.

Shapes: n users, I items of the target, B bands of history lengths.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import sparse

from pipeline.models.ranker import PARTS, Arrays, Ranker, Saved, Scores
from pipeline.models.scales import standardised
from pipeline.past import BANDS, OWN_HISTORY, IntArray, Past, bands, lengths
from pipeline.views import PAST, View

if TYPE_CHECKING:
    from pipeline.past import Histories


class LaneBlendRanker(Ranker):
    """`share * z(first) + (1 - share) * z(second)`, the share by how many things of the target a user took.

    z is (score - mean) / deviation over the items that the user did not take, so that neither ranker counts more by
    its scale. Whose share is 0 is not asked.
    """

    kind = "lane_blend"

    def __init__(self, first: Any, second: Any, target: str, shares: Sequence[float]) -> None:
        """`shares`: of the first, [B], each in [0, 1]."""
        assert len(shares) == len(BANDS)
        self.first, self.second, self.target, self.shares = first, second, target, tuple(shares)
        self.needs = tuple(dict.fromkeys((*first.needs, *second.needs)))

    def scores(self, histories: "Histories") -> Scores:
        """The sum for each user; whoever has no history in the target is in the first band."""
        past = Past.over(histories)
        users = next(iter(past.values())).shape[0]
        own = past.taken.get(self.target)
        share_n = np.asarray(self.shares, dtype=np.float32)[
            np.zeros(users, int) if own is None else bands(lengths(own))
        ]
        total: Scores | None = None
        for ranker, weight_n in ((self.first, share_n), (self.second, 1 - share_n)):
            asked = np.flatnonzero(weight_n)
            if not len(asked) and total is not None:
                continue
            said = standardised(ranker.scores(past.of(asked)), None if own is None else own[asked])
            total = np.zeros((users, said.shape[1]), dtype=np.float32) if total is None else total
            total[asked] += weight_n[asked, None] * said
        assert total is not None
        return total

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """What each of the two is, and the shares."""
        told, arrays = [], Arrays()
        for place, part in enumerate((self.first, self.second)):
            settings, own = part.state()
            names = {key: f"{place}.{key}" for key in own}
            arrays |= {names[key]: array for key, array in own.items()}
            told.append({"kind": part.kind, "settings": settings, "arrays": names})
        return {"target": self.target, "shares": dict(zip(BANDS, self.shares, strict=True)), PARTS: told}, arrays

    @classmethod
    def from_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same two; those that `state` described are there already."""
        del arrays
        first, second = settings[PARTS]
        return cls(first, second, settings["target"], [settings["shares"][band] for band in BANDS])


class ItemBlends:
    """How two rankers of items are blended: by the length of the user's history in the target."""

    by = OWN_HISTORY
    bands = BANDS

    def band_of(self, view: View) -> IntArray:
        """The band of each row's user: [N]."""
        past: Mapping[str, sparse.csr_matrix] = view.fields[PAST]
        return bands(lengths(past[view.domain])[view.units])

    def blend(self, first: Saved, second: Saved, target: str, shares: Sequence[float]) -> LaneBlendRanker:
        """Both as one, the shares of the first by band."""
        return LaneBlendRanker(first, second, target, shares)
