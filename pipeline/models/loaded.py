"""The pretrained encoders by what they read."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from pipeline.config import Encoded
from pipeline.data.embeddings import Embeddings
from pipeline.models import image_encoder, pretrained


class Encoder(Protocol):
    """Turns texts or pictures into vectors."""

    fingerprint: str

    def encode(self, values: Sequence[str], pictures: Mapping[str, bytes], /) -> Embeddings:
        """The vectors of texts, or of pictures by their names, whose contents are given; the order is kept."""
        ...


# type of feature -> by name or folder the encoder, read once in a process; the function's module says what a vector is
LOADERS: dict[Encoded, Callable[[str], Encoder]] = {"text": pretrained.loaded, "image": image_encoder.loaded}
