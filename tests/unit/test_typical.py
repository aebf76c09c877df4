"""Requests that show how a model is asked, and what they are for: that words are seen to work."""

import numpy as np
import pandas as pd
import pytest

from pipeline.models.linear import LinearEstimator
from pipeline.models.sample import Sample
from pipeline.rows.examples.explaining import explanations
from pipeline.rows.examples.typical import typical_of
from pipeline.views import ClassLabel, Features
from tests.examples import view_of


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("text", ["The red phone", "the RED shirt!", "the blue phone", None], "the phone red"),
        ("title", ["telephones red", "telephones blue"], "telephones red"),
        ("bag", ["good:3 bad", "good:1 slow", "good"], "good bad"),
        ("text", ["手机", "手表"], "手 机"),
    ],
)
def test_a_typical_text_holds_the_words_that_most_rows_have(kind, values, words):
    """Whole words, once a row, the most frequent first and of equal ones in their order; what few rows have is left."""
    table = pd.DataFrame({"said": values * 9 + values[:1] + ["secret"] * 9}, dtype=object)
    assert typical_of(Features(table, {"said": kind})) == {"said": words}


def test_of_few_texts_or_of_none_alike_nothing_is_typical():
    """A word of nine rows is nobody's to show."""
    for values in (["red"] * 9, [f"word{one}" for one in range(40)], [None] * 40):
        table = pd.DataFrame({"said": values}, dtype=object)
        assert typical_of(Features(table, {"said": "text"})) == {"said": None}


@pytest.mark.parametrize("kind", ["text", "title", "bag"])
@pytest.mark.parametrize("asked", [[None], [None, None], ["", None]])
def test_texts_without_a_word_are_explained_by_nothing(kind, asked):
    """Also where no text of the whole request has any, as in a model's own example of what is not known."""
    table = pd.DataFrame({"said": ["blue phones", "red shirts"] * 10})
    label = ClassLabel(np.array([1, 0] * 10), ("shirt", "phone"), "kind")
    sample = Sample.of({"d": view_of("d", Features(table, {"said": kind}), label)}, {"d": 1.0}, "d")
    fitted = LinearEstimator.fit(sample, buckets=16, words=1 << 10, regularization=0.1)
    features = Features(pd.DataFrame({"said": asked}, dtype=object), {"said": kind})
    parts = fitted.explained(features)
    assert explanations(features, parts.features, parts.words, 2) == [""] * len(asked)
