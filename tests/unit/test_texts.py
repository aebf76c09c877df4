"""Features that are texts: words, weights, what models make of them, copies, and what a scenario may ask."""

import time
import unicodedata

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from scipy import sparse

from pipeline import config as cfg
from pipeline.data.tokens import plain_texts, stable_hash, text_hashes, title_hashes, title_names
from pipeline.models.encoded import Reader, vector_owners, widths
from pipeline.models.encoders.tabular import WORDS, TabularEncoder, quantiles, rarity
from pipeline.models.feature_values import Values
from pipeline.models.linear import LinearEstimator
from pipeline.models.ragged import Ragged
from pipeline.models.sample import Sample
from pipeline.models.words import weighted
from pipeline.rows.examples.contents import Contents
from pipeline.rows.examples.explaining import explanations
from pipeline.rows.examples.prepared import Examples
from pipeline.scenarios import load_scenario
from pipeline.views import ClassLabel, Features
from tests.examples import view_of

GOOD, BAD = "a lovely clean room", "a dirty noisy room"


def features_of(*texts: str | None, **others: list[str | None]) -> Features:
    columns = {"said": list(texts), **others}
    table = pd.DataFrame({name: pd.Series(one, dtype=object) for name, one in columns.items()})
    return Features(table, dict.fromkeys(columns, "text"))


def pieces_of(text: str | None) -> list[str]:
    """Every four letters of each longer word, by hand."""
    found = []
    for word in str(text or "").lower().split():
        for start in range(len(word) - 3 if len(word) > 4 else 0):
            end = start + 4
            found.append(("…" if start else "") + word[start:end] + ("…" if end < len(word) else ""))
    return found


def words_of(text: str | None) -> list[int]:
    return sorted(text_hashes(pd.Series([text], dtype=object))[0].tolist())


def fitted(buckets: int = 1 << 18) -> LinearEstimator:
    """Good rooms and bad ones."""
    features, label = features_of(*[GOOD, BAD] * 10), ClassLabel(np.array([0, 1] * 10), ("bad", "good"), "kind")
    sample = Sample.of({"d": view_of("d", features, label)}, {"d": 1.0}, "d")
    return LinearEstimator.fit(sample, buckets=16, words=buckets, regularization=0.1)


@pytest.mark.parametrize("same", ["TV, 55 inch", "tv: 55-INCH!", " \uff54\uff56\n\uff15\uff15 inch", "(tv) 55... inch"])
def test_case_width_and_signs_are_no_matter(same):
    """Of words and of pairs; the same texts are plainly the same."""
    assert words_of(same) == words_of("tv 55 inch")
    assert plain_texts(pd.Series([same], dtype=object)).tolist() == ["tv 55 inch"]


def test_words_and_pairs_are_counted():
    """Three words and two pairs, whose order matters; each text has its own, and none ends in the next."""
    hashes, rows, counts = text_hashes(pd.Series(["red big tv", None, "", "tv red"], dtype=object))
    assert np.bincount(rows, minlength=4).tolist() == [5, 0, 0, 3]
    assert counts.tolist() == [1.0] * 8
    one, other = (set(hashes[rows == row].tolist()) for row in (0, 3))
    assert len(one & other) == 2  # red, tv
    assert set(words_of("red tv")) - set(words_of("tv red"))


@pytest.mark.parametrize(
    "titles",
    [["Smart phones 64GB", None, "", "abcd abcde"], [], [None], ["\u00dcberzug", "U\u0308berzug"], ["手机 手机壳"]],
)
def test_a_title_is_read_by_pieces_of_its_words_too(titles):
    """Words and pairs as of a text, and then the pieces, which are no words; names and hashes stand in one order."""
    given = pd.Series(titles, dtype=object)
    hashes, rows, counts = title_hashes(given)
    names, plain = title_names(given), text_hashes(given)
    assert [hashes[: len(plain[0])].tolist(), rows[: len(plain[1])].tolist()] == [one.tolist() for one in plain[:2]]
    composed = [unicodedata.normalize("NFC", one or "") for one in titles]
    expected = [(row, piece) for row, one in enumerate(composed) for piece in pieces_of(one)]
    assert sorted(zip(rows[len(plain[0]) :].tolist(), names[len(plain[0]) :], strict=True)) == sorted(expected)
    assert hashes[len(plain[0]) :].tolist() == stable_hash(pd.Index(names[len(plain[0]) :], dtype=object)).tolist()
    assert (counts == 1).all()
    assert len(names) == len(hashes) == len(counts)


@pytest.mark.parametrize(("kind", "known"), [("text", False), ("title", True)])
def test_a_word_that_nobody_met_is_known_by_its_pieces(kind, known):
    """Telephones are phones: of a text nothing is known of them. What says so is named as it is."""
    table = pd.DataFrame({"said": ["blue phones", "red shirts"] * 10})
    label = ClassLabel(np.array([1, 0] * 10), ("shirt", "phone"), "kind")
    sample = Sample.of({"d": view_of("d", Features(table, {"said": kind}), label)}, {"d": 1.0}, "d")
    estimator = LinearEstimator.fit(sample, buckets=16, words=1 << 18, regularization=0.1)
    asked = Features(pd.DataFrame({"said": ["telephones"]}), {"said": kind})
    assert (estimator.probabilities(asked)[0, 1] > 0.7) is np.bool_(known)
    parts = estimator.explained(asked)
    [told] = explanations(asked, parts.features, parts.words, 2)
    assert ('said "…hone…" +' in told) == known
    assert known or not told  # nothing that it knows is a reason, and that is no error


def test_an_encoder_reads_titles_as_texts():
    """A scenario of titles alone may name one; one of numbers may not."""
    raw = load_scenario("product_classification").model_dump(mode="json")
    raw["task"]["features"], raw["model"]["encoder"] = {"title": "title"}, "minilm"
    assert cfg.Scenario.model_validate(raw).model.encoders == {"text": "minilm"}
    raw["task"]["features"] = {"title": "category"}
    with pytest.raises(ValidationError, match="reads features of the type text or title, and the task names none"):
        cfg.Scenario.model_validate(raw)


def test_the_vectors_of_a_title_are_those_of_its_text():
    """It is among what is encoded, and its columns stand in the order of the features."""
    task = cfg.BinaryTask(kind="binary", label="sold", features={"name": "title", "pages": "number", "said": "text"})
    frame = pd.DataFrame({"name": ["Red TV", None], "pages": 1.0, "said": ["new", "new"]})
    assert Examples(task, {"d": frame}, "d").contents("text") == ["Red TV", "new"]
    reader = Reader("text", "minilm", "f", 3)
    assert vector_owners(task.features, (reader,)).tolist() == [0, 2]
    assert widths(task.features, (reader,)) == [3, 3]


@pytest.mark.parametrize(("text", "letters"), [("华为手机", 4), ("カメラ", 3), ("ตู้เย็น", 7), ("华为 P30", 3)])
def test_scripts_without_blanks_are_read_by_letter(text, letters):
    """Each letter and every two of them; beside them words stay words."""
    assert len(words_of(text)) == 2 * letters - 1


def test_each_text_of_a_row_has_length_one():
    """A long one does not drown a short one; the same word in two columns is two words; nothing given is changed."""
    values = Values.of(features_of("oak table with six chairs", "oak", None, more=["oak", None, None]))
    before = [one.copy() for one in values.words]
    found = weighted(values.words, np.ones(1 << 20))
    assert np.asarray(found.multiply(found).sum(axis=1)).ravel() == pytest.approx([2, 1, 0])
    assert all((one != other).nnz == 0 for one, other in zip(values.words, before, strict=True))
    assert found[0].nnz == 10


def test_words_that_nobody_met_are_left_out():
    """They change no answer; a text without any word that is known is like an empty one."""
    estimator = fitted()
    said = estimator.probabilities(features_of("lovely", "lovely zebra xylophone", "zebra", "", None))[:, 0]
    assert said[0] == said[1] > 0.6
    assert said[2:].tolist() == [said[2]] * 3
    assert len(estimator.slope) == 16 + len(set(words_of(GOOD)) | set(words_of(BAD)))


def test_a_text_of_a_hundred_kilobytes_is_a_text():
    """Read at once, in any script, and no answer but a number comes of it."""
    estimator, long = fitted(), [f"{GOOD} " * 5000, "房" * 33_000, "x" * 100_000]
    begun = time.perf_counter()
    assert np.isfinite(estimator.probabilities(features_of(*long))).all()
    assert time.perf_counter() - begun < 5
    assert estimator.probabilities(features_of(long[0]))[0, 0] > 0.6


def test_rows_of_ragged_lists_are_those_of_the_matrix():
    """Any of them, in any order, also twice and empty ones."""
    dense = np.random.default_rng(0).random((9, 30))
    dense[3] = 0
    matrix = sparse.csr_matrix(np.where(dense > 0.8, dense, 0))
    places = [4, 3, 0, 8, 4]
    rows = Ragged.of(matrix)[torch.tensor(places)]
    made = sparse.csr_matrix((rows.weights, rows.places, rows.starts), shape=(5, 30))
    np.testing.assert_allclose(made.toarray(), matrix.toarray()[places], rtol=1e-6)
    assert len(rows) == 5


def test_the_network_reads_words_by_their_weights():
    """The sum of the vectors of words by TF-IDF; a word that trained nothing yet adds nothing."""
    features = features_of(GOOD, BAD, "zebra", None)
    model = cfg.TabularModel(kind="tabular", dim=4, words=1 << 12, blocks=0)
    values = [Values.of(features)]
    encoder = TabularEncoder(model, features.types, quantiles(values, model.bins), rarity(values, model.words))
    assert encoder.words is not None
    read = encoder.read(features)
    silent = encoder.combine(read).detach()
    assert torch.equal(silent, silent[3].expand(4, 4))
    with torch.no_grad():
        encoder.words.weight.normal_()
    weights = weighted(values[0].words, encoder.idf.numpy()).toarray()
    expected = torch.from_numpy(weights).float() @ encoder.words.weight + silent
    torch.testing.assert_close(encoder.combine(read), expected)
    assert len(read[WORDS]) == 4


def test_texts_alone_tell_rows_apart_where_they_are_long():
    """The same review twice is a copy, and in capitals nearly one; two words may come twice by chance."""
    texts = [
        "We stayed for one night and liked it.",
        "we STAYED for one night,  and liked it",
        "Very good!",
        "very good",
    ]
    features, label = features_of(*texts), pd.Series(["yes"] * 4)
    exact, near = Contents.exact(features, label), Contents.near(features, label)
    assert len(set(exact.row.tolist())) == 4
    assert near.row[0] == near.row[1]
    assert near.row[2] == near.row[3]
    assert near.told_apart.tolist() == [True, True, False, False]


def scenario(**changes) -> cfg.Scenario:
    given = {
        "name": "mine", "title": "Mine", "sources": ["a"], "target": "b", "bridges": ["features"],
        "tables": {"examples": [{"path": "a.csv"}]}, "split": {"kind": "hash"},
        "task": {"kind": "binary", "label": "sold", "features": {"said": "text"}},
        "strategies": [{"tune": {"kind": "scratch"}}], "baselines": [{"kind": "linear"}],
    }  # fmt: skip
    return cfg.Scenario.model_validate({**given, **changes})


def test_what_sees_no_feature_is_refused():
    """Trees look at no text; beside another feature they are let."""
    assert scenario().task.features == {"said": "text"}
    trees = [{"kind": "linear"}, {"kind": "boosting"}]
    with pytest.raises(ValidationError, match=r"baselines: boosting looks at no text, and .* said; leave it out"):
        scenario(baselines=trees)
    task = {"kind": "binary", "label": "sold", "features": {"said": "text", "price": "number"}}
    assert len(scenario(baselines=trees, task=task).baselines) == 2


def test_results_are_not_shown_by_texts():
    """There would be a slice for each row."""
    task = {"kind": "binary", "label": "sold", "features": {"said": "text"}, "slices": ["said"]}
    with pytest.raises(ValidationError, match="slices: said is made of words or a picture, and hardly two rows"):
        scenario(task=task)
