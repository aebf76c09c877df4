"""LogME against the marginal likelihood itself, and what it is asked of."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from pipeline import config as cfg
from pipeline.models.tabular import TabularLearner
from pipeline.transfer.evidence import START, evidence_of_start, log_evidence
from pipeline.views import FEATURES
from tests.examples import class_view, number_view


def direct(features_ND: np.ndarray, wanted_N: np.ndarray) -> float:
    """The largest log N(y; 0, I / beta + F F' / alpha) a row, found by a search over both."""
    rows = len(wanted_N)

    def loss(logs: np.ndarray) -> float:
        alpha, beta = np.exp(logs)
        spread = np.eye(rows) / beta + features_ND @ features_ND.T / alpha
        return -multivariate_normal.logpdf(wanted_N, np.zeros(rows), spread)

    starts = [(a, b) for a in (-2.0, 2.0, 5.0) for b in (-1.0, 2.0)]
    return -min(minimize(loss, start, method="Nelder-Mead").fun for start in starts) / rows


@pytest.mark.parametrize(("rows", "dim"), [(40, 5), (25, 60)])
def test_it_is_the_largest_marginal_likelihood(rows: int, dim: int) -> None:
    """With more rows than features and with fewer; of several columns the mean."""
    random = np.random.default_rng(dim)
    features = random.normal(size=(rows, dim))
    said = features[:, :3] @ random.normal(size=(3, 2)) + random.normal(scale=0.7, size=(rows, 2))
    wanted = np.column_stack([said[:, 0], said[:, 1] > 0])
    expected = np.mean([direct(features, column) for column in wanted.T])
    assert log_evidence(features, wanted) == pytest.approx(expected, abs=2e-3)


def test_features_that_say_more_have_more() -> None:
    """Those that the labels were made of, before noise of the same size, and before half of them."""
    random = np.random.default_rng(0)
    features = random.normal(size=(100, 8))
    wanted = (features @ random.normal(size=(8, 1)) > 0).astype(float)
    found = [log_evidence(one, wanted) for one in (features, features[:, :4], random.normal(size=(100, 8)))]
    assert found[0] > found[1] > found[2]


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_a_start_is_asked_for_each_labelled_row_of_the_target(kind: str) -> None:
    """The features of the network as it begins, and labels as columns; a class that no row has does not count."""
    view = class_view("near", 90, 1, cuts=(-0.5, 1.0), classes=("low", "mid", "high"))
    view = number_view("near", 90) if kind == "numbers" else view
    task = cfg.MulticlassTask(kind="multiclass", label="y", features={"said": "text"})
    model = cfg.TabularModel(kind="tabular", dim=8, buckets=64, bins=4, blocks=1)
    settings = cfg.TrainSettings(
        sources=(), target="near", target_labels=True, task=task, seed=0, bridges=(), model=model,
        training=cfg.Training(batch_size=32),
    )  # fmt: skip
    taught = {"sold": ["never", "low"]} if kind == "classes" else {}
    network, rows = TabularLearner(settings, taught).tune({"near": view}, cfg.Strategy(tune={"kind": "scratch"}))
    known = view.take(view.label.known)
    with torch.no_grad():
        features = network.eval().encode(network.encoder.read(known.fields[FEATURES])).double().numpy()
    value = known.label.value
    spread = (value - value.mean()) / value.std()
    wanted = spread[:, None] if kind == "numbers" else np.eye(3)[value]
    assert evidence_of_start(network, rows)[START] == pytest.approx(log_evidence(features, wanted), abs=1e-6)
