"""Items by what is said of them: the nearest descriptions, and vectors of a pretrained encoder.

Shapes: I items of all stacked domains, I_t target items, W columns of words, E dimensions of an encoder.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from pipeline.data.item_names import item_texts
from pipeline.data.tokens import text_hashes
from pipeline.errors import UserError
from pipeline.models.ranker import Arrays, Ranker, Scores
from pipeline.models.stack import Stack, pack, unit_rows, unpack
from pipeline.models.words import idf, rows_with, weighted

if TYPE_CHECKING:
    from pipeline.past import Histories
    from pipeline.views import ItemLabel

_WORDS = 1 << 18  # two words of a catalogue hardly ever share a column, and columns that no item has cost nothing


class ContentKnnRanker(Ranker):
    """The mean of what is said of the history's items, held against what is said of each target item.

    s_i = normalise(sum_j h_j c_j) . c_i, with descriptions c of length one and h_j what an item of the history counts
    (Pazzani and Billsus, "Content-Based Recommendation Systems", 2007). c is the TF-IDF of words and pairs of words, or
    the vector of a pretrained encoder. An item without a text scores 0.
    """

    kind = "content_knn"

    def __init__(self, stack: Stack, said: sparse.csr_matrix) -> None:
        """`said` [I, W or E] has rows of length one, or none."""
        self.stack, self.said = stack, said
        self._targets_T = sparse.csr_matrix(said[: stack.targets].T)

    @classmethod
    def fit(cls, stack: Stack, labels: "Mapping[str, ItemLabel]", *, encoder: str | None) -> Self:
        """Describe the items of all stacked domains; an id that stands in several by the first that says anything.

        Raises:
            UserError: no item of the target has a text.
        """
        texts = pd.Series(np.full(stack.width, "", dtype=object))
        for name, columns in reversed([*zip(stack.names, stack.columns, strict=True)]):
            own = item_texts(labels[name].catalogue).to_numpy(dtype=object)
            texts[columns[own != ""]] = own[own != ""]
        if (texts[: stack.targets] == "").all():
            raise UserError(
                f"baselines: content_knn compares titles, but no item of {stack.names[0]} has one, nor a "
                "category; name the column `title` under tables.items, or leave the baseline out."
            )
        return cls(stack, unit_rows(sparse.csr_matrix(_tf_idf(texts) if encoder is None else _meant(labels, texts))))

    def scores(self, histories: "Histories") -> Scores:
        """Cosines with the history's mean."""
        profile = unit_rows(sparse.csr_matrix(self.stack.matrix(histories) @ self.said))
        return np.asarray((profile @ self._targets_T).toarray(), dtype=np.float32)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The descriptions."""
        stack, arrays = self.stack.state()
        return {"stack": stack}, {**arrays, **pack("said", self.said)}

    @classmethod
    def from_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """From the descriptions."""
        return cls(Stack.from_state(settings["stack"], arrays), unpack("said", arrays))


def described(label: "ItemLabel", texts: "pd.Series[Any] | None" = None) -> NDArray[np.float32]:
    """What a pretrained encoder says of texts, those of a domain's items unless others are given: [I, E]."""
    assert label.embeddings is not None, "a step that reads an encoder's vectors has them among its inputs"
    vectors, _ = label.embeddings.of(item_texts(label.catalogue) if texts is None else texts)
    return vectors


def _tf_idf(texts: "pd.Series[Any]") -> sparse.csr_matrix:
    hashes, owner, counts = text_hashes(texts)
    columns = (hashes % np.uint64(_WORDS)).astype(np.int64)
    words = sparse.csr_matrix((counts.astype(np.float32), (owner, columns)), shape=(len(texts), _WORDS))
    met = rows_with((words,), np.ones(len(texts)), _WORDS)
    return weighted((words,), idf(len(texts), met)).astype(np.float32)


def _meant(labels: "Mapping[str, ItemLabel]", texts: "pd.Series[Any]") -> NDArray[np.float32]:
    return described(next(iter(labels.values())), texts)
