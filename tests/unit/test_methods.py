"""The tables of methods are complete, and a method trains and weighs what it says."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from pytorch_lightning.utilities import move_data_to_device
from scipy import sparse

from pipeline import config as cfg
from pipeline.models.baselines import BASELINES
from pipeline.models.batches import InputRows, RankingRows, Sampling
from pipeline.models.build import build_network
from pipeline.models.example_baselines import EXAMPLE_BASELINES
from pipeline.models.items import Catalogue
from pipeline.models.load import RANKERS
from pipeline.models.network import Network
from pipeline.models.ranker import Saved
from pipeline.models.sides import Outputs, Side
from pipeline.training.module import TransferModule
from pipeline.transfer.distances import coral
from pipeline.transfer.method import Align, Method, trainable
from pipeline.transfer.methods import ADAPTS, ALIGNS, TUNES, build_adapt, build_tune
from tests.views import labelled_view

# torch's own Adagrad says so once about the sparse tensors that it makes itself.
pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled:UserWarning")
DIM = 4
ALIGNMENTS = ("coral", "mmd", "dann", "cdan")
ADAPTATIONS = (*ALIGNMENTS, "reweight", "self_training")
FURTHER = ("frozen", "fine_tune", "l2sp", "adapter", "lora", "distil")
UNIONS = {"adapt": cfg.AdaptConfig, "tune": cfg.TuneConfig, "baseline": cfg.BaselineConfig}
HISTORIES = {
    "far": sparse.csr_matrix(np.random.default_rng(0).random((20, 8)) < 0.4, dtype=np.float32),
    "near": sparse.csr_matrix(np.random.default_rng(1).random((20, 6)) < 0.4, dtype=np.float32),
}


def members(name: str) -> tuple[type[cfg.Config], ...]:
    return get_args(get_args(UNIONS[name])[0])


def kind(config: type[cfg.Config]) -> str:
    return get_args(config.model_fields["kind"].annotation)[0]


@pytest.mark.parametrize(
    ("name", "table"), [("adapt", ADAPTS), ("tune", TUNES), ("baseline", {**BASELINES, **EXAMPLE_BASELINES})]
)
def test_every_config_has_a_builder_and_its_own_kind(name, table):
    """The union of configs and the dict of builders name the same classes, and no two kinds are equal."""
    assert set(table) == set(members(name))
    kinds = [kind(config) for config in members(name)]
    assert len(set(kinds)) == len(kinds)


def concrete(base: type) -> set[type]:
    """All classes of the package below a base that can be built."""
    below = {one for child in base.__subclasses__() for one in concrete(child)}
    own = set() if getattr(base, "__abstractmethods__", ()) else {base}
    return {one for one in own | below if one.__module__.startswith("pipeline.")}


def test_every_ranker_can_be_loaded():
    """Each concrete ranker stands in the table under its kind, and a saved baseline's kind is its config's."""
    found = {name: load() for name, load in RANKERS.items()}
    assert set(found.values()) == concrete(Saved)
    assert all(name == ranker.kind for name, ranker in found.items())
    own = {kind(config) for config in members("baseline")} - {"linear_transfer"}  # which is saved as `linear`
    assert own <= set(RANKERS)


def variants(config: type[cfg.Config]) -> list[cfg.Config]:
    """A choice as it is by default, and with every alignment that it may have."""
    terms = get_args(get_args(cfg.AlignConfig)[0]) if "align" in config.model_fields else ()
    return [config(kind=kind(config)), *(config(kind=kind(config), align=term(kind=kind(term))) for term in terms)]


ALL = [choice for config in (*members("adapt"), *members("tune")) for choice in variants(config)]
CHOICES = [choice for choice in ALL if "items" in choice.predicts]


def method_of(choice: cfg.Config) -> Method:
    return (build_adapt if type(choice) in ADAPTS else build_tune)(choice, DIM)


def test_every_term_has_a_builder():
    """What a joint fit may be aligned with is what is built."""
    assert set(ALIGNS) == set(get_args(get_args(cfg.AlignConfig)[0]))
    assert [choice.name for choice in variants(cfg.Joint)] == ["joint", *(f"joint+{name}" for name in ALIGNMENTS)]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.name)
def test_a_choice_says_what_it_needs(choice):
    """Labels count where the class says so and nowhere else, a penalty looks at inputs, a bridge carries a start."""
    method = method_of(choice)
    assert {role for role in get_args(cfg.Role) if method.share(role) > 0} == choice.labels
    model = build()
    method.initialise(model, None)
    assert choice.inputs == looks_at_inputs(method, model)
    assert choice.bridges or choice.starts == "random"


def looks_at_inputs(method: Method, model: Network) -> bool:
    """Whether the loss changes with what the target's inputs are."""
    sides = batches("source", "target", "inputs")
    seen = [Outputs(side, model.encode(side.inputs)) for side in sides]
    other = [*seen[:2], replace(seen[2], features_BD=seen[2].features_BD.flip(1))]
    return method.penalty(model, seen).item() != method.penalty(model, other).item()


def test_a_strategy_says_where_it_starts_and_whose_rows_it_learns_from():
    """The table of the design, by name of the lane."""
    found = {}
    for tune in (choice for config in members("tune") for choice in variants(config)):
        for adapt in members("adapt"):
            values = {"adapt": {"kind": kind(adapt)}, "tune": tune.model_dump()}
            if tune.starts == "adapted" or adapt is cfg.NoAdapt:
                strategy = cfg.Strategy.model_validate(values)
                found[strategy.name] = (strategy.start, strategy.domains)
            else:
                with pytest.raises(ValueError, match=r"would have no effect.*tune with one of adapter, direct, dist"):
                    cfg.Strategy.model_validate(values)
    assert found == {
        "target_only": ("random", "target"),
        **dict.fromkeys(("joint", *(f"joint+{name}" for name in ALIGNMENTS)), ("random", "all")),
        **dict.fromkeys(FURTHER, ("source", "all")),
        **{f"{adapt}+{name}": ("adapted", "all") for adapt in ADAPTATIONS for name in FURTHER},
        "direct": ("source", "source"),
        **{f"{adapt}+direct": ("adapted", "source") for adapt in ADAPTATIONS},
    }


def build(*, text: bool = True) -> Network:
    catalogues = {}
    for seed, (name, matrix) in enumerate(HISTORIES.items()):
        words = sparse.csr_matrix(np.random.default_rng(seed).random((matrix.shape[1], 16)) < 0.2, dtype=np.float32)
        catalogues[name] = Catalogue(np.asarray(matrix.sum(axis=0)).ravel(), words if text else None)
    torch.manual_seed(0)
    return build_network(cfg.HistoryModel(dim=DIM, text_buckets=16), catalogues, "near")


def batches(*roles: str) -> list[Side]:
    """One side for each role: labelled rows of the source or the target, or inputs of the target without labels."""
    sides = {
        "source": RankingRows(labelled_view("far", HISTORIES), "source", HISTORIES, Sampling(16, 8, 0.3, 0)),
        "target": RankingRows(labelled_view("near", HISTORIES), "target", HISTORIES, Sampling(16, 8, 0.3, 1)),
        "inputs": InputRows("near", torch.arange(20), HISTORIES, 12, 5),
    }
    return [sides[role].batch(0, 0) for role in roles]


def loss_of(method: Method, model: Network, sides: list[Side]) -> torch.Tensor:
    module = TransferModule(model, method, 0.1, None)
    module.log = lambda *args, **kwargs: None  # there is no trainer
    return module.training_step(sides, 0)


def own_losses(model: Network, sides: list[Side]) -> dict[str, float]:
    """The mean labelled loss of each role."""
    return {
        side.role: model.losses(Outputs(side, model.encode(side.inputs))).mean().item()
        for side in sides
        if side.labels is not None
    }


def test_joint_weighs_both_labels():
    """Loss = w_source L_source + w_target L_target, each domain with its own weight."""
    model, batch = build(), batches("source", "target")
    own = own_losses(model, batch)
    assert own["source"] != pytest.approx(own["target"], rel=1e-3)
    method = build_tune(cfg.Joint(kind="joint", source_weight=0.25, target_weight=2.0), DIM)
    assert loss_of(method, model, batch).item() == pytest.approx(0.25 * own["source"] + 2.0 * own["target"], rel=1e-6)


def test_joint_with_an_alignment_is_all_three():
    """Loss = w_source L_source + w_target L_target + weight * CORAL(source rows, unlabelled target inputs)."""
    model, sides = build(), batches("source", "target", "inputs")
    features = [model.encode(side.inputs).detach().numpy() for side in sides]
    gap = np.cov(features[0], rowvar=False) - np.cov(features[2], rowvar=False)
    term = cfg.CoralTerm(kind="coral", weight=7.0)
    method = method_of(cfg.Joint(kind="joint", source_weight=0.25, target_weight=2.0, align=term))
    own = own_losses(model, sides)
    parts = 0.25 * own["source"], 2.0 * own["target"], 7.0 * (gap**2).sum() / (4 * DIM**2)
    assert min(parts) > 0.01
    assert loss_of(method, model, sides).item() == pytest.approx(sum(parts), rel=1e-5)


@pytest.mark.parametrize("config", [cfg.Scratch(kind="scratch"), cfg.FineTune(kind="fine_tune")])
def test_plain_tuning_is_the_target_s_loss(config):
    """Whatever the source's batch says counts for nothing."""
    model, batch = build(), batches("source", "target", "inputs")
    assert loss_of(build_tune(config, DIM), model, batch).item() == pytest.approx(own_losses(model, batch)["target"])


def test_no_adaptation_is_the_source_s_loss():
    """Source training has no target label and no penalty."""
    model, batch = build(), batches("source", "target", "inputs")
    method = build_adapt(cfg.NoAdapt(), DIM)
    assert loss_of(method, model, batch).item() == pytest.approx(own_losses(model, batch)["source"])


def test_a_row_counts_as_much_as_its_weight():
    """The labelled loss is the mean over rows of weight times loss; a row of weight zero says nothing."""
    model, [side] = build(), batches("target")
    weights = torch.linspace(0, 2, len(side.weights_B))
    each = model.losses(Outputs(side, model.encode(side.inputs))).detach().numpy()
    found = loss_of(Method(), model, [replace(side, weights_B=weights)])
    assert found.item() == pytest.approx(np.mean(weights.numpy() * each), rel=1e-6)
    assert np.mean(weights.numpy() * each) != pytest.approx(each.mean(), rel=1e-3)


def test_a_batch_moves_to_the_device_whole():
    """Lightning moves every tensor of every side, nested ones too; `meta` stands for a device that is not this one."""
    moved = move_data_to_device(batches("target", "inputs"), torch.device("meta"))
    labels = moved[0].labels
    tensors = [side.weights_B for side in moved] + [labels.positives, labels.negatives, labels.log_q]
    histories = [history for side in moved for history in side.inputs.values()]
    tensors += [tensor for one in histories for tensor in (one.items, one.offsets, one.weights)]
    assert len(tensors) == 2 + 3 + 4 * 3
    assert {tensor.device.type for tensor in tensors} == {"meta"}


def test_coral_adds_its_weight_times_the_distance_of_features():
    """Loss = L_source + weight * CORAL, recomputed with np.cov."""
    model, batch = build(), batches("source", "inputs")
    far, near = (model.encode(side.inputs).detach().numpy() for side in batch)
    gap = np.cov(far, rowvar=False) - np.cov(near, rowvar=False)
    expected = own_losses(model, batch)["source"] + 7.0 * (gap**2).sum() / (4 * DIM**2)
    method = build_adapt(cfg.Coral(kind="coral", weight=7.0), DIM)
    assert loss_of(method, model, batch).item() == pytest.approx(expected, rel=1e-5)


def test_dann_adds_its_weight_times_the_classifier_s_loss():
    """Loss = L_source + weight * ln 2 while the classifier knows nothing; its weights are among what trains."""
    model, batch = build(), batches("source", "inputs")
    method = build_adapt(cfg.Dann(kind="dann", weight=0.5), DIM)
    for parameter in method.distance.layers[2].parameters():
        parameter.data.zero_()
    expected = own_losses(model, batch)["source"] + 0.5 * np.log(2)
    assert loss_of(method, model, batch).item() == pytest.approx(expected, rel=1e-5)
    assert len(trainable(model, method)) == len(trainable(model)) + 4


def test_a_weight_of_zero_adds_nothing():
    """An alignment with weight zero is plain source training."""
    model, batch = build(), batches("source", "inputs")
    assert loss_of(Align(coral, 0.0), model, batch).item() == pytest.approx(own_losses(model, batch)["source"])


def names_that_train(model: Network) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_frozen_trains_the_target_s_vectors_and_the_gates_only():
    """The words and the source's vectors neither ask for a gradient nor move under the optimiser."""
    model, batch = build(), batches("source", "target")
    method = build_tune(cfg.Frozen(kind="frozen"), DIM)
    method.initialise(model, None)
    wanted = {"items.domains.near.own.weight", "encoder.gates.far", "encoder.gates.near"}
    assert names_that_train(model) == wanted
    before = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    optimizer = TransferModule(model, method, 0.1, None).configure_optimizers()
    loss_of(method, model, batch).backward()
    optimizer.step()
    assert {name for name, tensor in model.named_parameters() if not torch.equal(tensor, before[name])} == wanted


@pytest.mark.parametrize("choice", [one for one in CHOICES if one.kind != "frozen"], ids=lambda one: one.name)
def test_all_others_train_everything(choice):
    """Only `frozen` leaves weights out."""
    model = build()
    everything = names_that_train(model)
    method_of(choice).initialise(model, None)
    assert names_that_train(model) == everything


def test_l2sp_adds_the_squared_distance_from_the_start():
    """Loss = L_target + weight * sum over what came from the start, by NumPy, with its gradient beside the loss's."""
    model, batch = build(), batches("target")
    start = {name: tensor + 0.5 for name, tensor in model.shared_state().items() if "near" not in name}
    start["items.words.weight"] = start["items.words.weight"] * 2
    method = build_tune(cfg.L2Sp(kind="l2sp", weight=3.0), DIM)
    method.initialise(model, start)
    assert loss_of(method, model, batch).item() == pytest.approx(own_losses(model, batch)["target"])  # not yet moved
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.add_(0.25)
    held = sum(tensor.numel() for tensor in start.values())
    expected = own_losses(model, batch)["target"] + 3.0 * 0.25**2 * held
    assert held < sum(tensor.numel() for tensor in model.parameters())
    assert loss_of(method, model, batch).item() == pytest.approx(expected, rel=1e-5)
    method.penalty(model, [Outputs(batch[0], model.encode(batch[0].inputs))]).backward()
    for name, tensor in model.named_parameters():
        wanted = np.full(tensor.shape, 2 * 3.0 * 0.25) if name in start else None
        assert (tensor.grad is None) == (wanted is None)
        if wanted is not None:
            np.testing.assert_allclose(tensor.grad, wanted, rtol=1e-4)


def test_one_optimiser_step_is_adagrad_by_row():
    """The first step is lr * g / (sqrt(g^2) + eps) on the rows that the batch touched; the others stay."""
    model, batch = build(text=False), batches("source", "target")
    method = build_tune(cfg.FineTune(kind="fine_tune"), DIM)
    table = model.items.own("near").weight
    before = table.detach().clone()
    optimizer = TransferModule(model, method, 0.1, None).configure_optimizers()
    loss_of(method, model, batch).backward()
    assert table.grad.is_sparse
    gradient = table.grad.to_dense()
    optimizer.step()
    torch.testing.assert_close(table.detach(), before - 0.1 * gradient / (gradient.abs() + 1e-10))
