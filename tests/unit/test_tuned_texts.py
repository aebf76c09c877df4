"""Texts read by an encoder whose last layers train: which weights move, what is saved, what can go wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from pipeline import config as cfg
from pipeline.errors import UserError
from pipeline.models import loaded as loaders
from pipeline.models.encoded import Reader
from pipeline.models.example_batches import ExampleRows
from pipeline.models.load import load_ranker
from pipeline.models.low_rank import LowRankLinear, whole_weights, widen
from pipeline.models.network import Network
from pipeline.models.ragged import Ragged
from pipeline.models.sides import Rows
from pipeline.models.tabular import TUNED_ROWS, TabularLearner
from pipeline.training.fit import fit
from pipeline.transfer.methods import build_tune
from pipeline.views import ClassLabel, Features, View
from tests.contract.test_tabular_tunes import ending
from tests.contract.test_tunes import KilledError, same
from tests.encoders import LIMIT, WORDS, save_encoder
from tests.examples import view_of

pytest.importorskip("transformers", reason="the extra 'text' is not installed")
from pipeline.models.encoders.tuned_texts import TunedTexts
from pipeline.models.pretrained import PretrainedEncoder, loaded

GOOD, BAD = "a lovely clean room", "a dirty noisy room"
ASKED = [GOOD, BAD, "", None, " \n", "房间很好", "a lovely room " * 7000, "oak"]
TRAINING = cfg.Training(epochs=3, learning_rate=0.01)
PLACE = "encoder.layer.1."  # the last of two


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> PretrainedEncoder:
    return loaded(str(folder))


def features_of(*texts: str | None, **more: Any) -> Features:
    return Features(pd.DataFrame({"said": pd.Series(list(texts), dtype=object)}), {"said": "text"}, **more)


def reviews(encoder: PretrainedEncoder, domain: str = "d", good: str = GOOD, bad: str = BAD) -> View:
    known = {"text": encoder.encode([good, bad])}
    return view_of(
        domain,
        features_of(*[good, bad] * 40, embeddings=known),
        ClassLabel(np.array([1, 0] * 40), ("bad", "good"), "kind"),
    )


def settings_of(folder: Path, **more: Any) -> cfg.TrainSettings:
    model = cfg.TabularModel(kind="tabular", dim=8, words=64, blocks=1, encoder=str(folder), **{"tuned": 1, **more})
    task = cfg.BinaryTask(kind="binary", label="kind", features={"said": "text"})
    return cfg.TrainSettings(
        sources=("far",), target="d", target_labels=True, task=task, seed=0, bridges=(), model=model, training=TRAINING
    )


@pytest.fixture
def learner(folder: Path) -> TabularLearner:
    return TabularLearner(settings_of(folder))


def tuned_of(network: Network) -> TunedTexts:
    found = network.encoder.get_submodule("tuned")
    assert isinstance(found, TunedTexts)
    return found


def texts_of(folder: Path, encoder: PretrainedEncoder, count: int = 1) -> TunedTexts:
    """Made so that what it adds is the vector itself."""
    made = TunedTexts(Reader("text", str(folder), encoder.fingerprint, 32), {"said": "text"}, count, 32)
    nn.init.eye_(made.linear.weight)
    return made


def test_what_is_lent_is_another_model_of_the_same_weights(encoder: PretrainedEncoder) -> None:
    """Who encodes meanwhile in another thread meets the encoder's own, and nothing is there twice."""
    lent, own = dict(encoder.lending.named_parameters()), dict(encoder.model.named_parameters())
    assert all(lent[name] is one for name, one in own.items())
    assert not {id(one) for one in encoder.lending.modules()} & {id(one) for one in encoder.model.modules()}


@pytest.mark.parametrize("count", [1, 2])
def test_before_training_it_says_what_the_encoder_says(folder: Path, encoder: PretrainedEncoder, count: int) -> None:
    """Of length sqrt(E), at any length of a text; nothing of an empty one, and nothing that is not a number."""
    made = texts_of(folder, encoder, count)
    said = made(made.read(features_of(*ASKED)))[:, 0].detach().numpy()
    expected = np.zeros((len(ASKED), 32), np.float32)
    there = [place for place, one in enumerate(ASKED) if one and one.strip()]
    expected[there] = encoder.encode([str(ASKED[place]) for place in there]).vectors
    np.testing.assert_allclose(said, expected * 32**0.5, atol=5e-3)
    assert not said[2:5].any()
    assert made(made.read(features_of())).shape == (0, 1, 32)


def test_parts_are_cut_once(folder: Path, encoder: PretrainedEncoder) -> None:
    """A batch picks lists of numbers, and the longest has as many as the encoder reads."""
    [read] = texts_of(folder, encoder).read(features_of(*ASKED)).values()
    assert isinstance(read, Ragged)
    assert read.starts.diff().tolist() == [6, 6, 0, 0, 0, 6, LIMIT, 3]
    picked = read[torch.tensor([7, 2, 0])]
    assert picked.places.tolist() == [2, WORDS.index("oak"), 3, 2, *[WORDS.index(one) for one in GOOD.split()], 3]


def test_its_layers_learn_and_what_lies_below_does_not(
    learner: TabularLearner, encoder: PretrainedEncoder, tmp_path: Path
) -> None:
    """Every weight of the last layer gets a gradient and moves; the encoder, which all share, stays to the bit."""
    before, said = {name: one.clone() for name, one in encoder.model.state_dict().items()}, encoder.encode([GOOD])
    network, rows = learner.tune({"d": reviews(encoder)}, cfg.Strategy(tune={"kind": "scratch"}))
    own = whole_weights(tuned_of(network).layers[0])
    assert all(torch.equal(own[name.removeprefix(PLACE)], one) for name, one in before.items() if PLACE in name)
    fit(network, build_tune(cfg.Scratch(kind="scratch"), 8), rows, TRAINING, tmp_path, seed=0)
    now = whole_weights(tuned_of(network).layers[0])
    moved = {name: (one - before[PLACE + name]).abs().max().item() for name, one in now.items()}
    assert min(moved[name] for name in moved if name != "attention.self.key.bias") > 1e-5  # softmax does not see it
    assert max(moved.values()) < 0.01  # at a smaller rate than what is drawn
    assert all(torch.equal(one, before[name]) for name, one in encoder.model.state_dict().items())
    np.testing.assert_array_equal(encoder.encode([GOOD]).vectors, said.vectors)


def test_the_pretrained_weights_have_a_rate_of_their_own(learner: TabularLearner, encoder: PretrainedEncoder) -> None:
    """A twentieth; what low-rank products add is as new as a head."""
    network, _ = learner.tune({"d": reviews(encoder)}, cfg.Strategy(tune={"kind": "scratch"}))
    groups = network.encoder.optimizer(network.parameters(), 0.01).param_groups
    assert [group["lr"] for group in groups] == [0.01, pytest.approx(0.0005)]
    own = {id(one) for one in tuned_of(network).layers.parameters()}
    assert {id(one) for one in groups[1]["params"]} == own
    widen(network.encoder, 2)
    groups = network.encoder.optimizer(network.parameters(), 0.01).param_groups
    assert {id(one) for one in groups[1]["params"]} == own
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))


def test_low_rank_products_are_part_of_what_is_said(folder: Path, encoder: PretrainedEncoder) -> None:
    """As if each were added to its weight."""
    made = texts_of(folder, encoder)
    plain = made(inputs := made.read(features_of(*ASKED)))
    widen(made.layers, 2)
    torch.testing.assert_close(made(inputs), plain)
    for layer in made.layers.modules():
        if isinstance(layer, LowRankLinear):
            nn.init.normal_(layer.up, std=0.1)
    for name, layer in made.layers[0].named_modules():
        if isinstance(layer, LowRankLinear):
            expected = layer.weight + layer.up @ layer.down
            torch.testing.assert_close(whole_weights(made.layers[0])[f"{name}.weight"], expected)
    assert (made(inputs) - plain)[0].abs().max() > 0.01


def fitted(learner: TabularLearner, views: dict[str, View], tune: Any, work: Path) -> tuple[Network, Rows]:
    strategy = cfg.Strategy(tune=tune)
    start, _ = learner.tune(views, cfg.Strategy(tune={"kind": "fine_tune"}))
    network, rows = learner.tune(views, strategy)
    method = build_tune(strategy.tune, 8)
    method.initialise(network, start.shared_state() if strategy.start != "random" else None)
    fit(network, method, rows, TRAINING, work, seed=0)
    return network, rows


@pytest.mark.parametrize("kind", ["frozen", "lora", "joint"])
def test_a_fit_goes_on_to_the_same_result(
    learner: TabularLearner, encoder: PretrainedEncoder, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended in the middle of an epoch it ends with the undisturbed weights, and repeats; `frozen` leaves the layer."""
    views = {"d": reviews(encoder), "far": reviews(encoder, "far", "friendly staff", "rude staff")}
    whole, _ = fitted(learner, views, {"kind": kind}, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(ExampleRows, "batch", ending(ExampleRows.batch))
        with pytest.raises(KilledError):
            fitted(learner, views, {"kind": kind}, tmp_path / "killed")
    torch.manual_seed(77)
    network, rows = fitted(learner, views, {"kind": kind}, tmp_path / "killed")
    assert same(whole, network)
    assert all(len(one.batch(0, 0).weights_B) <= TUNED_ROWS for one in rows.labelled)
    weights = whole_weights(tuned_of(network).layers[0])
    moved = [not torch.equal(one, encoder.model.state_dict()[PLACE + name]) for name, one in weights.items()]
    assert any(moved) == (kind != "frozen")


def test_a_package_carries_the_layers_that_trained(
    learner: TabularLearner, encoder: PretrainedEncoder, folder: Path, tmp_path: Path
) -> None:
    """And says the same with the encoder that it names; its explanation adds up, and another encoder is refused."""
    network, _ = fitted(learner, {"d": reviews(encoder), "far": reviews(encoder, "far")}, {"kind": "lora"}, tmp_path)
    estimator = learner.predictor(network, {})
    estimator.save(tmp_path)
    again = load_ranker(tmp_path)
    asked = features_of(*ASKED)
    told = again.raw(asked)
    np.testing.assert_array_equal(told, estimator.raw(asked))
    assert told[0, 1] - told[0, 0] > 0 > told[1, 1] - told[1, 0]
    np.testing.assert_array_equal(told[2:5], told[[2, 2, 2]])
    theirs = sum(one.numel() for name, one in again.network.state_dict().items() if ".tuned.layers." in name)
    assert theirs == sum(one.numel() for one in encoder.model.encoder.layer[1].parameters())
    parts = again.parts(asked, np.tile([-1.0, 1.0], (len(ASKED), 1))).features.sum(axis=1)
    said = told[:, 1] - told[:, 0]
    np.testing.assert_allclose(parts - parts[2], said - said[2], rtol=0.05)
    assert {"tokenizers", "transformers"} <= {*again.needs}
    save_encoder(folder, seed=1)
    loaded.cache_clear()
    with pytest.raises(UserError, match=r"the model was made with .* and the one here is"):
        load_ranker(tmp_path)
    save_encoder(folder)
    loaded.cache_clear()


def test_layers_that_are_not_there_are_refused(folder: Path, encoder: PretrainedEncoder) -> None:
    """With how many there are."""
    with pytest.raises(UserError, match="has 2 layers, got 3"):
        texts_of(folder, encoder, 3)
    with pytest.raises(ValueError, match="tuned: expected beside `encoder`"):
        cfg.TabularModel(kind="tabular", tuned=1)


def architectures() -> dict[str, Callable[[], Any]]:
    import transformers as hf

    sizes = {"vocab_size": len(WORDS), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
             "intermediate_size": 64, "max_position_embeddings": LIMIT + 2}  # fmt: skip
    distil = {"vocab_size": len(WORDS), "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}
    return {
        "roberta": lambda: hf.RobertaModel(hf.RobertaConfig(**sizes), add_pooling_layer=False),
        "mpnet": lambda: hf.MPNetModel(hf.MPNetConfig(**sizes), add_pooling_layer=False),
        "distilbert": lambda: hf.DistilBertModel(hf.DistilBertConfig(**distil)),
        "modernbert": lambda: hf.ModernBertModel(hf.ModernBertConfig(**sizes, pad_token_id=0)),
        "albert": lambda: hf.AlbertModel(hf.AlbertConfig(**sizes, embedding_size=8), add_pooling_layer=False),
    }


@pytest.mark.parametrize("kind", ["roberta", "mpnet", "distilbert", "modernbert", "albert"])
def test_other_architectures_are_tuned_alike(
    encoder: PretrainedEncoder, folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their last layer takes the place of their own; where all layers are one there is none to train."""
    torch.manual_seed(0)
    other = PretrainedEncoder(encoder.fingerprint, encoder.tokenizer, architectures()[kind](), LIMIT)
    monkeypatch.setitem(loaders.LOADERS, "text", lambda name: other)
    if kind == "albert":
        with pytest.raises(UserError, match="no list of 2 layers"):
            texts_of(folder, encoder)
        return
    made = texts_of(folder, encoder)
    said = made(inputs := made.read(features_of(GOOD, BAD, "oak")))[:, 0]
    np.testing.assert_allclose(said.detach(), 32**0.5 * other.encode([GOOD, BAD, "oak"]).vectors, atol=2e-2)
    said[:, 0].sum().backward()
    assert all(one.grad is not None and torch.isfinite(one.grad).all() for one in made.layers.parameters())
    with torch.no_grad():
        for one in made.layers.parameters():
            one.mul_(1.5)
    assert (made(inputs)[:, 0] - said).abs().max() > 0.01
