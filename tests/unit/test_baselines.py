"""Baselines against direct NumPy formulas."""

from typing import get_args

import numpy as np
import pytest
from scipy import sparse

from pipeline import config as cfg
from pipeline.models.baselines import BASELINES, candidates, fit_baseline
from pipeline.models.ease import EaseRanker
from pipeline.models.factors import BlendRanker, IalsRanker
from pipeline.models.load import load_ranker
from pipeline.models.neighbours import ItemKnnRanker, PopularityRanker, UserKnnRanker, largest_per_row
from pipeline.models.stack import Stack, pack, unpack
from pipeline.past import Past
from tests.views import labelled_views, titled

TARGET, SOURCE, WEIGHT, REG = 9, 7, 0.4, 3.0


def taken(users: int, items: int, seed: int) -> sparse.csr_matrix:
    """Binary rows; the first user is empty."""
    dense = (np.random.default_rng(seed).random((users, items)) < 0.3).astype(np.float32)
    dense[0] = 0
    return sparse.csr_matrix(dense)


def toy(users: int, seed: int = 1) -> dict[str, sparse.csr_matrix]:
    return {"far": taken(users, SOURCE, seed), "near": taken(users, TARGET, seed + 1)}


def stacked(histories) -> np.ndarray:
    """The target's columns, then the weighted source's; float64."""
    return np.hstack([histories["near"].toarray(), WEIGHT * histories["far"].toarray()]).astype(np.float64)


def cosine(rows: np.ndarray) -> np.ndarray:
    """Cosine between all pairs of rows; zero with an empty one."""
    norms = np.linalg.norm(rows, axis=1)
    norms[norms == 0] = 1
    return (rows / norms[:, None]) @ (rows / norms[:, None]).T


def idf(matrix: np.ndarray) -> np.ndarray:
    return np.maximum(np.log(len(matrix) / (1 + (matrix > 0).sum(axis=0))), 0)


def ease_weights(X: np.ndarray) -> np.ndarray:
    """B of Steck (2019), by a plain inverse."""
    P = np.linalg.inv(X.T @ X + REG * np.eye(X.shape[1]))
    return np.eye(len(P)) - P / np.diag(P)


def ease(histories, weight: float = WEIGHT) -> EaseRanker:
    return EaseRanker.fit(histories, Stack.of(histories, "near", weight), regularization=REG, max_side=100)


@pytest.mark.parametrize(("users", "dual"), [(12, True), (60, False)])
def test_ease_is_the_published_formula_in_both_forms(users, dual, monkeypatch):
    """Scores are X B, by an inverse over users where they are fewer and over items otherwise."""
    monkeypatch.setattr("pipeline.models.ease._STRIP", 4)  # several strips of columns, the last one shorter
    histories = toy(users)
    ranker = ease(histories)
    assert (ranker.taken is not None) == dual
    B = ease_weights(stacked(histories))
    np.testing.assert_allclose(ranker.scores(histories), (stacked(histories) @ B)[:, :TARGET], atol=2e-5)


@pytest.mark.parametrize("users", [12, 60])
def test_ease_of_the_target_alone_ignores_the_source(users):
    """With weight zero the source's columns are not in the formula."""
    histories = toy(users)
    X = histories["near"].toarray().astype(np.float64)
    np.testing.assert_allclose(ease(histories, 0.0).scores(histories), X @ ease_weights(X), atol=2e-5)


@pytest.mark.parametrize("users", [12, 60])
def test_ease_has_no_diagonal(users):
    """A history of one item gives that item no score."""
    ranker = ease(toy(users))
    one = {"near": sparse.eye(TARGET, format="csr", dtype=np.float32)}
    np.testing.assert_allclose(np.diag(ranker.scores(one)), 0.0, atol=2e-5)


def test_ease_scores_a_known_user_like_a_new_one(monkeypatch):
    """The row that is read off the inverse gives the scores that folding it in gives."""
    histories = toy(12)
    ranker = ease(histories)
    known = ranker.scores(histories)
    monkeypatch.setattr(ranker, "_keys", np.ones_like(ranker._keys))  # nobody is known any more
    folded = ranker.scores(histories)
    assert not np.array_equal(known, folded)  # two ways of computing
    np.testing.assert_allclose(known, folded, atol=2e-5)


def test_ease_folds_a_changed_history_in():
    """A user who took one item more is scored by the new row, beside users who are known."""
    histories = toy(12)
    changed = {name: matrix.tolil() for name, matrix in histories.items()}
    changed["near"][5, 0] = 1 - changed["near"][5, 0]
    changed = {name: sparse.csr_matrix(matrix) for name, matrix in changed.items()}
    expected = stacked(changed) @ ease_weights(stacked(histories))
    np.testing.assert_allclose(ease(histories).scores(changed), expected[:, :TARGET], atol=2e-5)


@pytest.mark.parametrize("told", ["", "1", "3", "2,1", "0", "many"])
def test_ease_scores_alike_by_any_number_of_threads(told, monkeypatch):
    """Whatever the variable holds of all that OpenMP allows, or of what it does not."""
    histories = toy(60)
    ranker = ease(histories)
    expected = ranker.scores(histories)
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert np.array_equal(ranker.scores(histories), expected)


@pytest.mark.parametrize(("most", "near"), [(12, TARGET), (TARGET - 2, TARGET - 2)])
def test_ease_keeps_the_memory_that_it_was_given(most, near, caplog, tmp_path):
    """Of more items than the limit it is EASE of the most frequent ones, the target's first, and says so."""
    histories = toy(60)
    X = stacked(histories)
    often = sorted(range(TARGET), key=lambda place: -(X[:, place] > 0).sum())
    others = sorted(range(TARGET, X.shape[1]), key=lambda place: -(X[:, place] > 0).sum())
    kept = sorted((often + others)[:most])
    ranker = EaseRanker.fit(histories, Stack.of(histories, "near", WEIGHT), regularization=REG, max_side=most)
    expected = np.zeros((60, TARGET))
    expected[:, kept[:near]] = (X[:, kept] @ ease_weights(X[:, kept]))[:, :near]
    np.testing.assert_allclose(ranker.scores(histories), expected, atol=2e-5)
    assert f"the most frequent {near} of the {TARGET} items of the target and {most - near} of others" in caplog.text
    ranker.save(tmp_path)
    assert np.array_equal(load_ranker(tmp_path).scores(histories), ranker.scores(histories))


def test_ease_of_more_than_one_block_is_symmetric(monkeypatch):
    """The mirrored blocks give the whole inverse."""
    monkeypatch.setattr("pipeline.models.ease._BLOCK", 4)
    histories = toy(60)
    X = stacked(histories)
    np.testing.assert_allclose(ease(histories).inverse, np.linalg.inv(X.T @ X + REG * np.eye(16)), atol=1e-5)
    few, X = toy(12), stacked(toy(12))
    np.testing.assert_allclose(ease(few).scores(few), (X @ ease_weights(X))[:, :TARGET], atol=2e-5)


def shrunk(X: np.ndarray, shrinkage: float) -> np.ndarray:
    """[I, I_t] similarity of each item to the target's, by the formula; none with itself."""
    weighted = X * idf(X.T)[:, None]
    norms = np.linalg.norm(weighted, axis=0)
    bottom = norms[:, None] * norms[:TARGET] + shrinkage
    similar = np.divide(weighted.T @ weighted[:, :TARGET], bottom, out=np.zeros_like(bottom), where=bottom > 0)
    similar[np.diag_indices(TARGET)] = 0
    return similar


@pytest.mark.parametrize("shrinkage", [0.0, 5.0])
def test_item_knn_is_the_shrunk_cosine_of_weighted_columns(shrinkage, monkeypatch):
    """With all neighbours kept, scores are the sum of the similarities to the history, itself left out."""
    monkeypatch.setattr("pipeline.models.neighbours._BLOCK", 5)
    histories = toy(30)
    X = stacked(histories)
    ranker = ItemKnnRanker.fit(histories, Stack.of(histories, "near", WEIGHT), neighbours=100, shrinkage=shrinkage)
    np.testing.assert_allclose(ranker.scores(histories), X @ shrunk(X, shrinkage), atol=1e-5)


def test_item_knn_keeps_the_nearest():
    """Each item speaks for the k most similar target items only."""
    histories = toy(30)
    X = stacked(histories)
    similar = shrunk(X, 5.0)
    kth = np.sort(similar, axis=1)[:, -3][:, None]
    ranker = ItemKnnRanker.fit(histories, Stack.of(histories, "near", WEIGHT), neighbours=3, shrinkage=5.0)
    np.testing.assert_allclose(ranker.scores(histories), X @ np.where(similar >= kth, similar, 0), atol=1e-5)


def test_shrinkage_keeps_rare_items_from_being_the_closest():
    """Two items with one user in common are nearer than two with three of four only without shrinkage."""
    rows = np.zeros((12, 4), dtype=np.float32)
    rows[:4, 0] = rows[1:5, 1] = rows[5, 2] = rows[5, 3] = 1
    histories = {"near": sparse.csr_matrix(rows)}
    plain, shrunken = (
        ItemKnnRanker.fit(histories, Stack.of(histories, "near"), neighbours=4, shrinkage=value).similarity
        for value in (0.0, 20.0)
    )
    assert plain[2, 3] > plain[0, 1]
    assert shrunken[2, 3] < shrunken[0, 1]


@pytest.mark.parametrize("neighbours", [4, 100])
def test_user_knn_is_the_cosine_of_weighted_rows(neighbours):
    """Scores are the similarities to the k nearest rows times what these took in the target."""
    histories = toy(30)
    X = stacked(histories)
    weights = idf(X)
    similar = cosine(X * weights)
    order = np.argsort(-similar, axis=1, kind="stable")[:, neighbours:]
    np.put_along_axis(similar, order, 0, axis=1)
    ranker = UserKnnRanker.fit(histories, Stack.of(histories, "near", WEIGHT), neighbours)
    np.testing.assert_allclose(ranker.scores(histories), similar @ histories["near"].toarray(), atol=1e-5)


def ials(histories, seed: int = 0) -> IalsRanker:
    return IalsRanker.fit(
        histories, Stack.of(histories, "near", WEIGHT), factors=4, alpha=5.0, regularization=2.0, iterations=3,
        seed=seed,
    )  # fmt: skip


def test_ials_folds_a_history_in_by_the_normal_equations():
    """Factors are (Y'CY + reg I)^-1 Y'Cp with C = alpha r where the user took the item and 1 elsewhere."""
    histories = toy(30)
    ranker = ials(histories)
    Y = ranker.state()[1]["item_factors"].astype(np.float64)
    expected = []
    for row in stacked(toy(30, seed=9)):
        C = np.where(row > 0, 5.0 * row, 1.0)
        x = np.linalg.solve((Y.T * C) @ Y + 2.0 * np.eye(4), (Y.T * C) @ (row > 0))
        expected.append(Y[:TARGET] @ x)
    np.testing.assert_allclose(ranker.scores(toy(30, seed=9)), expected, atol=1e-4)


def test_ials_approaches_its_own_fixed_point():
    """After many iterations the item factors solve their own normal equations: what was fitted is what serves."""
    histories = toy(30)
    ranker = IalsRanker.fit(
        histories, Stack.of(histories, "near", WEIGHT), factors=2, alpha=5.0, regularization=2.0, iterations=400, seed=0
    )  # fmt: skip
    X, Y = stacked(histories), ranker.state()[1]["item_factors"].astype(np.float64)
    users = ranker._model.recalculate_user(np.arange(30), ranker.stack.matrix(histories)).astype(np.float64)
    for item in range(TARGET):
        C = np.where(X[:, item] > 0, 5.0 * X[:, item], 1.0)
        y = np.linalg.solve((users.T * C) @ users + 2.0 * np.eye(2), (users.T * C) @ (X[:, item] > 0))
        np.testing.assert_allclose(Y[item], y, atol=2e-3)


def test_ials_repeats_exactly_for_a_seed():
    """One seed gives one result, another seed another one."""
    histories = toy(30)
    np.testing.assert_array_equal(ials(histories).scores(histories), ials(histories).scores(histories))
    assert not np.array_equal(ials(histories).scores(histories), ials(histories, seed=1).scores(histories))


def test_the_blend_is_the_sum_of_standard_scores():
    """Each part has mean zero and deviation one within a user; a constant row counts as zero."""
    histories = toy(30)
    parts = (ials(histories), UserKnnRanker.fit(histories, Stack.of(histories, "near", WEIGHT), 5))
    expected = np.zeros((30, TARGET))
    for part in parts:
        scores = part.scores(histories).astype(np.float64)
        deviation = scores.std(axis=1, keepdims=True)
        expected += np.where(deviation > 0, (scores - scores.mean(axis=1, keepdims=True)) / (deviation + 1e-30), 0)
    blended = BlendRanker(*parts).scores(histories)
    np.testing.assert_allclose(blended, expected, atol=1e-4)
    np.testing.assert_array_equal(blended[0], 0)


def test_popularity_counts_the_target():
    """Everybody gets the column sums of the target's rows."""
    histories = toy(30)
    scores = PopularityRanker.fit(histories, Stack.of(histories, "near")).scores(histories)
    np.testing.assert_array_equal(scores, np.tile(histories["near"].toarray().sum(axis=0), (30, 1)))


def test_the_stack_puts_the_target_first_and_weights_the_sources():
    """Columns stand target first, sources weighted, an absent domain empty; its state gives it back."""
    histories = toy(12)
    stack = Stack.of(histories, "near", WEIGHT)
    np.testing.assert_allclose(stack.matrix(histories).toarray(), stacked(histories), rtol=1e-6)
    assert Stack.of(histories, "near").names == ("near",)
    again = Stack.from_state(*stack.state())
    np.testing.assert_array_equal(again.matrix(histories).toarray(), stack.matrix(histories).toarray())
    alone = stack.matrix({"near": histories["near"]}).toarray()
    np.testing.assert_array_equal(alone[:, TARGET:], np.zeros((12, SOURCE)))
    np.testing.assert_array_equal(alone[:, :TARGET], histories["near"].toarray())


SAME = {"near": np.arange(TARGET), "far": np.array([3, 9, 10, 0, 11, 8, 12])}  # three of the source's are the target's


def test_an_item_of_two_domains_has_one_column():
    """Rows of the source count with their weight in the column of the same item; others follow the target's."""
    histories = toy(30)
    expected = np.zeros((30, TARGET + 4))
    expected[:, :TARGET] = histories["near"].toarray()
    for place, column in enumerate(SAME["far"]):
        expected[:, column] += WEIGHT * histories["far"].toarray()[:, place]
    stack = Stack.of(histories, "near", WEIGHT, SAME)
    np.testing.assert_allclose(stack.matrix(histories).toarray(), expected, rtol=1e-6)
    again = Stack.from_state(*stack.state())
    np.testing.assert_array_equal(again.matrix(histories).toarray(), stack.matrix(histories).toarray())
    assert Stack.of(histories, "near", 0.0, SAME).width == TARGET


@pytest.mark.parametrize("users", [12, 60])
def test_ease_over_shared_items_is_the_formula_on_the_shared_columns(users):
    """Two users with the same columns and other values are two rows, in the dual as well."""
    histories = toy(users)
    for name, place in (("near", 3), ("far", 0)):  # one takes item 3 here, one there, and both nothing else
        histories[name] = histories[name].tolil()
        histories[name][5 if name == "near" else 6, :] = 0
        histories[name][5 if name == "near" else 6, place] = 1
        histories[name][6 if name == "near" else 5, :] = 0
        histories[name] = sparse.csr_matrix(histories[name])
    stack = Stack.of(histories, "near", WEIGHT, SAME)
    X = stack.matrix(histories).toarray().astype(np.float64)
    ranker = EaseRanker.fit(histories, stack, regularization=REG, max_side=100)
    np.testing.assert_allclose(ranker.scores(histories), (X @ ease_weights(X))[:, :TARGET], atol=2e-5)


def test_neighbours_speak_by_what_they_took_in_either_domain():
    """A neighbour's item counts 1 where it was taken in the target, and the weight where only in the source."""
    histories = toy(30)
    stack = Stack.of(histories, "near", WEIGHT, SAME)
    X = stack.matrix(histories).toarray().astype(np.float64)
    expected = cosine(X * idf(X)) @ np.minimum(X[:, :TARGET], 1)
    np.testing.assert_allclose(UserKnnRanker.fit(histories, stack, 100).scores(histories), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["popularity", "item_knn", "user_knn", "ials", "ease", "ials_knn"])
def test_the_source_alone_learns_nothing_from_the_target(kind):
    """Other rows and other users of the target give the same ranker, which ranks its items by those of the source."""
    histories = toy(30)
    histories["far"] = sparse.vstack(
        [histories["far"], sparse.csr_matrix((40, SOURCE), dtype=np.float32)], format="csr"
    )
    histories["near"] = taken(70, TARGET, 2)
    config = next(one for one in CONFIGS if one.model_fields["kind"].annotation.__args__[0] == kind)
    value = config(kind=kind, domains="source")
    assert value.name == f"source_{kind}"
    [settings, *_] = candidates(value)
    others = {**histories, "near": taken(70, TARGET, 9)}
    fewer = {name: matrix[:30] for name, matrix in histories.items()}
    first, second, third = (
        fit_baseline(value, labelled_views(given, SAME), "near", settings, 0, shared=True).scores(histories)
        for given in (histories, others, fewer)
    )
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, third)
    assert first.shape == (70, TARGET)
    assert first.std() > 0


def test_popularity_of_several_domains():
    """Rows of sources count by their weight, in the column of the same item."""
    histories = toy(30)
    config = cfg.Popularity(kind="popularity", domains="all", source_weights=(WEIGHT,))
    [settings] = candidates(config)
    scores = fit_baseline(config, labelled_views(histories, SAME), "near", settings, 0, shared=True).scores(histories)
    expected = Stack.of(histories, "near", WEIGHT, SAME).matrix(histories).toarray()[:, :TARGET].sum(axis=0)
    np.testing.assert_allclose(scores[0], expected, rtol=1e-6)


def test_a_packed_matrix_comes_back():
    """Values, places and shape survive, also where the last rows and columns are empty."""
    matrix = sparse.csr_matrix((np.array([2.5, -1], np.float32), ([0, 2], [1, 0])), shape=(5, 4))
    back = unpack("some", pack("some", matrix))
    assert back.shape == (5, 4)
    np.testing.assert_array_equal(back.toarray(), matrix.toarray())


def test_largest_per_row_keeps_the_first_of_equals():
    """The k largest entries stay, of equal ones those of the smaller column; short rows stay whole."""
    matrix = sparse.csr_matrix(np.array([[1, 3, 2, 3], [2, 2, 2, 0], [0, 0, 5, 0], [0, 0, 0, 0]], dtype=np.float32))
    kept = [[0, 3, 0, 3], [2, 2, 0, 0], [0, 0, 5, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(largest_per_row(matrix, 2).toarray(), kept)


CONFIGS = [one for one in get_args(get_args(cfg.BaselineConfig)[0]) if "items" in one.predicts]


def test_every_baseline_config_has_a_fit():
    """The dict of baselines names the configs that predict items."""
    assert set(BASELINES) == set(CONFIGS)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.model_fields["kind"].annotation.__args__[0])
def test_every_candidate_of_a_baseline_fits(config):
    """All combinations of settings differ, and the first fits and scores the catalogue."""
    value = config(kind=config.model_fields["kind"].annotation.__args__[0])
    settings = list(candidates(value))
    assert len({str(one) for one in settings}) == len(settings)
    histories = Past(toy(30), toy(30))  # all in one instant, for those that read an order
    scores = fit_baseline(value, titled(labelled_views(histories)), "near", settings[0], 0).scores(histories)
    assert scores.shape == (30, TARGET)
    assert np.isfinite(scores).all()


def test_candidates_are_all_combinations():
    """With both domains the source's weight is searched beside the baseline's own settings."""
    config = cfg.Ease(kind="ease", domains="all", regularization=(1.0, 2.0), source_weights=(0.5, 1.0))
    found = [(one["regularization"], one["source_weight"], one["max_side"]) for one in candidates(config)]
    assert found == [(1.0, 0.5, 20_000), (1.0, 1.0, 20_000), (2.0, 0.5, 20_000), (2.0, 1.0, 20_000)]
    alone = cfg.Ials(kind="ials", alpha=(1.0,), regularization=(1.0,))
    assert [one["source_weight"] for one in candidates(alone)] == [0.0]
