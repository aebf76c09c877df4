"""What a strategy moved: weights from their start, and the features of two domains towards each other.

Shapes: N rows of each domain, D feature dimensions.
"""

import numpy as np
import torch

from pipeline.models.network import Network
from pipeline.models.sides import LabelledRows, Rows, UnlabelledRows
from pipeline.transfer.distances import mmd
from pipeline.transfer.method import State
from pipeline.views import FloatArray

ROWS = 512  # of each domain that are compared
_FOLDS = 5


def weights_moved(start: State, network: Network) -> dict[str, float]:
    """|w - w_start| / |w_start| of each layer that was in the start, by its name; a layer of zeros is left out."""
    sums: dict[str, list[float]] = {}
    for name, weights in network.merged().named_parameters():
        now = weights.detach()
        if name in start and start[name].shape == now.shape:
            before = start[name].cpu().double()
            apart, length = sums.setdefault(name.rpartition(".")[0], [0.0, 0.0])
            moved = float((now.double() - before).square().sum()), float(before.square().sum())
            sums[name.rpartition(".")[0]] = [apart + moved[0], length + moved[1]]
    return {layer: float((apart / length) ** 0.5) for layer, (apart, length) in sums.items() if length > 0}


def domains_apart(network: Network, rows: Rows) -> dict[str, float]:
    """Squared MMD, and proxy A-distance, of the features of source rows and of the target's inputs.

    Of few rows some are there twice, which makes the domains seem a little farther apart.
    """
    assert rows.inputs is not None
    still = network.merged().eval()
    share = -(-ROWS // len(rows.labelled))
    source = np.concatenate([_features(still, one, share) for one in rows.labelled])
    target = _features(still, rows.inputs, ROWS)
    apart = mmd(torch.from_numpy(source), torch.from_numpy(target)).item()
    return {"mmd": apart, "a_distance": a_distance(source, target)}


def a_distance(source_ND: FloatArray, target_ND: FloatArray) -> float:
    """2 (1 - 2 error) of a linear classifier on rows it was not fitted on, at least 0; 2: told apart without fail.

    Ben-David et al., "Analysis of Representations for Domain Adaptation", 2007. Both domains count alike.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    rows = np.concatenate([source_ND, target_ND])
    domain = np.repeat([0, 1], [len(source_ND), len(target_ND)])
    if min(np.bincount(domain)) < _FOLDS:
        return 0.0
    told = np.zeros(len(rows), dtype=np.int64)
    for fit, rest in StratifiedKFold(_FOLDS, shuffle=True, random_state=0).split(rows, domain):
        model = LogisticRegression(max_iter=500, class_weight="balanced").fit(rows[fit], domain[fit])
        told[rest] = model.predict(rows[rest])
    errors = [float((told[domain == one] != one).mean()) for one in (0, 1)]
    return max(0.0, 2 * (1 - sum(errors)))


def _features(still: Network, rows: LabelledRows | UnlabelledRows, most: int) -> FloatArray:
    """The features of the first batches, `most` rows of them: [most, D]; few rows come again."""
    parts: list[FloatArray] = []
    step = 0
    with torch.no_grad():
        while sum(map(len, parts)) < most:
            parts.append(still.encode(rows.batch(0, step).inputs).double().numpy())
            step += 1
    return np.concatenate(parts)[:most]
