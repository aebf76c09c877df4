"""Two regressions that teach each other: what tells words apart, who is surest, and what the target's labels change."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.metrics import roc_auc_score

from pipeline import config as cfg
from pipeline.models.example_baselines import candidates, fit_baseline
from pipeline.models.msda import surest, telling
from pipeline.views import FEATURES, ClassLabel, Features, View
from tests.examples import view_of

TOPICS = {"books": ("plot", "dull"), "phones": ("fast", "broken")}  # words that only one domain has
BOTH = ("good", "bad")


def reviews(domain: str, rows: int, seed: int = 0) -> View:
    """Bags of words: those of one's own domain say the label, those of both now and then."""
    random = np.random.default_rng(seed)
    positive = random.random(rows) < 0.5
    bags = []
    for right in positive:
        own, both = (words[0] if right else words[1] for words in (TOPICS[domain], BOTH))
        noise = random.choice([f"n{place}" for place in range(60)], 3)
        bags.append(" ".join([f"{own}:{random.integers(1, 4)}", *([both] if random.random() < 0.3 else []), *noise]))
    features = Features(pd.DataFrame({"said": pd.Series(bags, dtype=object)}), {"said": "bag"})
    return view_of(domain, features, ClassLabel(positive.astype(np.int64), ("no", "yes"), "liked"))


def views() -> dict[str, View]:
    return {"books": reviews("books", 300), "phones": reviews("phones", 300, seed=1)}


def fitted(config: cfg.Baseline, given: dict[str, View]):
    return fit_baseline(config, given, "phones", next(candidates(config)), 0)


def auroc(estimator, view: View) -> float:
    raw = estimator.raw(view.fields[FEATURES])
    return float(roc_auc_score(view.label.value, raw[:, 1] - raw[:, 0]))


def test_a_target_is_read_through_the_words_that_it_shares():
    """The source knows none of the words that say it; rows without a label tell with what these go."""
    test = reviews("phones", 400, seed=2)
    linear = fitted(cfg.Linear(kind="linear", domains="source"), views())
    msda = fitted(cfg.Msda(kind="msda", domains="source"), views())
    untaught = fitted(cfg.Msda(kind="msda", domains="source", rounds=0), views())
    assert auroc(linear, test) < 0.77
    assert auroc(untaught, test) > auroc(linear, test) + 0.1
    assert auroc(msda, test) > 0.98


def test_labels_of_a_target_change_nothing_on_the_source_alone():
    """They are shuffled, taken away: not one bit of the model is another."""
    config, given = cfg.Msda(kind="msda", domains="source"), views()
    hidden = {**given, "phones": replace(given["phones"], labels=(blind(given["phones"].label),))}
    one, other = (fitted(config, each).state() for each in (given, hidden))
    assert one[0] == other[0]
    assert all(np.array_equal(one[1][name], other[1][name]) for name in one[1])


def blind(label: ClassLabel) -> ClassLabel:
    return replace(label, value=np.full(len(label.value), -1))


def test_rows_without_a_label_teach_the_target_too():
    """With ten labels of its own and no source."""
    given = {"phones": reviews("phones", 300, seed=1)}
    few = np.where(np.arange(300) < 10, given["phones"].label.value, -1)
    given["phones"] = replace(given["phones"], labels=(replace(given["phones"].label, value=few),))
    test = reviews("phones", 400, seed=2)
    assert auroc(fitted(cfg.Msda(kind="msda"), given), test) > 0.98


def test_the_surest_rows_of_each_class_are_found():
    """By hand: of six rows four, of each class its share, whatever side of a half they are on."""
    raw = np.array([[0.0, 3.0], [0.0, 2.0], [0.0, 1.0], [0.0, 0.5], [0.0, -0.1], [0.0, -4.0]])
    places, told = surest(raw, np.array([0.5, 0.5]), 4)
    assert (places.tolist(), told.tolist()) == ([0, 1, 4, 5], [1, 1, 0, 0])
    places, told = surest(raw, np.array([0.75, 0.25]), 4)
    assert (places.tolist(), told.tolist()) == ([0, 3, 4, 5], [1, 0, 0, 0])


def test_a_row_that_several_classes_want_goes_to_the_surest():
    raw = np.log(np.array([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.3, 0.4, 0.3]]))
    places, told = surest(raw, np.full(3, 2 / 3), 3)  # each class wants its best two
    assert (places.tolist(), told.tolist()) == ([0, 1, 2], [0, 2, 1])


@pytest.mark.parametrize("classes", [2, 3])
def test_what_tells_classes_apart_is_the_formula(classes):
    """Counted word by word and class by class."""
    random = np.random.default_rng(0)
    words, label = sparse.csr_matrix(random.poisson(0.5, (40, 6)) * 0.3), random.integers(0, classes, 40)
    there = words.toarray() > 0
    for word in range(6):
        found = []
        for one in range(classes):
            inside, outside = there[label == one], there[label != one]
            here = (inside[:, word].sum() + 1) / sum(inside[:, other].sum() + 1 for other in range(6))
            elsewhere = (outside[:, word].sum() + 1) / sum(outside[:, other].sum() + 1 for other in range(6))
            found.append(abs(np.log(here / elsewhere)))
        assert telling(words, label, classes)[word] == pytest.approx(max(found))
