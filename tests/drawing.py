"""Pictures in memory, for tests."""

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

RED, BLUE = (200, 30, 20), (10, 40, 180)


def halves(mode: str = "RGB", size: tuple[int, int] = (40, 20), left: Any = RED, right: Any = BLUE) -> Image.Image:
    """A picture whose left half has one shade and whose right half another."""
    image = Image.new(mode, size, right)
    image.paste(left, (0, 0, size[0] // 2, size[1]))
    return image


def encoded(image: Image.Image, kind: str = "PNG", **how: Any) -> bytes:
    """The bytes of a file."""
    buffer = BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def noise(seed: int, size: tuple[int, int] = (64, 64)) -> Image.Image:
    """Shades by chance."""
    shades = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(shades)
