"""The network over the last events of a log: its attention, what it explains and keeps, whether it learns order."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pipeline import config as cfg
from pipeline.models.encoders.event_log import EventEncoder, codes
from pipeline.models.example_baselines import candidates, fit_baseline
from pipeline.models.load import load_ranker
from pipeline.models.tabular import TabularLearner
from pipeline.past import Log
from pipeline.training.fit import fit
from pipeline.transfer.methods import build_tune
from pipeline.views import FEATURES, View
from tests.logs import log, prepare

MODEL = cfg.EventModel(kind="events", dim=8, heads=2, buckets=64, bins=4, blocks=1)


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> dict[str, View]:
    """Two domains."""
    return prepare(tmp_path_factory.mktemp("logs"), log(80), log(80, seed=1)).training()


def learner_of(model: cfg.EventModel = MODEL, rate: float = 0.01, epochs: int = 5) -> TabularLearner:
    training = cfg.Training(epochs=epochs, batch_size=64, learning_rate=rate)
    return TabularLearner(SimpleNamespace(  # type: ignore[arg-type]
        model=model, training=training, seed=0, target="near", sources=("far",), domains=("far", "near")
    ))  # fmt: skip


def test_codes_are_powers_of_two() -> None:
    """Gaps of 0, 1, 2, 3 and 2^30 seconds, one that is not known, and a place without an event."""
    gap = np.array([[0, 1, 2, 3, 2.0**30, np.nan, np.nan]], dtype=np.float32)
    kind = np.array([[0, 1, 2, 3, 0, 0, -1]], dtype=np.int8)
    found = codes(Log(kind, gap, kind, kind))
    assert found[0, :, 1].tolist() == [1, 2, 2, 3, 24, 0, 0]
    assert found[0, :, 0].tolist() == kind[0].tolist()


def test_attention_is_the_formula(views: dict[str, View]) -> None:
    """The newest event asks, all that are there are heard; in NumPy, head by head."""
    features = views["near"].fields[FEATURES]
    encoder = learner_of()._network(views, ("near",)).encoder.eval()
    assert isinstance(encoder, EventEncoder)
    read = encoder.read(features)["log"]
    with torch.no_grad():
        found = encoder._attended(read).numpy()
        table, places = encoder.codes.weight.numpy(), encoder.places.weight.numpy()
        for row in range(10):
            there = read[row][read[row, :, 0] >= 0].numpy()
            events = np.array([sum(table[offset + code] for offset, code in zip((0, 32, 57, 59), one, strict=True))
                               for one in there]) + places[: len(there)]  # fmt: skip
            normal = (events - events.mean(1, keepdims=True)) / np.sqrt(events.var(1, keepdims=True) + 1e-5)
            asks = normal[0] @ encoder.asks.weight.numpy().T + encoder.asks.bias.numpy()
            shows = normal @ encoder.shows.weight.numpy().T + encoder.shows.bias.numpy()
            keys, values, heard = shows[:, :8], shows[:, 8:], []
            for head in (slice(0, 4), slice(4, 8)):
                weight = np.exp(keys[:, head] @ asks[head] / 2)
                heard.append(weight @ values[:, head] / weight.sum())
            wanted = np.concatenate(heard) @ encoder.says.weight.numpy().T
            np.testing.assert_allclose(found[row], wanted, atol=1e-5)


def test_without_an_event_nothing_is_said(views: dict[str, View]) -> None:
    """And nothing becomes infinite."""
    encoder = learner_of()._network(views, ("near",)).encoder.eval()
    assert isinstance(encoder, EventEncoder)
    nothing = torch.full((3, 20, 4), -1, dtype=torch.int8)
    assert (encoder._attended(nothing) == 0).all()


def test_what_is_saved_says_and_explains_the_same(views: dict[str, View], tmp_path: Path) -> None:
    """The parts of the features add up to what is told; what the events say stands with the last of them."""
    learner = learner_of()
    strategy = cfg.Strategy.model_validate({"tune": {"kind": "joint"}})
    network, rows = learner.tune(views, strategy)
    fit(network, build_tune(strategy.tune, 8), rows, learner.settings.training, tmp_path / "fit", seed=0)
    estimator, features = learner.predictor(network, {}), views["near"].fields[FEATURES]
    (tmp_path / "saved").mkdir()
    estimator.save(tmp_path / "saved")
    loaded = load_ranker(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.probabilities(features), estimator.probabilities(features))  # type: ignore[attr-defined]
    raw, parts = estimator.raw(features), estimator.explained(features).features
    told, group = raw.max(axis=1) - raw.mean(axis=1), raw.argmax(axis=1)
    left = told - parts.sum(axis=1)
    assert max(np.ptp(left[group == one]) for one in np.unique(group)) < 0.03 * np.ptp(told)
    silent = replace(features, log=replace(features.log, kind=np.full_like(features.log.kind, -1)))
    assert np.abs(estimator.raw(silent) - raw).max() > 0.01
    with pytest.raises(ValueError, match="these rows have none"):
        estimator.raw(replace(features, log=None))


def test_order_is_learnt_that_no_feature_counts(tmp_path: Path) -> None:
    """What follows hangs on the fourth event from the end: counts of the last five do not know which one that is."""
    frame = log(400, seed=5).sort_values(["user_id", "timestamp"], ignore_index=True)
    random = np.random.default_rng(3)
    events = random.choice(["view", "cart"], len(frame))
    place = frame.groupby("user_id").cumcount().to_numpy()
    for at in np.flatnonzero(place >= 4):
        follows = events[at - 4] if random.random() < 0.95 else random.choice(["view", "cart"])
        events[at] = follows if place[at] % 5 == 4 else events[at]
    frame["event"] = events
    frame["timestamp"] = frame["timestamp"].min() + np.arange(len(frame)) * np.timedelta64(60, "s")
    rows = prepare(tmp_path, frame)
    learner = learner_of(cfg.EventModel(kind="events", dim=16, heads=2, bins=4, blocks=1, dropout=0.0), 0.01, 25)
    strategy = cfg.Strategy.model_validate({"tune": {"kind": "scratch"}})
    given = {"near": rows.training()["near"]}
    settings = SimpleNamespace(**{**vars(learner.settings), "sources": (), "domains": ("near",)})
    learner = TabularLearner(settings)  # type: ignore[arg-type]
    network, batches = learner.tune(given, strategy)
    fit(network, build_tune(strategy.tune, 16), batches, settings.training, tmp_path / "fit", seed=0)
    held = rows.held_out("test")
    held = held.take((held.fields[FEATURES].table["before"] % 5 == 4).to_numpy())
    chain = fit_baseline(config := cfg.Frequency(kind="frequency"), given, "near", next(candidates(config)), 0)
    right = []
    for estimator in (learner.predictor(network, {}), chain):
        said = estimator.probabilities(held.fields[FEATURES])
        names = np.array(estimator.classes)[said.argmax(axis=1)]
        right.append((names == np.array(held.label.classes)[held.label.value]).mean())
    assert right[0] > 0.8
    assert right[1] < 0.65


def test_frequencies_are_the_formula(views: dict[str, View]) -> None:
    """(n_vk + prior share_k) / (n_v + prior), by weighted rows; a value that nobody had gets the shares."""
    config = cfg.Frequency(kind="frequency", by="last_2", domains="all", source_weights=(0.5,), prior=(10.0,))
    [settings] = candidates(config)
    estimator = fit_baseline(config, views, "near", settings, 0)
    values = np.concatenate([view.fields[FEATURES].table["last_2"].fillna("none") for view in views.values()])
    classes = np.concatenate([np.array(view.label.classes)[view.label.value] for view in views.values()])
    weights = np.concatenate([np.full(len(view), 1.0 if name == "near" else 0.5) for name, view in views.items()])
    shares = np.array([weights[classes == one].sum() for one in estimator.classes]) / weights.sum()
    said = estimator.probabilities(views["near"].fields[FEATURES])
    own = views["near"].fields[FEATURES].table["last_2"].fillna("none").to_numpy()
    for value in np.unique(own):
        mine = values == value
        counts = np.array([weights[mine & (classes == one)].sum() for one in estimator.classes])
        wanted = (counts + 10 * shares) / (weights[mine].sum() + 10)
        np.testing.assert_allclose(said[own == value], np.tile(wanted, ((own == value).sum(), 1)))
    features = views["near"].fields[FEATURES]
    strange = replace(features, table=features.table.assign(last_2="never met"))
    np.testing.assert_allclose(estimator.probabilities(strange)[0], shares)


def test_a_category_that_is_none_is_refused() -> None:
    """With the names of those that there are."""
    features = {"x": "number", "colour": "category"}
    config = cfg.Frequency(kind="frequency", by="x")
    assert config.unfit(features) == "by: expected one of colour, got 'x'"  # type: ignore[arg-type]
    assert "looks at no number" in cfg.Frequency(kind="frequency").unfit({"x": "number"})
