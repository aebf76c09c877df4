"""Where a pretrained encoder lies, and what tells one from another."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pipeline.config import Encoded, Encoders
from pipeline.config.encoders import PACKAGED
from pipeline.errors import UserError
from pipeline.folders import digest, hash_file

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class _Kind:
    """What encoders of one type of feature have in common.

    Args:
        libraries: Modules that read it, beside the weights.
        extra: Of the distribution, which installs all.
        inner: The folder in the package of the weights.
        needed: Files that must be in it, or patterns of which one must.
        otherwise: What becomes of a scenario without one.
    """

    libraries: tuple[str, ...]
    extra: str
    inner: str
    needed: tuple[str, ...]
    otherwise: str


_KINDS: dict[Encoded, _Kind] = {
    "text": _Kind(
        ("transformers",), "text", "model", ("config.json", "tokenizer.json", WEIGHTS),
        "leave `encoder` out: texts are then read by their words",
    ),
    "image": _Kind(("PIL",), "image", "models", ("*.pth",), "leave `image_encoder` out: pictures are then not read"),
}  # fmt: skip
_READ = (".json", ".txt", ".safetensors", ".pth")


def folder_of(kind: Encoded, encoder: str) -> Path:
    """The folder of an encoder, with what is needed to read it installed.

    Raises:
        UserError: the extra of the distribution is not installed, the folder is not there, or a file of it is missing.
    """
    about, packaged = _KINDS[kind], PACKAGED[kind].get(encoder)
    missing = [name for name in (*about.libraries, *([packaged] if packaged else [])) if find_spec(name) is None]
    if missing:
        raise UserError(
            f"encoder: {encoder} needs {' and '.join(missing)}, not installed here; `pip install "
            f"'crosslift[{about.extra}]'` installs what reads it. Without it {about.otherwise}."
        )
    folder = _package_folder(packaged) / about.inner if packaged else Path(encoder)
    if lacking := [name for name in about.needed if not [*folder.glob(name)]]:
        raise UserError(
            f"encoder: {folder} is expected to be the folder of a Hugging Face model, and has no {', '.join(lacking)}. "
            "Save one there with `save_pretrained`, the tokenizer as well; nothing is downloaded, and weights that "
            "have to be unpickled are not read."
            if not packaged
            else f"encoder: the package {packaged} has no {', '.join(lacking)} in {folder}; install it again."
        )
    return folder


def require(encoders: Encoders) -> None:
    """Refuse what is not installed.

    Raises:
        UserError: as for `folder_of`.
    """
    for kind, encoder in encoders.items():
        folder_of(kind, encoder)


def fingerprint_of(kind: Encoded, encoder: str) -> str:
    """The hash of all files from which an encoder is read: another one gives other vectors.

    Raises:
        UserError: as for `folder_of`.
    """
    files = sorted(one for one in folder_of(kind, encoder).iterdir() if one.suffix in _READ)
    return digest({one.name: hash_file(one) for one in files})[:32]


def _package_folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
