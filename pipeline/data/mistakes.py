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
