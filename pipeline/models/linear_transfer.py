"""Linear parameter transfer: a regression of the target's rows that shrinks to the source's weights in place of zero.

    min over w, b of  sum_i loss(x_i w + b, y_i) + regularization / 2 |w - w_source|^2

w_source is such a regression of the sources' rows that shrinks to zero; b is free in both. It is L2-SP for a model
without layers. Of numbers it is the ridge regression of what the source's weights leave over, w = w_source + d.

Shapes: N rows, F columns of the design, K classes or tags; of a number and of two classes K is 1.
"""

from collections.abc import Callable

import numpy as np
from scipy import sparse
from scipy.special import expit, log_softmax, softmax

from pipeline.models.linear import Design, LinearEstimator
from pipeline.models.sample import Sample
from pipeline.views import FloatArray

_STEPS = 500
_TOLERANCE = 1e-5  # of the gradient of the mean loss

Solve = Callable[[sparse.csr_matrix, Sample, FloatArray, float], FloatArray]  # (design, rows, towards, regularization)


def fit_transfer(
    sample: Sample, *, regularization: float, source_regularization: float, **columns: int
) -> LinearEstimator:
    """Fit the sources' rows, then the target's held to what these gave; saved as any linear regression.

    Args:
        sample: Rows of both; columns of the design are those of all of them.
        regularization: Of the distance to the source's weights.
        source_regularization: Of the source's weights.
        columns: How many `buckets` and `words` there are.
    """
    design = Design.fit(sample, **columns)
    solve: Solve = _ridge if not sample.classes else _logistic
    whole = design.read(sample.values)
    weights = np.zeros((whole.shape[1] + 1, 1 if _single(sample) else len(sample.classes)))
    for chosen, strength in ((~sample.own, source_regularization), (sample.own, regularization)):
        if chosen.any():
            weights = solve(whole[chosen], sample.take(chosen), weights, strength)
    return _made(sample, design, weights)


def transfer_from(start: LinearEstimator, sample: Sample, *, regularization: float) -> LinearEstimator:
    """Fit the target's rows, held to the weights of a regression that is there already, in its own columns.

    Its weights take the place of w_source. A class or tag that it does not know is held to zero, and a word that none
    of its rows had is not read.

    Args:
        start: The regression; its classes are the first of the sample's.
        sample: Rows of the target.
        regularization: Of the distance to its weights.
    """
    towards = np.zeros((len(start.slope) + 1, max(1, len(sample.classes))))
    towards[:, : start.slope.shape[1]] = np.vstack([start.slope, start.start])
    if sample.classes and _single(sample):
        towards = towards[:, [1]] - towards[:, [0]]
    solve: Solve = _ridge if not sample.classes else _logistic
    return _made(sample, start.design, solve(start.design.read(sample.values), sample, towards, regularization))


def _made(sample: Sample, design: Design, weights: FloatArray) -> LinearEstimator:
    if sample.classes and _single(sample):  # one column of odds, in favour of the second class
        weights = np.hstack([np.zeros_like(weights), weights])
    fitted = LinearEstimator(
        sample.classes, design, {"slope": np.ascontiguousarray(weights[:-1]), "start": weights[-1]}
    )
    fitted.tagged = sample.tagged
    return fitted


def _single(sample: Sample) -> bool:
    return not sample.tagged and len(sample.classes) in (0, 2)


def _ridge(design: sparse.csr_matrix, rows: Sample, towards: FloatArray, regularization: float) -> FloatArray:
    """The weights, then the start: [F + 1, 1]."""
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=regularization, solver="sparse_cg", tol=1e-8)
    model.fit(design, rows.answers - design @ towards[:-1, 0], rows.weights)
    return np.append(model.coef_ + towards[:-1, 0], model.intercept_)[:, None]


def _logistic(design: sparse.csr_matrix, rows: Sample, towards: FloatArray, regularization: float) -> FloatArray:
    """The weights, then the starts: [F + 1, K]."""
    from scipy.optimize import minimize

    whole = sparse.csr_matrix(sparse.hstack([design, np.ones((design.shape[0], 1))], format="csr"))
    loss = _odds if rows.tagged or _single(rows) else _classes
    total = float(rows.weights.sum())

    def objective(flat: FloatArray) -> tuple[float, FloatArray]:
        weights = flat.reshape(towards.shape)
        moved = weights - towards
        moved[-1] = 0  # the start is free
        value, slope_NK = loss(whole @ weights, rows)
        gradient = whole.T @ slope_NK + regularization * moved
        return (value + regularization / 2 * float((moved**2).sum())) / total, gradient.ravel() / total

    options = {"maxiter": _STEPS, "gtol": _TOLERANCE}
    found: FloatArray = minimize(objective, towards.ravel(), jac=True, method="L-BFGS-B", options=options).x
    return found.reshape(towards.shape)


def _classes(said_NK: FloatArray, rows: Sample) -> tuple[float, FloatArray]:
    """Summed cross-entropy of one class a row, and its gradient."""
    wanted = np.eye(said_NK.shape[1])[rows.answers.astype(np.int64)]
    loss = -(wanted * log_softmax(said_NK, axis=1)).sum(axis=1)
    return float(rows.weights @ loss), rows.weights[:, None] * (softmax(said_NK, axis=1) - wanted)


def _odds(said_NK: FloatArray, rows: Sample) -> tuple[float, FloatArray]:
    """Summed binary cross-entropy of the second of two classes, or of each tag of which a row says something."""
    answers = rows.answers.reshape(said_NK.shape).astype(np.float64)
    known, wanted = ~np.isnan(answers), np.nan_to_num(answers)
    loss = np.logaddexp(0, said_NK) - wanted * said_NK
    return float(rows.weights @ (known * loss).sum(axis=1)), rows.weights[:, None] * known * (expit(said_NK) - wanted)
