"""What features say of the target's labels before anything is tuned: LogME, the evidence of a Bayesian regression.

You, Liu, Wang and Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", 2021
(arXiv 2102.11005): of weights w ~ N(0, I / alpha) and labels y ~ N(F w, I / beta) the largest log p(y | F, alpha, beta)
over alpha and beta, by MacKay's fixed point, for one row, in the mean over the columns of the labels.

Shapes: N rows, D feature dimensions, K columns of labels, R the smaller of N and D.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.config import Encoders
from pipeline.config.encoders import short_name
from pipeline.models.encoded import Reader, vectors_of
from pipeline.models.network import Network
from pipeline.models.sample import answers
from pipeline.models.sides import Rows
from pipeline.views import FEATURES, FloatArray, View

START = "start"  # the features of the network that a strategy begins with
_STEPS = 100
_CLOSE = 1e-4  # relative, of alpha / beta
_TINY = 1e-10  # of a sum of squares: less is noise of the arithmetic


def log_evidence(features_ND: FloatArray, wanted_NK: FloatArray) -> float:
    """LogME; more says more. It depends on the scale of the labels, and hardly on that of the features."""
    left_NR, scale_R, _ = np.linalg.svd(features_ND, full_matrices=False)
    square_R, seen_RK = scale_R**2, left_NR.T @ wanted_NK
    unseen_K = np.maximum((wanted_NK**2).sum(axis=0) - (seen_RK**2).sum(axis=0), 0.0)
    rows = len(features_ND)
    found = [_evidence(square_R, seen_RK[:, k] ** 2, unseen_K[k], rows) for k in range(wanted_NK.shape[1])]
    return sum(found) / len(found) / rows


def _evidence(square_R: FloatArray, seen_R: FloatArray, unseen: float, rows: int) -> float:
    """Of one column: `seen_R` are squares of its parts along the features, `unseen` is the square of the rest."""
    alpha = beta = 1.0
    for _ in range(_STEPS):
        before = alpha / beta
        total_R = alpha + beta * square_R
        known = float((beta * square_R / total_R).sum())
        length = float((beta**2 * square_R * seen_R / total_R**2).sum())
        error = float((seen_R * (alpha / total_R) ** 2).sum()) + unseen
        alpha, beta = known / max(length, _TINY), (rows - known) / max(error, _TINY)
        if abs(alpha / beta - before) <= _CLOSE * before:
            break
    total_R = alpha + beta * square_R
    length = float((beta**2 * square_R * seen_R / total_R**2).sum())
    error = float((seen_R * (alpha / total_R) ** 2).sum()) + unseen
    logs = rows * np.log(beta / (2 * np.pi)) + len(square_R) * np.log(alpha) - np.log(total_R).sum()
    return float(logs - beta * error - alpha * length) / 2


def evidence_of_start(network: Network, rows: Rows) -> dict[str, float]:
    """Of the features that a network has of the target's labelled rows; nothing where labels are no columns."""
    sides = [one for one in rows.labelled if one.role == "target"] if network.head.linear else []
    if not sides:
        return {}
    still = network.merged().eval()
    batches = [side.batch(0, step) for side in sides for step in range(side.steps)]
    with torch.no_grad():
        features = [still.encode(one.inputs).double().numpy() for one in batches]
        wanted = [still.head.wanted(one.labels).double().numpy() for one in batches]
    return _told(START, np.concatenate(features), np.concatenate(wanted))


def evidence_of_vectors(view: View, encoders: Encoders) -> dict[str, float]:
    """Of the vectors of pretrained encoders, by their names; nothing where no row has a label, or of items."""
    if FEATURES not in view.fields:
        return {}
    known = view.take(view.label.known)
    if not len(known):
        return {}
    features, wanted, found = known.fields[FEATURES], _columns(known), dict[str, float]()
    for reader in Reader.all_of(encoders, features):
        found |= _told(short_name(reader.encoder), vectors_of(features, (reader,)).astype(np.float64), wanted)
    return found


def _told(name: str, features_ND: FloatArray, wanted_NK: FloatArray) -> dict[str, float]:
    """The evidence of the columns that are not the same in every row, which any features would say."""
    varying_NK = wanted_NK[:, np.ptp(wanted_NK, axis=0) > 0]
    return {name: log_evidence(features_ND, varying_NK)} if varying_NK.size else {}


def _columns(view: View) -> FloatArray:
    """Labels as columns: ones and zeros of each class or tag, a number in units of its spread."""
    classes = getattr(view.label, "classes", ())
    told: NDArray[np.float64] = answers(view, classes).astype(np.float64)
    if told.ndim == 2:
        return told
    if classes:
        return np.asarray(told[:, None] == np.arange(len(classes)), dtype=np.float64)
    return np.asarray((told - told.mean()) / (told.std() or 1.0), dtype=np.float64)[:, None]
