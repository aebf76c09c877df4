"""A pretrained encoder of pictures, frozen: EfficientNet-Lite0 with the weights of ImageNet that its package carries.

Of a picture the middle square is seen, 7/8 as wide as its shorter side, at 224 x 224 pixels, as the network was judged
by its authors. Its vector is the mean over all places, brought to length one, as half floats.

Shapes: T pictures, B pictures of a batch, D dimensions.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.data.embeddings import Embeddings, key_of
from pipeline.data.encoder_folders import fingerprint_of, folder_of
from pipeline.data.pictures import seen
from pipeline.errors import UserError
from pipeline.models.efficientnet import DIM, SIDE, EfficientNetLite0

_BATCH = 32
_MIDDLE = SIDE / (SIDE + 32)  # of the shorter side
_MEAN, _DEVIATION = 127.0, 128.0  # of a shade in [0, 255]


class ImageEncoder:
    """Turns pictures into vectors that say what they show."""

    dim = DIM

    def __init__(self, fingerprint: str, network: EfficientNetLite0) -> None:
        """`network` is trained no further."""
        self.fingerprint = fingerprint
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def load(cls, encoder: str) -> Self:
        """The encoder of that name.

        Raises:
            UserError: it is not there, or its file is damaged.
        """
        [weights] = folder_of("image", encoder).glob("*.pth")
        try:
            return cls(fingerprint_of("image", encoder), EfficientNetLite0(torch.load(weights, weights_only=True)))
        except Exception as error:  # the library raises whatever a file makes it trip over
            raise UserError(
                f"encoder: {weights} cannot be read as the weights of {encoder} ({type(error).__name__}: "
                f"{str(error).splitlines()[0] if str(error) else 'no reason given'}). Install its package again."
            ) from error

    def encode(self, names: Sequence[str], pictures: Mapping[str, bytes]) -> Embeddings:
        """The vectors of pictures by their names, whose contents are given; the order is kept.

        Raises:
            UserError: a content is not given: a model that reads pictures meets rows of which no step encoded any.
            UnreadError: one of them cannot be read.
        """
        if lost := [name for name in names if name not in pictures]:
            raise UserError(
                f"encoder: a model reads pictures with an `image_encoder`, and no step encoded {len(lost):,} of them, "
                "because the scenario names none now. Name it again, or give the changed scenario a name of its own."
            )
        vectors = np.zeros((len(names), self.dim), dtype=np.float16)
        for begin in range(0, len(names), _BATCH):
            part = slice(begin, begin + _BATCH)
            vectors[part] = self._vectors(np.stack([middle(pictures[name]) for name in names[part]]))
        ones = np.ones(len(names), dtype=np.int32)
        keys = pd.Index([key_of(name) for name in names], dtype=object)
        return Embeddings(self.fingerprint, keys, vectors, ones, 0 * ones, ones > 1)

    def _vectors(self, shades_BHWC: NDArray[np.uint8]) -> NDArray[np.float16]:
        """[B, D] of length one."""
        with torch.inference_mode():
            said = self.network(pixels(torch.from_numpy(shades_BHWC).to(self.device)))
            long = torch.nn.functional.normalize(said, dim=1)
        return np.asarray(long.cpu().numpy(), dtype=np.float16)


@lru_cache(maxsize=1)
def loaded(encoder: str) -> ImageEncoder:
    """The encoder of that name, read once in a process.

    Raises:
        UserError: as for `ImageEncoder.load`.
    """
    return ImageEncoder.load(encoder)


def middle(content: bytes) -> NDArray[np.uint8]:
    """The middle square of a picture in shades of red, green and blue: [224, 224, 3].

    Raises:
        UnreadError: it cannot be read.
    """
    from PIL.Image import Resampling

    image = seen(content)
    side = _MIDDLE * min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    square = image.resize((SIDE, SIDE), Resampling.BICUBIC, box=(left, top, left + side, top + side))
    return np.asarray(square, dtype=np.uint8)


def pixels(shades_BHWC: Tensor) -> Tensor:
    """What the network reads: [B, 3, H, W] of shades in [0, 255]."""
    return (shades_BHWC.permute(0, 3, 1, 2).float() - _MEAN) / _DEVIATION
