"""A registered model in the place of a source: what may stand there, and what the target's network takes of it."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pipeline import config as cfg
from pipeline.config.source_model import misfits
from pipeline.errors import UserError
from pipeline.models.bottleneck import insert
from pipeline.models.tabular import TabularLearner
from pipeline.models.tabular_estimator import TabularEstimator, start_of
from pipeline.rows.examples.carried import carried
from pipeline.runs.graph import graph_of
from pipeline.transfer.methods import build_tune
from tests.examples import TYPES, class_view, make_features, several_view

MODEL = cfg.TabularModel(kind="tabular", dim=8, buckets=64, bins=4)
FEWER = dict(list(TYPES.items())[1:])
TASK = cfg.BinaryTask(kind="binary", label="sold", features=TYPES)
FREE: dict[str, Any] = {
    "name": "mine", "title": "Mine", "target": "b", "bridges": ["features"],
    "source_model": "models:/crosslift.a@champion",
    "tables": {"examples": [{"path": "x.csv"}]}, "split": {"kind": "hash"}, "pseudonymous": True,
    "task": {"kind": "binary", "label": "late", "features": {"debt": "number"}},
    "strategies": [{"tune": {"kind": kind}} for kind in ("scratch", "direct", "frozen", "fine_tune")],
    "baselines": [{"kind": "linear"}],
}  # fmt: skip


def learner_of(task: cfg.ExamplesTask = TASK, model: cfg.TabularModel = MODEL, sources: tuple[str, ...] = ()):
    """Of a scenario without rows of a source, unless some are named."""
    settings = SimpleNamespace(
        task=task, model=model, training=cfg.Training(batch_size=32), seed=0, target="near", sources=sources,
        domains=(*sources, "near"),
    )  # fmt: skip
    return TabularLearner(settings)


def taught_by(view, **model: Any) -> TabularEstimator:
    """What another shop registered: a network, here as it was drawn for the rows of one domain."""
    learner = learner_of(model=MODEL.model_copy(update=model), sources=("far",))
    network, _ = learner.pretrain({"far": view})
    return TabularEstimator.of(network)


@pytest.mark.parametrize("tune", ["direct", "frozen", "fine_tune"])
def test_the_target_begins_with_all_that_it_knows(tune: str) -> None:
    """Before a step is learnt the target's network says what the registered one says, bins and classes included."""
    other = taught_by(class_view("far", 300, shift=3.0))
    learner = learner_of()
    state, known = start_of({"sold": other}, learner.settings)
    assert state.keys() == other.network.shared_state().keys()
    strategy = cfg.Strategy(tune={"kind": tune})
    learner = replace(learner, taught=known)
    mine, rows = learner.tune({"near": class_view("near", 80, 1)}, strategy)
    build_tune(strategy.tune, 8).initialise(mine, state)
    features = make_features(50, 3)
    expected = other.probabilities(features)
    np.testing.assert_array_equal(learner.predictor(mine, {}).probabilities(features), expected)
    assert [side.domain for side in rows.labelled] == ([] if tune == "direct" else ["near"])


def test_classes_of_both_are_told_apart() -> None:
    """Those that only the target knows are drawn, the others are the registered model's."""
    other = taught_by(class_view("far", 300, cuts=(-1, 1), classes=("a", "b", "c")))
    near = class_view("near", 80, 1, cuts=(-1, 1), classes=("b", "c", "d"))
    learner = learner_of(cfg.MulticlassTask(kind="multiclass", label="sold", features=TYPES))
    _, known = start_of({"sold": other}, learner.settings)
    mine, _ = replace(learner, taught=known).tune({"near": near}, cfg.Strategy(tune={"kind": "fine_tune"}))
    assert mine.head.classes == ("a", "b", "c", "d")
    mine.load_known(other.network.shared_state())
    theirs = {name: one.clone() for name, one in other.network.head.rows.items()}
    assert all(torch.equal(mine.head.rows[name], row) for name, row in theirs.items())


SEVERAL = {
    "price": cfg.RegressionLabel(kind="regression"), "sold": cfg.BinaryLabel(kind="binary"),
    "marks": cfg.MultilabelLabel(kind="multilabel", separator="|"),
}  # fmt: skip


@pytest.mark.parametrize("tune", ["direct", "fine_tune"])
def test_of_several_labels_each_begins_with_its_own(tune: str) -> None:
    """In whichever order they stand; one that the registered model does not know is for the target to teach."""
    far, near = several_view("far", 300), several_view("near", 80, 1)
    other = taught_by(replace(far, labels=far.labels[:2]))
    theirs = cfg.RegressionTask(kind="regression", label="price", features=TYPES, also={"sold": SEVERAL["sold"]})
    others = {name: SEVERAL[name] for name in ("marks", "price")}
    ours = cfg.BinaryTask(kind="binary", label="sold", features=TYPES, also=others)
    near = replace(near, labels=(near.labels[1], near.labels[2], near.labels[0]))
    parts = carried(other, theirs, ours).parts
    assert list(parts) == ["sold", "price"]
    learner = learner_of(ours)
    state, known = start_of(parts, learner.settings)
    strategy = cfg.Strategy(tune={"kind": tune})
    learner = replace(learner, taught=known)
    mine, _ = learner.tune({"near": near}, strategy)
    build_tune(strategy.tune, 8).initialise(mine, state)
    features, found = make_features(50, 3), learner.predictor(mine, {})
    for name in ("sold", "price"):
        np.testing.assert_array_equal(found.of_label(name).raw(features), other.of_label(name).raw(features))
    assert found.of_label("marks").classes == ("big", "fresh", "red")
    _, rows = learner.tune({"near": near}, cfg.Strategy(tune={"kind": "distil"}))
    rows = learner.teach(rows, {"near": near}, state)
    told = rows.inputs.inputs["taught"]
    assert told[:, :2].isfinite().all()
    assert told[:, 2:5].isnan().all()
    assert told[:, 5].isfinite().all()


def test_no_class_in_common_is_told() -> None:
    """Else `direct` would answer with classes that the target has never heard of."""
    other = taught_by(class_view("far", 300, classes=("ham", "spam")))
    learner = learner_of(cfg.MulticlassTask(kind="multiclass", label="sold", features=TYPES))
    _, known = start_of({"sold": other}, learner.settings)
    with pytest.raises(UserError, match=r"it tells ham, spam apart, and sold is no, yes: no class is in common"):
        replace(learner, taught=known).tune({"near": class_view("near", 80)}, cfg.Strategy(tune={"kind": "direct"}))


def test_what_cannot_stand_for_a_source_is_told() -> None:
    """Other features or another order of them, another label, another size."""
    view = class_view("far", 300)
    fewer, turned = (TASK.model_copy(update={"features": one}) for one in (FEWER, dict(reversed(TYPES.items()))))
    price = cfg.RegressionTask(kind="regression", label="price", features=TYPES)
    several = cfg.MulticlassTask(kind="multiclass", label="sold", features=TYPES)
    looked_for = TASK.model_copy(update={"positive": "no"})
    both = price.model_copy(update={"also": {"again": cfg.BinaryLabel(kind="binary")}})
    cases = [
        (TASK, fewer, r"what differs: size\. It reads, in this order: size \(number\), skewed"),
        (TASK, turned, r"what differs: their order\. It reads"),
        (price, TASK, r"its price is regression, and sold is binary; name a model of the same kind"),
        (several, TASK, r"its sold is multiclass, and sold is binary; name a model of the same kind"),
        (TASK, several, r"its sold is binary, and sold is multiclass; name a model of the same kind"),
        (looked_for, TASK, r"its sold is one of not no and no, and sold one of no and yes; give `positive`"),
        (both, TASK, r"it predicts price, again, and the gate looks at sold; call one alike"),
        (TASK, cfg.RankingTask(), r"rows of the task ranking have none; name a model of that task"),
    ]
    for theirs, ours, message in cases:
        with pytest.raises(UserError, match=message):
            carried(taught_by(view), theirs, ours)
    narrow = taught_by(view)
    insert(narrow.network.encoder, 4)
    wide, learner = taught_by(view, dim=16, bins=8), learner_of()
    for other, message in (
        (wide, r"write model: \{dim: 16, bins: 8\}"),
        (narrow, r"it carries adapters; name a version whose lane is another"),
    ):
        with pytest.raises(UserError, match=message):
            start_of({"sold": other}, learner.settings)
    softer = learner_of(model=MODEL.model_copy(update={"dropout": 0.5}))
    assert start_of({"sold": taught_by(view)}, softer.settings)  # how, and not what


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "rows as well": ({"sources": ["a"]}, r"exactly one of 'sources' .* and 'source_model'"),
    "neither": ({"source_model": None}, r"exactly one of 'sources' .* and 'source_model'"),
    "both domains": (
        {"strategies": [*FREE["strategies"], {"tune": {"kind": "joint"}}]}, r"joint would learn from rows of a source"
    ),
    "an adaptation": (
        {"strategies": [*FREE["strategies"], {"adapt": {"kind": "coral"}, "tune": {"kind": "direct"}}]},
        r"coral\+direct would learn from rows of a source",
    ),
    "a baseline of the source": (
        {"baselines": [{"kind": "linear"}, {"kind": "linear", "domains": "all"}]},
        r"linear\+source would learn from rows of a source.*\{kind: linear, domains: source\}, \{kind: linear_transfer",
    ),
    "a network and a regression": (
        {"baselines": [{"kind": "linear", "domains": "source"}]},
        r"direct, frozen, fine_tune \(kind tabular\); source_linear \(kind linear\); keep those of one kind",
    ),
    "no labels": (
        {"target_labels": False, "strategies": [{"tune": {"kind": "direct"}}], "baselines": []},
        r"expected tables of a target with labels",
    ),
    "users in common alone": (
        {
            "task": {"kind": "ranking"}, "tables": {"interactions": [{"path": "x.csv"}]}, "bridges": ["users"],
            "baselines": [{"kind": "popularity"}],
        },
        r"bridges names users, and what they did at a source is not in its model; take users out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_asks_for_rows_of_a_source_is_refused(case: str) -> None:
    """When the scenario is read, with the lanes' names."""
    changes, message = REFUSED[case]
    with pytest.raises(ValidationError, match=message):
        cfg.Scenario.model_validate({**FREE, **changes})


def test_baselines_wait_for_the_model_that_they_begin_with() -> None:
    """Those of the target do not, and each says of which kind it has to be."""
    lanes = {"strategies": FREE["strategies"][:1], "baselines": [{"kind": "linear"}, {"kind": "linear_transfer"}]}
    scenario = cfg.Scenario.model_validate({**FREE, **lanes})
    assert scenario.begun == {"linear_transfer+source": "linear"}
    graph, pretrain = graph_of(scenario), ("pretrain_source", "")
    assert pretrain in graph["fit_baseline", "linear_transfer+source"]
    assert pretrain not in graph["fit_baseline", "linear"]
    assert misfits(scenario, "linear") == ""
    assert "linear_transfer+source (kind linear)" in misfits(scenario, "lane_blend")
    assert misfits(scenario, "lane_blend").endswith("with one of the kind lane_blend can begin: none.")


def test_a_model_teaches_in_the_place_of_sources() -> None:
    """No domain beside the target has rows."""
    scenario = cfg.Scenario.model_validate(FREE)
    assert scenario.domains == ("b",)
    assert scenario.teachers == ("models:/crosslift.a@champion",)
