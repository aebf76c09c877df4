"""What mistakes between several classes cost, as a matrix.

Shapes: K classes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

# what is so -> what is told -> what that costs, or one cost whatever is told instead
Costs = Mapping[str, Mapping[str, float] | float]


def cost_matrix(classes: Sequence[str], costs: Costs) -> NDArray[np.float64]:
    """What it costs to tell a class where another is so: [K that is so, K that is told].

    Nothing where it is right, 1 where nothing is stated; stated classes that are not among these are left out.
    """
    place = {name: at for at, name in enumerate(classes)}
    cost_KK = 1 - np.eye(len(classes))
    for so in costs.keys() & place:
        told = costs[so]
        if isinstance(told, Mapping):
            for one in told.keys() & place:
                cost_KK[place[so], place[one]] = told[one]
        else:
            cost_KK[place[so]] *= told
    return cost_KK


def dearer_if_rare(shares: Mapping[str, float], power: float) -> Costs:
    """Costs by which a mistake about a class costs the more the rarer it is: its share to the power of minus so much.

    About the most frequent class a mistake costs 1. The class of least expected cost is then the one with the highest
    probability over that power of its share.
    """
    most = max(shares.values())
    return {so: (most / share) ** power for so, share in shares.items()}
