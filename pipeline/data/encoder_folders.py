"""Where the pretrained encoder of texts lies, and what tells one from another."""

from importlib.util import find_spec
from pathlib import Path

from pipeline.config.encoders import PACKAGED
from pipeline.errors import UserError
from pipeline.folders import digest, hash_file

WEIGHTS = "model.safetensors"
_NEEDED = ("config.json", "tokenizer.json", WEIGHTS)
_INSTALL = "pip install 'crosslift[text]'"


def folder_of(encoder: str) -> Path:
    """The folder of an encoder, with what is needed to read it installed.

    Raises:
        UserError: the extra of the distribution is not installed, the folder is not there, or a file of it is missing.
    """
    missing = [name for name in ("transformers", *_package(encoder)) if find_spec(name) is None]
    if missing:
        raise UserError(
            f"encoder: {encoder} needs {' and '.join(missing)}, not installed here; `{_INSTALL}` installs what reads "
            "texts. Without it leave `encoder` out: texts are then read by their words."
        )
    folder = _package_folder(encoder) if encoder in PACKAGED else Path(encoder)
    if lacking := [name for name in _NEEDED if not (folder / name).is_file()]:
        raise UserError(
            f"encoder: {folder} is expected to be the folder of a Hugging Face model, and has no {', '.join(lacking)}. "
            "Save one there with `save_pretrained`, the tokenizer as well; nothing is downloaded, and weights that "
            "have to be unpickled are not read."
        )
    return folder


def fingerprint_of(encoder: str) -> str:
    """The hash of all files from which an encoder is read: another one gives other vectors.

    Raises:
        UserError: as for `folder_of`.
    """
    folder = folder_of(encoder)
    files = sorted(one for one in folder.iterdir() if one.suffix in (".json", ".txt", ".safetensors"))
    return digest({one.name: hash_file(one) for one in files})[:32]


def _package(encoder: str) -> tuple[str, ...]:
    return (PACKAGED[encoder],) if encoder in PACKAGED else ()


def _package_folder(encoder: str) -> Path:
    spec = find_spec(PACKAGED[encoder])
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"
