"""Texts and pictures as vectors of pretrained encoders: those that were read before are looked up, others are read.

Shapes: N rows, D dimensions of an encoder, E numbers of the vectors of all texts and pictures of a row.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config import READ_BY, Encoded, Encoders, FeatureType
from pipeline.data.embeddings import is_empty
from pipeline.errors import UserError
from pipeline.views import Features, IntArray

# type of feature -> libraries that read it
_NEEDS: dict[Encoded, tuple[str, ...]] = {
    "text": ("tokenizers", "torch", "transformers"),
    "image": ("pillow", "torch"),
}


@dataclass(frozen=True)
class Reader:
    """Which encoder a model reads a type of feature with; it is named by what it is, and not carried along.

    Args:
        reads: Texts or pictures.
        encoder: Its name or folder.
        fingerprint: Hash of its files.
        dim: How long its vectors are, D.
    """

    reads: Encoded
    encoder: str
    fingerprint: str
    dim: int

    @classmethod
    def all_of(cls, encoders: Encoders, features: Features) -> "Readers":
        """Those whose vectors stand beside these features."""
        given = features.embeddings
        assert encoders.keys() <= given.keys(), "a step that reads an encoder's vectors has them among its inputs"
        return tuple(
            cls(kind, encoder, given[kind].encoder, given[kind].vectors.shape[1]) for kind, encoder in encoders.items()
        )

    def read(self, features: Features, name: str) -> NDArray[np.float32]:
        """The vectors of one feature [N, D]; of an empty text and of a missing picture zeros.

        Raises:
            UserError: one was not encoded before, and the encoder is not there or is another one now.
        """
        values, known = features.table[name], features.embeddings.get(self.reads)
        vectors, there = np.zeros((len(values), self.dim), np.float32), np.zeros(len(values), np.bool_)
        if known is not None and known.encoder == self.fingerprint:
            vectors, there = known.of(values)
        if (rest := ~there & ~is_empty(values)).any():
            codes, distinct = pd.factorize(values[rest])
            vectors[rest] = self.opened().encode(list(distinct), features.pictures).vectors[codes]
        return vectors

    def opened(self) -> Any:
        """The encoder itself.

        Raises:
            UserError: it is not there, or is another one now.
        """
        from pipeline.models.loaded import LOADERS

        encoder = LOADERS[self.reads](self.encoder)
        if encoder.fingerprint != self.fingerprint:
            raise UserError(
                f"encoder: the model was made with {self.encoder} {self.fingerprint[:8]}, and the one here is "
                f"{encoder.fingerprint[:8]}: its vectors would say something else. Bring the same one back, or run "
                "the scenario again."
            )
        return encoder


Readers = tuple[Reader, ...]


def vectors_of(features: Features, readers: Readers) -> NDArray[np.float32]:
    """The vectors of all texts and pictures that are read, beside each other in the order of the features: [N, E]."""
    columns = [reader.read(features, list(features.types)[place]) for place, reader in _read(features.types, readers)]
    return np.concatenate([np.zeros((len(features.table), 0), np.float32), *columns], axis=1)


def vector_owners(types: Mapping[str, FeatureType], readers: Readers) -> IntArray:
    """Whose the vectors are, as places among the features; none where nothing reads them."""
    return np.array([place for place, _ in _read(types, readers)], dtype=np.int64)


def widths(types: Mapping[str, FeatureType], readers: Readers) -> list[int]:
    """How long the vector of each of these features is; their sum is E."""
    return [reader.dim for _, reader in _read(types, readers)]


def needs_of(readers: Iterable[Reader]) -> tuple[str, ...]:
    """Libraries that a model with these readers loads."""
    return tuple(sorted({library for reader in readers for library in _NEEDS[reader.reads]}))


def states_of(readers: Sequence[Reader]) -> dict[str, list[dict[str, Any]]]:
    """All that they are, as settings of a saved model; nothing where nothing is read."""
    return {"readers": [asdict(reader) for reader in readers]} if readers else {}


def readers_from(settings: Mapping[str, Any]) -> Readers:
    """Those that `states_of` described; a model of before pictures has one, of texts."""
    if before := settings.get("reader"):
        return (Reader("text", **before),)
    return tuple(Reader(**state) for state in settings.get("readers", ()))


def _read(types: Mapping[str, FeatureType], readers: Readers) -> list[tuple[int, Reader]]:
    return [
        (place, reader)
        for place, kind in enumerate(types.values())
        for reader in readers
        if kind in READ_BY[reader.reads]
    ]
