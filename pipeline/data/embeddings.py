"""Vectors of texts and pictures, found by what these are.

Shapes: T texts, D dimensions, N rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import StorageError

FILE = "vectors.safetensors"
_ARRAYS = ("vectors", "parts", "unknown", "cut")
_KEY = 16  # bytes of a hash


def is_empty(texts: "pd.Series[Any]") -> NDArray[np.bool_]:
    """[N] which texts say nothing: missing ones, and blanks alone."""
    return np.asarray(texts.isna() | (texts.astype(str).str.strip() == ""), dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class Embeddings:
    """What one encoder says of some texts, or pictures.

    Args:
        encoder: The fingerprint of the encoder.
        keys: [T] hashes of the texts, or of the names of the pictures.
        vectors: [T, D] float16, of length one.
        parts: [T] how many parts of each text were read; of a picture one.
        unknown: [T] how many of these the encoder does not know.
        cut: [T] whether a text has more of them than are read.
    """

    encoder: str
    keys: pd.Index
    vectors: NDArray[np.float16]
    parts: NDArray[np.int32]
    unknown: NDArray[np.int32]
    cut: NDArray[np.bool_]

    @classmethod
    def under(cls, several: "Sequence[Embeddings]") -> Self:
        """All of one encoder together, each text once, in the order of their keys."""
        keys = np.concatenate([one.keys.to_numpy(dtype=object) for one in several])
        found, places = np.unique(keys.astype(f"S{2 * _KEY}"), return_index=True)
        told = {name: np.concatenate([getattr(one, name) for one in several])[places] for name in _ARRAYS}
        return cls(several[0].encoder, pd.Index(found.astype(str), dtype=object), **told)

    @classmethod
    def read(cls, path: Path, way: str | None = None) -> Self:
        """Read what `write` wrote.

        Raises:
            StorageError: the file is missing or damaged, or was written in another `way`.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                about = file.metadata()
                if way is not None and about["way"] != way:
                    raise StorageError(f"{path}: expected vectors made by the code as it is now.")
                told = {name: file.get_tensor(name) for name in ("keys", *_ARRAYS)}
        except (OSError, SafetensorError, KeyError, TypeError) as error:
            raise StorageError(f"{path}: expected vectors of texts ({error}).") from error
        keys = [key.tobytes().hex() for key in told.pop("keys")]
        return cls(about["encoder"], pd.Index(keys, dtype=object), **told)

    def write(self, path: Path, way: str) -> None:
        """Write one file whole, or not at all; `way` names the code that made them; equal vectors give equal bytes."""
        from safetensors.numpy import save_file

        keys = np.frombuffer(bytes.fromhex("".join(self.keys)), dtype=np.uint8).reshape(-1, _KEY)
        told = {"keys": keys, **{name: getattr(self, name) for name in _ARRAYS}}
        temporary = path.with_name(f".{path.name}.tmp")
        save_file(told, temporary, metadata={"encoder": self.encoder, "way": way})
        temporary.replace(path)

    def take(self, keys: Sequence[str]) -> "Embeddings":
        """Those of some texts, all of which are there."""
        at = self.keys.get_indexer(pd.Index(keys, dtype=object))
        assert (at >= 0).all()
        return Embeddings(self.encoder, self.keys[at], **{name: getattr(self, name)[at] for name in _ARRAYS})

    def of(self, texts: "pd.Series[Any]") -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """(vectors of texts or pictures [N, D], zeros where one is not there; which are there [N])."""
        codes, found = pd.factorize(texts)
        at = self.keys.get_indexer(pd.Index([key_of(text) for text in found], dtype=object))
        place = np.append(at, -1)[codes]
        vectors = np.zeros((len(texts), self.vectors.shape[1]), dtype=np.float32)
        vectors[place >= 0] = self.vectors[place[place >= 0]]
        return vectors, place >= 0


def key_of(text: str) -> str:
    """The hash of a text, or of a picture's name, in hex."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_KEY).hexdigest()


def read_embeddings(folders: Sequence[Path]) -> Embeddings:
    """What the folders of several domains hold together.

    Raises:
        StorageError: a file is missing or damaged.
    """
    return Embeddings.under([Embeddings.read(folder / FILE) for folder in folders])
