"""What is said of items: neighbours by descriptions, and vectors of a pretrained encoder in the space of items."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from pipeline import config as cfg
from pipeline.config.encoders import under_one
from pipeline.data.embeddings import Embeddings, key_of
from pipeline.data.item_names import item_texts
from pipeline.errors import UserError
from pipeline.models.baselines import candidates, fit_baseline
from pipeline.models.build import build_network
from pipeline.models.content import ContentKnnRanker
from pipeline.models.items import Catalogue
from pipeline.models.lanes import ItemLearner
from pipeline.models.load import load_ranker
from pipeline.models.network_ranker import NetworkRanker
from pipeline.models.stack import Stack
from pipeline.past import Past
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.scenarios import load_scenario
from pipeline.views import ItemLabel
from tests.views import labelled_views

TITLES = ["Red wool hat", "Blue wool scarf", "Oak table", "Oak chair, red", None]
TAKEN = np.array([[1, 0, 0, 0, 0], [0, 0, 2, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]], dtype=np.float32)


def catalogue(titles: list[str | None]) -> pd.DataFrame:
    return pd.DataFrame({"item_id": [f"i{place}" for place in range(len(titles))], "title": titles})


def told(texts: pd.Series, dim: int = 6) -> Embeddings:
    """Vectors of length one, as an encoder would give them."""
    distinct = sorted(set(texts) - {""})
    vectors = np.random.default_rng(1).normal(size=(len(distinct), dim))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    ones = np.ones(len(distinct), np.int32)
    return Embeddings("e", pd.Index([key_of(text) for text in distinct]), vectors, ones, 0 * ones, ones > 1)


def fitted(encoder: str | None = None, titles: list[str | None] = TITLES) -> ContentKnnRanker:
    frame = catalogue(titles)
    views = labelled_views({"near": sparse.csr_matrix(TAKEN)})
    label = ItemLabel(views["near"].label.value, frame, views["near"].label.seen, embeddings=told(item_texts(frame)))
    views["near"] = replace(views["near"], labels=(label,))
    config = cfg.ContentKnn(kind="content_knn", encoder=encoder)
    ranker = fit_baseline(config, views, "near", next(candidates(config)), 0)
    assert isinstance(ranker, ContentKnnRanker)
    return ranker


def cosines(described: np.ndarray) -> np.ndarray:
    """Of what is said of the histories' items, added up, with that of each item."""
    norms = np.linalg.norm(described, axis=1, keepdims=True)
    unit = np.divide(described, norms, out=np.zeros_like(described), where=norms > 0)
    profile = TAKEN @ unit
    lengths = np.linalg.norm(profile, axis=1, keepdims=True)
    return np.divide(profile, lengths, out=np.zeros_like(profile), where=lengths > 0) @ unit.T


def test_words_weigh_what_scikit_learn_says() -> None:
    """TF-IDF of words and pairs; no text and no history score 0."""
    texts = ["" if title is None else title for title in TITLES]
    weights = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+").fit_transform(texts)
    scores = fitted().scores({"near": sparse.csr_matrix(TAKEN)})
    np.testing.assert_allclose(scores, cosines(weights.toarray()), atol=1e-5)
    assert not scores[2:].any()
    assert scores[0, 1] > 0 == scores[0, 2]  # an item that nobody took


def test_meanings_take_the_place_of_words() -> None:
    """The same with the encoder's vectors."""
    frame = catalogue(TITLES)
    vectors, known = told(item_texts(frame)).of(item_texts(frame))
    assert known.tolist() == [True] * 4 + [False]
    scores = fitted("/models/own").scores({"near": sparse.csr_matrix(TAKEN)})
    np.testing.assert_allclose(scores, cosines(vectors), atol=1e-5)


def test_a_source_describes_what_the_target_does_not() -> None:
    """Of an item that both have: the target's text where it has one, else the source's."""
    near, far = catalogue(["Oak table", None, "Wool hat"]), catalogue(["Red hat", "Oak chair"])
    views = labelled_views({"near": sparse.eye(3, dtype=np.float32, format="csr")})
    labels = {name: ItemLabel(np.zeros(0, int), one, views["near"].label.seen) for name, one in
              (("near", near), ("far", far))}  # fmt: skip
    stack = Stack(("near", "far"), (1.0, 1.0), (np.arange(3), np.arange(2)))
    scores = ContentKnnRanker.fit(stack, labels, encoder=None).scores({"near": views["near"].label.seen[:1]})
    assert scores[0, 1] > 0 == scores[0, 2]  # oak, and not a hat


def test_a_catalogue_without_titles_is_refused() -> None:
    """When it is fitted, with what to do: the table is there, and its titles are empty."""
    with pytest.raises(UserError, match="no item of near has one, nor a category; name the column `title`"):
        fitted(titles=[None] * 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"encoder": "minilm"}}, "model: encoder: minilm reads titles of items, and tables name no items"),
        ({"baselines": [{"kind": "content_knn"}]}, "baselines: content_knn reads titles of items"),
        ({"baselines": [{"kind": "content_knn", "encoder": "minilm"}]}, "content_knn_minilm: encoder: minilm reads"),
    ],
)
def test_a_scenario_without_items_is_refused(changes: dict, message: str) -> None:
    """What reads titles is no use without a table of them."""
    with pytest.raises(ValueError, match=message):
        cfg.Scenario.model_validate(load_scenario("cross_platform_de").model_dump(mode="json") | changes)


def test_two_encoders_are_refused() -> None:
    """One reads all texts of a scenario; another may read its pictures."""
    assert under_one([{"text": "minilm"}, {}, {"image": "efficientnet"}]) == {"text": "minilm", "image": "efficientnet"}
    with pytest.raises(ValueError, match="of the type text by the same one, got /other and minilm"):
        under_one([{"text": "minilm"}, {}, {"text": "/other"}])


def test_a_text_is_title_and_category() -> None:
    """What is missing adds nothing, not even a blank."""
    items = pd.DataFrame({"title": ["a b", None, None], "category": ["c", "d", None]})
    assert item_texts(items).tolist() == ["a b c", "d", ""]
    assert item_texts(items[[]]).tolist() == ["", "", ""]


def network(meanings: dict[str, np.ndarray]) -> NetworkRanker:
    torch.manual_seed(0)
    catalogues = {name: Catalogue(np.ones(len(one)), None, None, one) for name, one in meanings.items()}
    config = cfg.HistoryModel(dim=4, text_buckets=16, encoder="minilm")
    return NetworkRanker.of(build_network(config, catalogues, "near"), "near", prior_weight=0.0)


def test_meanings_are_added_to_own_vectors_and_saved(tmp_path: Path) -> None:
    """An item is own + U e; who loads the model needs no encoder."""
    said = {name: np.random.default_rng(place).normal(size=(3, 6)).astype(np.float16)
            for place, name in enumerate(("far", "near"))}  # fmt: skip
    ranker = network(said)
    items = ranker.network.items
    assert items.meanings is not None
    expected = items.own("near").weight.detach().numpy() + said["near"] @ items.meanings.weight.detach().numpy().T
    with torch.no_grad():
        found = items.vectors("near", torch.arange(3)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    ranker.save(tmp_path)
    asked = Past({"far": sparse.csr_matrix(np.eye(3, dtype=np.float32))})
    np.testing.assert_array_equal(load_ranker(tmp_path).scores(asked), ranker.scores(asked))


ROWS = pd.DataFrame(
    [["u", "i0", 0], ["u", "i1", 1], ["v", "i2", 0], ["v", "i3", 2]], columns=["user_id", "item_id", "part"]
)


def domains() -> Domains:
    def domain(name: str) -> DomainData:
        return DomainData.build(name, ROWS, catalogue([*TITLES[:4], "Lamp", None]), 1.0)

    return Domains((domain("far"),), domain("near"))


@pytest.mark.parametrize(("dropout", "near", "far"), [(0.0, 6, 6), (0.5, 3, 4)])
def test_what_nobody_took_is_read_by_its_words_alone(dropout: float, near: int, far: int) -> None:
    """Where words are to stand for items: of the target as far as is known, of a source as its model was taught."""
    value = load_scenario("no_common_users").model_dump(mode="json") | {"sources": ["far"], "target": "near"}
    value["tables"] = None
    value |= {"embedded": {}, "model": {"kind": "history", "dim": 4, "own_dropout": dropout}, "baselines": [
        {"kind": "popularity"}]}  # fmt: skip
    scenario = cfg.Scenario.model_validate(value)
    learner = ItemLearner(cfg.TrainSettings.of(scenario))
    views = domains().training({"near"})
    joint = next(one for one in scenario.strategies if one.name == "joint")
    made, _ = learner.tune(views, joint)
    assert made.items.own("near").num_embeddings == near  # i0, i2 and the one without a title
    assert made.items.own("far").num_embeddings == far  # i1, which chooses, too
    taught, _ = learner.pretrain({"far": domains().training({"far", "near"})["far"]})
    assert taught.items.own("far").num_embeddings == far
    assert made.items.known("near").all()


def test_texts_of_domains_are_encoded_once() -> None:
    """Different ones, in the order of their letters, and none that is empty."""
    assert domains().contents("text") == sorted([title for title in TITLES if title] + ["Lamp"])


def test_descriptions_stand_side_by_side() -> None:
    """A stack of two domains has the target's first."""
    labels = {name: ItemLabel(np.zeros(0, np.int64), catalogue([title]), sparse.csr_matrix((1, 1)))
              for name, title in (("far", "oak"), ("near", "oak table"))}  # fmt: skip
    past = {name: sparse.csr_matrix(np.ones((1, 1), np.float32)) for name in labels}
    ranker = ContentKnnRanker.fit(Stack.of(past, "near", 1.0), labels, encoder=None)
    assert ranker.scores({"far": past["far"]})[0, 0] > 0
