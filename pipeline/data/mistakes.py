"""What mistakes between several classes cost, as a matrix.

Shapes: K classes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Costs = Mapping[str, Mapping[str, float]]  # what is so -> what is told -> what that costs


def cost_matrix(classes: Sequence[str], costs: Costs) -> NDArray[np.float64]:
    """What it costs to tell a class where another is so: [K that is so, K that is told].

    Nothing where it is right, 1 where nothing is stated; stated classes that are not among these are left out.
    """
    place = {name: at for at, name in enumerate(classes)}
    cost_KK = 1 - np.eye(len(classes))
    for so in costs.keys() & place:
        for told in costs[so].keys() & place:
            cost_KK[place[so], place[told]] = costs[so][told]
    return cost_KK


def dearer_if_rare(counts: Mapping[str, float], power: float) -> Costs:
    """Costs by which a mistake about a class costs the more the rarer it is: its share to the power of minus so much.

    `counts` are of every class that may be told: telling another one would cost as little as the cheapest mistake. About the most frequent class a mistake costs 1. The class of least expected cost is then the one with the highest
    probability over that power of its share.
    """
    most = max(counts.values())
    dear = {so: (most / count) ** power for so, count in counts.items()}
    return {so: {told: cost for told in counts if told != so} for so, cost in dear.items()}
