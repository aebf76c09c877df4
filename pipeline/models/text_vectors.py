"""Texts as vectors of a pretrained encoder: those that were encoded before are looked up, others are encoded.

Shapes: N rows, T texts of a row, D dimensions of the encoder.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.data.embeddings import is_empty
from pipeline.errors import UserError
from pipeline.views import Features

NEEDS = ("tokenizers", "torch", "transformers")


@dataclass(frozen=True)
class TextReader:
    """Which encoder a model reads texts with; it is named by what it is, and not carried along.

    Args:
        encoder: Its name or folder.
        fingerprint: Hash of its files.
        dim: How long its vectors are, D.
    """

    encoder: str
    fingerprint: str
    dim: int

    @classmethod
    def of(cls, encoder: str | None, several: Sequence[Features]) -> Self | None:
        """The one whose vectors stand beside these features; None where a model reads none."""
        if encoder is None:
            return None
        given = several[0].embeddings
        assert given is not None, "a step that reads an encoder's vectors has them among its inputs"
        return cls(encoder, given.encoder, given.vectors.shape[1])

    def read(self, features: Features) -> NDArray[np.float32]:
        """The vectors of all texts of each row beside each other: [N, T * D]; of an empty one zeros.

        Raises:
            UserError: a text was not encoded before, and the encoder is not there or is another one now.
        """
        columns = [self._vectors(features, name) for name in features.of("text")]
        return np.concatenate([np.zeros((len(features.table), 0), np.float32), *columns], axis=1)

    def state(self) -> dict[str, Any]:
        """All that it is, as plain values."""
        return asdict(self)

    def _vectors(self, features: Features, name: str) -> NDArray[np.float32]:
        texts, known = features.table[name], features.embeddings
        vectors, there = np.zeros((len(texts), self.dim), np.float32), np.zeros(len(texts), np.bool_)
        if known is not None and known.encoder == self.fingerprint:
            vectors, there = known.of(texts)
        if (rest := ~there & ~is_empty(texts)).any():
            codes, distinct = pd.factorize(texts[rest])
            vectors[rest] = self._encoder().encode(list(distinct)).vectors[codes]
        return vectors

    def _encoder(self) -> Any:
        from pipeline.models.pretrained import loaded

        encoder = loaded(self.encoder)
        if encoder.fingerprint != self.fingerprint:
            raise UserError(
                f"encoder: the model was made with {self.encoder} {self.fingerprint[:8]}, and the one here is "
                f"{encoder.fingerprint[:8]}: its vectors would say something else. Bring the same one back, or run "
                "the scenario again."
            )
        return encoder
