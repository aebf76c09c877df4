"""What made a prediction, in words: the features that add most to it, with their sign.

Shapes: N rows, F features.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from pipeline.config import FeatureType
from pipeline.data.tokens import NAMES_OF, WORDS_OF, word_columns
from pipeline.errors import DataError
from pipeline.views import Features, FloatArray

_LONGEST = 40  # letters of a word that are shown


def explanations(
    features: Features, parts_NF: FloatArray, words: "Sequence[sparse.csr_matrix]", most: int
) -> list[str]:
    """Name what adds most to what is told of each row: `page_values +1.32; month=Nov +0.41; text "awful" -0.38`.

    What adds nothing, rounded, is left out. A category or flag stands with its value. Of a text or bag each word stands
    for itself where what it adds is known; of two that share a bucket one stands for both.

    Args:
        features: Of the rows.
        parts_NF: What each feature adds.
        words: Of each text and bag what each word adds, [N, buckets]; none where words are not told apart.
        most: How many are named.

    Raises:
        DataError: fewer than none are asked for.
    """
    if most < 0:
        raise DataError(f"explain: expected how many features are to be named, 0 for none, got {most}.")
    texts = [name for name, kind in features.types.items() if kind in WORDS_OF]
    told, by_text = [], dict(zip(texts, words, strict=False))
    for place, (name, kind) in enumerate(features.types.items()):
        column = features.table[name]
        if name in by_text:
            told.append(_words(name, kind, column, by_text[name]))
        else:
            named = _named(name, kind, column)
            told.append(pd.DataFrame({"row": np.arange(len(named)), "name": named, "part": parts_NF[:, place]}))
    every = pd.concat(told, ignore_index=True)
    every = every[every["part"].abs().round(2) > 0]
    first = every.iloc[np.lexsort((-every["part"].abs(), every["row"]))].groupby("row").head(most)
    said = first["name"].astype("str") + first["part"].map(" {:+.2f}".format).astype("str")
    joined = said.groupby(first["row"]).agg("; ".join).reindex(range(len(parts_NF)), fill_value="")
    return [str(one) for one in joined]


def _words(name: str, kind: FeatureType, column: "pd.Series[Any]", parts: "sparse.csr_matrix") -> pd.DataFrame:
    hashes, rows, _ = WORDS_OF[kind](column)
    bucket = word_columns(name, hashes) % parts.shape[1]
    table = pd.DataFrame({"row": rows, "bucket": bucket, "word": NAMES_OF[kind](column)})
    table = table.drop_duplicates(["row", "bucket"], ignore_index=True)
    rows_T, buckets_T = table["row"].to_numpy(), table["bucket"].to_numpy()
    # of no places at all SciPy gives a matrix
    added = np.asarray(parts[rows_T, buckets_T], dtype=np.float64).ravel() if len(table) else np.empty(0)
    named = [f'{name} "{word[:_LONGEST]}"' for word in table["word"]]
    return pd.DataFrame({"row": table["row"], "name": named, "part": added})


def _named(name: str, kind: FeatureType, values: "pd.Series[Any]") -> list[str]:
    if kind == "category":
        return [f"{name} missing" if pd.isna(value) else f"{name}={value}" for value in values]
    if kind == "flag":
        return [f"{name} missing" if np.isnan(value) else f"{name}={'yes' if value else 'no'}" for value in values]
    return [name] * len(values)
