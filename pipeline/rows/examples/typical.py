"""A request that shows how a model is asked: what most rows have, and nothing that is one row's own."""

from typing import Any

import pandas as pd

from pipeline.config import FeatureType
from pipeline.data.tokens import NAMES_OF, WORDS_OF
from pipeline.views import Features

_SHARED = 10  # rows that must have a value, or a word, before it is shown
_WORDS = 5
_LOOKED_AT = 5_000  # rows whose words are counted


def typical_of(features: Features) -> dict[str, Any]:
    """The most frequent value of each category and flag, the median of each number and time, roughly: nobody's own.

    Of a text or bag the words that most rows have, so that who holds an answer against a logged one sees the words
    work. Of a picture nothing.
    """
    found: dict[str, Any] = {}
    for name, kind in features.types.items():
        values = features.table[name].dropna()
        if len(values) < _SHARED or kind == "image":
            found[name] = None
        elif kind == "number":
            found[name] = float(f"{values.median():.2g}")
        elif kind == "time":
            month = values.sort_values().iloc[len(values) // 2].strftime("%Y-%m")
            found[name] = f"{month}-01T00:00:00+00:00"
        elif kind in NAMES_OF:
            found[name] = _frequent_words(values, kind)
        else:
            [often] = _shared(values, 1) or [None]
            found[name] = often if often is None else bool(often) if kind == "flag" else str(often)
    return found


def _frequent_words(texts: "pd.Series[Any]", kind: FeatureType) -> str | None:
    """The words that most texts have, the most frequent first; of a title whole words alone."""
    spelt: FeatureType = "text" if kind == "title" else kind
    some = texts.iloc[:: max(1, -(-len(texts) // _LOOKED_AT))]
    _, rows, _ = WORDS_OF[spelt](some)
    table = pd.DataFrame({"row": rows, "word": NAMES_OF[spelt](some)}).drop_duplicates()
    alone = table["word"][~table["word"].str.contains(" ", regex=False)]
    return " ".join(_shared(alone, _WORDS)) or None


def _shared(values: "pd.Series[Any]", most: int) -> list[Any]:
    """The most frequent values, of equally frequent ones in their order, as far as enough rows have them."""
    counts = values.value_counts().sort_index().sort_values(ascending=False, kind="stable").head(most)
    return list(counts.index[counts >= _SHARED])
