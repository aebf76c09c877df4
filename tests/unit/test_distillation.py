"""A student that learns what a teacher says: the divergence in NumPy, and what the teacher knows."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline import config as cfg
from pipeline.models.label_heads import ClassHead, LabelHead, NumberHead, SeveralHead, TagHead
from pipeline.models.sides import TAUGHT, Outputs, Side
from pipeline.models.tabular import TabularLearner
from pipeline.transfer.methods import build_tune
from pipeline.views import FEATURES, View
from tests.examples import class_view, number_view, several_view, tag_view

MODEL = cfg.TabularModel(kind="tabular", dim=8, buckets=64, bins=4, words=64)
STUDENT = cfg.TabularModel(kind="tabular", dim=4, buckets=16, bins=2, words=32, blocks=0)
TEMPERATURE = 3.0


def kl(told: np.ndarray, said: np.ndarray) -> float:
    """Of two lists of logarithms, up to a constant each, at the temperature, times its square (Hinton et al., 2015)."""
    p, q = (np.exp(one / TEMPERATURE) / np.exp(one / TEMPERATURE).sum() for one in (told, said))
    return TEMPERATURE**2 * float((p * np.log(p / q)).sum())


def said_by(head: LabelHead, features: torch.Tensor) -> np.ndarray:
    return np.asarray(head(features).detach().double().numpy())


def test_of_classes_it_is_the_published_formula() -> None:
    """Over the classes that the teacher knows; zero where it says the same."""
    torch.manual_seed(0)
    head, features = ClassHead(4, ("a", "b", "c")), torch.randn(5, 4)
    told = torch.randn(5, 3)
    said = said_by(head, features)
    wanted = [kl(one, own) for one, own in zip(told.double().numpy(), said, strict=True)]
    np.testing.assert_allclose(head.divergence(features, told, TEMPERATURE).detach(), wanted, rtol=1e-4)
    np.testing.assert_allclose(head.divergence(features, head(features) + 7, TEMPERATURE).detach(), 0, atol=1e-5)
    told[:, 1] = torch.nan
    some = [kl(one[[0, 2]], own[[0, 2]]) for one, own in zip(told.double().numpy(), said, strict=True)]
    found = head.divergence(features, told, TEMPERATURE)
    np.testing.assert_allclose(found.detach(), some, rtol=1e-4)
    found.sum().backward()
    assert head.rows[next(iter(head.rows))].grad.isfinite().all()


def test_of_tags_and_numbers_too() -> None:
    """Of tags each as there or not, in the mean over those that are known; of numbers the squared distance."""
    torch.manual_seed(1)
    features, told = torch.randn(5, 4), torch.randn(5, 3)
    told[:, 2] = torch.nan
    tags, number = TagHead(4, ("x", "y", "z")), NumberHead(4, 10.0, 2.0)
    both = [np.stack([np.zeros((5, 3)), one], axis=2) for one in (told.double().numpy(), said_by(tags, features))]
    wanted = [np.mean([kl(both[0][row, k], both[1][row, k]) for k in (0, 1)]) for row in range(5)]
    np.testing.assert_allclose(tags.divergence(features, told, TEMPERATURE).detach(), wanted, rtol=1e-4)
    numbers = torch.tensor([[9.0], [10.0], [11.0], [12.0], [13.0]], dtype=torch.float64)
    apart = ((said_by(number, features) - numbers.numpy())[:, 0] / 2.0) ** 2
    np.testing.assert_allclose(number.divergence(features, numbers, TEMPERATURE).detach(), apart, rtol=1e-4)
    several, beside = SeveralHead({"n": number, "t": tags}), torch.cat([numbers, told.double()], dim=1)
    found = several.divergence(features, beside, TEMPERATURE).detach()
    np.testing.assert_allclose(found, apart + np.array(wanted), rtol=1e-4)


def test_the_penalty_looks_at_the_targets_inputs_alone() -> None:
    """The weight times the mean divergence; labels count once, and nothing of a side that no teacher has seen."""
    torch.manual_seed(2)
    head, features, told = ClassHead(4, ("a", "b")), torch.randn(6, 4), torch.randn(6, 2)
    network: Any = SimpleNamespace(head=head)
    sides = {
        "target": Side("near", "target", {}, torch.zeros(6, dtype=torch.int64), torch.ones(6)),
        "inputs": Side("near", "inputs", {TAUGHT: told}, None, torch.ones(6)),
    }
    method = build_tune(cfg.Distil(kind="distil", weight=0.5, temperature=TEMPERATURE), 4)
    seen = [Outputs(side, features) for side in sides.values()]
    wanted = 0.5 * head.divergence(features, told, TEMPERATURE).mean().item()
    assert method.penalty(network, seen).item() == pytest.approx(wanted)
    assert (method.share("target"), method.share("inputs")) == (1.0, 0.0)


@pytest.mark.parametrize("make", [class_view, tag_view, number_view, several_view])
def test_what_is_taught_is_what_the_sources_model_says(make: Any) -> None:
    """Row by row of the target, labelled or not; the student has its own shape and its own weights."""
    views: dict[str, View] = {"far": make("far", 60), "near": make("near", 40, 1)}
    settings: Any = SimpleNamespace(
        model=MODEL, training=cfg.Training(batch_size=16), seed=0, target="near", sources=("far",),
        domains=("far", "near"),
    )  # fmt: skip
    learner = TabularLearner(settings)
    teacher, _ = learner.pretrain({"far": views["far"]})
    student, rows = learner.tune(views, cfg.Strategy(tune=cfg.Distil(kind="distil", student=STUDENT)))
    taught = learner.teach(rows, views, teacher.shared_state()).inputs
    assert student.encoder.model == STUDENT
    features = views["near"].fields[FEATURES]
    with torch.no_grad():
        said = teacher.head(teacher.eval().encode(teacher.encoder.read(features)))
    np.testing.assert_allclose(taught.inputs[TAUGHT], said, rtol=1e-6)
    batch = taught.batch(0, 1)
    assert batch.inputs[TAUGHT].shape == (len(batch.weights_B), said.shape[1])
    assert student.encode(batch.inputs).shape == (len(batch.weights_B), 4)


def test_a_class_that_the_teacher_never_met_is_not_taught() -> None:
    far = class_view("far", 60, cuts=(0.0, 1.0), classes=("low", "middle", "high"))
    near = class_view("near", 60, 1, cuts=(0.0, 1.0), classes=("low", "middle", "top"))
    settings: Any = SimpleNamespace(
        model=MODEL, training=cfg.Training(batch_size=16), seed=0, target="near", sources=("far",),
        domains=("far", "near"),
    )  # fmt: skip
    learner, views = TabularLearner(settings), {"far": far, "near": near}
    teacher, _ = learner.pretrain({"far": far})
    student, rows = learner.tune(views, cfg.Strategy(tune={"kind": "distil"}))
    told = learner.teach(rows, views, teacher.shared_state()).inputs.inputs[TAUGHT]
    known = dict(zip(student.head.classes, (~told.isnan()).all(dim=0).tolist(), strict=True))
    assert known == {"low": True, "middle": True, "high": True, "top": False}


def test_a_student_reads_no_encoder_of_its_own() -> None:
    with pytest.raises(ValueError, match="student: expected none with an encoder of its own"):
        cfg.Distil(kind="distil", student={"kind": "tabular", "encoder": "minilm"})
