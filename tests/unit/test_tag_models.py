"""What predicts tags, held against the libraries' own; and tags that a source does not know, or that all rows have."""

from dataclasses import replace
from types import SimpleNamespace

import lightgbm
import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import average_precision_score
from torch.nn import functional

from pipeline import config as cfg
from pipeline.errors import DataError
from pipeline.models import boosting
from pipeline.models.boosting import BoostingEstimator
from pipeline.models.estimators import ConstantEstimator
from pipeline.models.feature_values import Values
from pipeline.models.label_heads import TagHead
from pipeline.models.linear import LinearEstimator
from pipeline.models.load import load_ranker
from pipeline.models.sample import Sample, answers
from pipeline.models.sides import Outputs, Side
from pipeline.models.tabular import TabularLearner
from pipeline.views import FEATURES, ClassLabel, TagLabel, View
from tests.examples import TAGS, make_features, tag_view

SETTINGS = {"leaves": 7, "smallest_leaf": 5, "rounds": 20, "learning_rate": 0.1}
FITS = {
    "constant": ConstantEstimator.fit,
    "linear": lambda sample: LinearEstimator.fit(sample, buckets=1 << 12, words=1 << 12, regularization=2.0),
    "boosting": lambda sample: BoostingEstimator.fit(sample, SETTINGS, 3),
}


def labelled(view: View) -> View:
    return view.take(view.label.known)


def sample_of(view: View, **more: View) -> Sample:
    views = {**more, view.domain: view}  # sources come before the target
    return Sample.of(views, dict.fromkeys(views, 1.0), view.domain)


def one_tag(view: View, place: int) -> View:
    """The same rows, with or without one tag."""
    return replace(view, labels=(ClassLabel(view.label.value[:, place].astype(np.int64), ("no", "yes"), "y"),))


def with_tags(view: View, value: np.ndarray, tags: tuple[str, ...] = TAGS) -> View:
    return replace(view, labels=(TagLabel(value, view.label.known, tags, view.label.name),))


@pytest.mark.parametrize("kind", ["linear", "boosting"])
def test_each_tag_is_predicted_as_one_of_two_classes(kind: str) -> None:
    """The very probabilities of a model that knows that tag alone, which other tests hold against the library."""
    train, features = labelled(tag_view("d", 300)), make_features(60, seed=5)
    said = FITS[kind](sample_of(train)).probabilities(features)
    assert said.shape == (60, 3)
    for place in range(3):
        alone = FITS[kind](sample_of(one_tag(train, place))).probabilities(features)[:, 1]
        np.testing.assert_allclose(said[:, place], alone, rtol=1e-6)


def test_the_constant_counts_and_is_never_certain() -> None:
    """Shares of the rows that say something; of what all have, or none, half a row is kept back."""
    view = labelled(tag_view("d", 100))
    value = np.zeros((len(view), 3), dtype=bool)
    value[:, 0], value[:9, 1] = True, True
    said = ConstantEstimator.fit(sample_of(with_tags(view, value)))
    rows = len(view)
    assert said.classes == ("big", "fresh")  # of the third there is no row to learn from
    np.testing.assert_allclose(said.probabilities(make_features(2)), [[1 - 0.5 / rows, 9 / rows]] * 2)
    value[1:9, 1] = False
    light = Sample.of({"d": with_tags(view, value)}, {"d": 0.1}, "d")  # one row that counts a tenth
    said = ConstantEstimator.fit(light).probabilities(make_features(1))
    np.testing.assert_allclose(said, [[1 - 5 / rows, 5 / rows]])


@pytest.mark.parametrize("kind", FITS)
def test_a_tag_on_all_rows_gets_its_share(kind: str, tmp_path) -> None:
    """Nothing tells where it would not be; the others are learnt all the same, and it is saved like that."""
    view = labelled(tag_view("d", 200))
    value = view.label.value.copy()
    value[:, 1] = True
    fitted, features = FITS[kind](sample_of(with_tags(view, value))), make_features(50, seed=5)
    said = fitted.probabilities(features)
    np.testing.assert_allclose(said[:, 1], 1 - 0.5 / len(view))
    others = FITS[kind](sample_of(view)).probabilities(features)
    np.testing.assert_allclose(said[:, [0, 2]], others[:, [0, 2]], rtol=1e-6)
    fitted.save(tmp_path)
    np.testing.assert_array_equal(load_ranker(tmp_path).probabilities(features), said)


@pytest.mark.parametrize("kind", FITS)
def test_a_source_without_a_tag_says_nothing_of_it(kind: str) -> None:
    """Its rows change nothing of that tag; a tag of the source alone is one that the target's rows do not have."""
    own, source = labelled(tag_view("d", 200)), labelled(tag_view("far", 300, 1))
    strange = source.label.value.copy()
    strange[:, 2] = False
    source = with_tags(source, strange, ("big", "fresh", "rotten"))
    value = np.insert(source.label.value, 3, source.label.value[:, 0], axis=1)
    source = with_tags(source, value, ("big", "fresh", "red", "rotten"))
    sample = sample_of(own, far=source)
    assert sample.classes == (*TAGS, "rotten")
    assert np.isnan(sample.answers[: len(source), 2]).all()
    assert (sample.answers[len(source) :, 3] == 0).all()
    features = make_features(50, seed=5)
    both, alone = FITS[kind](sample).probabilities(features), FITS[kind](sample_of(own)).probabilities(features)
    if kind == "linear":  # numbers are scaled by all rows
        assert np.corrcoef(both[:, 2], alone[:, 2])[0, 1] > 0.999
    else:
        np.testing.assert_allclose(both[:, 2], alone[:, 2], rtol=1e-9)
    assert np.abs(both[:, 0] - alone[:, 0]).max() > 1e-3
    assert both[:, 3].mean() < both[:, 0].mean()


def test_boosting_grows_a_bounded_number_of_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many tags each gets fewer; saved as the library's own text, one for each."""
    monkeypatch.setattr(boosting, "TREES", 24)
    fitted = BoostingEstimator.fit(sample_of(labelled(tag_view("d", 200))), SETTINGS, 0)
    texts = fitted.state()[0]["trees"]
    assert [lightgbm.Booster(model_str=text).num_trees() for text in texts] == [8, 8, 8]
    features = make_features(30, seed=5)
    values = Values.of(features)
    table = np.hstack([values.numbers, (values.hashes % 4096).astype(float)])
    theirs = np.stack([lightgbm.Booster(model_str=text).predict(table) for text in texts], axis=1)
    np.testing.assert_allclose(fitted.probabilities(features), theirs, rtol=1e-9)


def test_the_tag_head_is_binary_cross_entropy() -> None:
    """By PyTorch's own function, the mean of the tags that a row says something of."""
    torch.manual_seed(0)
    head, features = TagHead(8, ("a.b", "", "c")), torch.randn(4, 8)
    labels = torch.tensor([[1, 0, 1], [0, 0, 0], [1, float("nan"), 0], [float("nan")] * 3], dtype=torch.float64)
    output = Outputs(Side("d", "target", {}, labels, torch.ones(4)), features)
    found = head.losses(output)
    each = functional.binary_cross_entropy_with_logits(head(features), labels.nan_to_num().float(), reduction="none")
    torch.testing.assert_close(found, torch.stack([each[0].mean(), each[1].mean(), each[2, [0, 2]].mean(),
                                                   torch.tensor(0.0)]))  # fmt: skip
    found.sum().backward()
    assert all(torch.isfinite(row.grad).all() for row in head.rows.values())


def test_the_network_knows_the_tags_of_what_it_learns_from(tmp_path) -> None:
    """Those of the source before, of both when it is tuned; what the source taught of a shared tag is taken over."""
    far = with_tags(tag_view("far", 60), tag_view("far", 60).label.value, ("big", "fresh", "rotten"))
    views = {"far": far, "near": tag_view("near", 60, 1)}
    settings = SimpleNamespace(
        model=cfg.TabularModel(kind="tabular", dim=8, buckets=64, bins=4, words=64),
        training=cfg.Training(batch_size=32), seed=0,
        target="near", sources=("far",), domains=("far", "near"),
    )  # fmt: skip
    learner = TabularLearner(settings)
    before, _ = learner.pretrain({"far": far})
    after, rows = learner.tune(views, cfg.Strategy(tune={"kind": "joint"}))
    assert before.head.classes == ("big", "fresh", "rotten")
    assert after.head.classes == ("big", "fresh", "rotten", "red")
    after.load_known(before.shared_state())
    features = make_features(10)
    before_said, after_said = (learner.predictor(one, {}).probabilities(features) for one in (before, after))
    np.testing.assert_allclose(after_said[:, :3], before_said, rtol=1e-6)
    source, target = (side.batch(0, 0).labels for side in rows.labelled)
    assert source[:, 3].isnan().all()
    assert (target[:, 2] == 0).all()


def test_tags_are_learnt_apart_from_each_other() -> None:
    """Rows that none was fitted on, by scikit-learn's average precision; far above the share of each tag."""
    fresh = labelled(tag_view("d", 400, 50))
    said = FITS["linear"](sample_of(labelled(tag_view("d", 400)))).probabilities(fresh.fields[FEATURES])
    found = average_precision_score(fresh.label.value, said, average=None)
    assert (found > fresh.label.value.mean(axis=0) + 0.3).all()


def test_rows_without_any_tag_teach_nothing() -> None:
    """All of them labelled; the message names domain and label."""
    view = labelled(tag_view("d", 40))
    with pytest.raises(DataError, match=r"d: no row for training has a tag of marks, .*; bring rows with tags"):
        sample_of(with_tags(view, np.zeros((len(view), 3), dtype=bool)))


def test_one_tag_alone_may_be_there_or_not() -> None:
    """It is no class that is always told."""
    view = labelled(tag_view("d", 300))
    sample = sample_of(with_tags(view, view.label.value[:, :1], ("big",)))
    assert not sample.says_nothing
    said = FITS["linear"](sample).probabilities(make_features(50, seed=5))
    assert said.shape == (50, 1)
    assert np.ptp(said) > 0.5


def test_thresholds_are_one_for_each_tag() -> None:
    """In the order of the tags; a list of another length is refused."""
    fitted = ConstantEstimator(("a", "b"), np.array([0.0, -1.0]), tagged=True)
    odds = np.array([[0.4, 0.4], [0.6, 0.2]])
    assert fitted.decided(odds).tolist() == [[0, 0], [1, 0]]
    settled = fitted.settled({"temperature": 2.0, "threshold": [0.5, 0.3]})
    assert settled.decided(odds).tolist() == [[0, 1], [1, 0]]
    np.testing.assert_allclose(settled.probabilities(make_features(1)), [[0.5, expit(-0.5)]])
    assert fitted.threshold == 0.5  # a copy was settled
    with pytest.raises(ValueError, match="expected 2 thresholds, got 1"):
        fitted.settled({"threshold": [0.5]})


def test_answers_are_places_among_the_tags() -> None:
    """By name, in any order."""
    view = with_tags(labelled(tag_view("d", 20)), np.eye(3, dtype=bool)[np.arange(18) % 3])
    np.testing.assert_array_equal(
        answers(view, ("red", "big", "blue")), np.array([[0, 1, 0], [0, 0, 0], [1, 0, 0]] * 6)
    )
