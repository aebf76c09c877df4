"""How many pictures a second the pretrained encoder reads, what of that opening them costs, and the network alone.

    .venv/bin/python benchmarks/picture_speed.py --pictures 256

needs `pip install 'crosslift[image]'`. The pictures are JPEG of 500 x 500 pixels, made by chance.
"""

import argparse
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import torch
from PIL import Image

from pipeline.data.pictures import name_of, seen
from pipeline.models.image_encoder import loaded, middle, pixels


def main() -> None:
    """Print pictures a second of CPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    contents = [photo(seed) for seed in range(given.pictures)]
    pictures, encoder = {name_of(one): one for one in contents}, loaded("efficientnet")
    shades = pixels(torch.tensor(np.stack([middle(one) for one in contents[:32]])))
    with torch.inference_mode():
        tell("the network alone", len(shades), lambda: encoder.network(shades))
    tell("opened at the border", len(contents), lambda: [seen(one) for one in contents])
    tell("encoded", len(contents), lambda: encoder.encode([*pictures], pictures))


def photo(seed: int) -> bytes:
    """Soft shades by chance, as large as a product's photo."""
    shades = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(shades).resize((500, 500)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def tell(what: str, count: int, work: Callable[[], Any]) -> None:
    """Print how many a second of CPU, and of the clock."""
    begun = time.perf_counter(), time.process_time()
    work()
    clock, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
    print(f"{what}: {count / cpu:.0f} pictures a second of CPU, {count / clock:.0f} of the clock")


if __name__ == "__main__":
    main()
