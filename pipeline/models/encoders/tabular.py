"""A row as its numbers, categories, words of texts, what these and its pictures say, and a small network on them.

Shapes: B rows in a batch, M numeric columns, T bins, C categories, D dimensions, V buckets of words, E numbers of the
vectors of all texts and pictures of a row that are looked up.

    h = sum_m W_m [piecewise(x_m), missing_m] + sum_c table[bucket_c] + sum_w weight_w words[w] + U vectors + tuned + b
    h <- h + dropout(W' relu(W normalise(h) + b)) + b', for each block

`piecewise` is the piecewise-linear encoding of Gorishniy, Rubachev and Babenko, 2022 (arXiv 2203.05556); the weights of
words are those of `models/words.py`; `tuned` is there where layers of the encoder of texts train (`tuned_texts.py`).
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from pipeline.config import WORDED, FeatureModel, FeatureType
from pipeline.models.bottleneck import Block
from pipeline.models.encoded import Readers, widths
from pipeline.models.encoders.tuned_texts import TunedTexts
from pipeline.models.feature_values import COLUMNS, Values
from pipeline.models.network import Encoder
from pipeline.models.ragged import Ragged
from pipeline.models.words import idf, rows_with, weighted
from pipeline.views import Features, FloatArray, IntArray, Mask

NUMBERS, BUCKETS, WORDS, VECTORS = "numbers", "buckets", "words", "vectors"  # the names of what it reads
_LARGEST = 1e18  # differences of such numbers, and their squares, still are numbers in single precision
_NARROWEST = 1e-30
_TUNED_RATE = 0.05  # of the rate: what is pretrained


class TabularEncoder(Encoder):
    """Encodes rows of declared features; what is told of the bins travels with the weights."""

    edges: Tensor
    idf: Tensor

    def __init__(
        self,
        model: FeatureModel,
        types: Mapping[str, FeatureType],
        edges: FloatArray | None,
        rare: FloatArray | None = None,
        readers: Readers = (),
    ) -> None:
        """`edges` [M, T + 1] as `quantiles` gives them, `rare` [V] as `rarity` does; None: they are loaded later.

        `readers`: what reads texts, beside their words, and pictures.
        """
        super().__init__()
        self.model, self.types, self.readers = model, dict(types), readers
        columns = sum(COLUMNS[kind] for kind in types.values())
        given = np.zeros((columns, model.bins + 1)) if edges is None else edges
        self.register_buffer("edges", torch.tensor(given, dtype=torch.float32))
        self.whole: Mask = np.zeros(columns, dtype=bool)  # numbers [M] that no row lacked; of a lack nothing was learnt
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch warns where there are no numbers
            self.numbers = nn.Linear(columns * (model.bins + 1), model.dim)
        self.table = nn.Embedding(model.buckets, model.dim)
        nn.init.normal_(self.table.weight, std=0.1)
        self.blocks = nn.ModuleList(_Block(model.dim, model.dropout) for _ in range(model.blocks))
        self.words: nn.Embedding | None = None
        if WORDED & {*self.types.values()}:
            self.register_buffer(
                "idf", torch.tensor(np.zeros(model.words) if rare is None else rare, dtype=torch.float64)
            )
            self.words = nn.Embedding(model.words, model.dim)
            nn.init.zeros_(self.words.weight)  # a word that no training row has says nothing
        self.trained = tuple(one for one in readers if one.reads == "text" and model.tuned)
        self.looked_up = tuple(one for one in readers if one not in self.trained)
        self.vectors: nn.Linear | None = None
        self.widths = widths(types, self.looked_up)
        if self.widths:
            self.vectors = nn.Linear(sum(self.widths), model.dim, bias=False)
        self.tuned = TunedTexts(self.trained[0], types, model.tuned, model.dim) if self.trained else None

    def read(self, features: Features) -> dict[str, Tensor | Ragged]:
        """The numbers [B, M], the buckets of the categories [B, C] and, if any, words, and vectors.

        A number that no row lacked that was learnt from is at the middle of its bins where it is missing.
        """
        values = Values.of(features, self.looked_up)
        numbers = np.clip(values.numbers, -_LARGEST, _LARGEST).astype(np.float32)
        numbers = np.where(np.isnan(numbers) & self.whole, self._middle().cpu().numpy(), numbers)
        read: dict[str, Tensor | Ragged] = {
            NUMBERS: torch.from_numpy(numbers),
            BUCKETS: torch.from_numpy(values.buckets(self.model.buckets)),
        }
        if values.words:
            read[WORDS] = Ragged.of(weighted(values.words, self.idf.cpu().numpy()))
        if self.tuned is not None:
            read |= self.tuned.read(features)
        if self.widths:
            scale = np.sqrt(np.repeat(self.widths, self.widths))  # a vector of length one is one of mean square one
            read[VECTORS] = torch.from_numpy(values.vectors * scale.astype(np.float32))
        return read

    def combine(self, inputs: Mapping[str, Any]) -> Tensor:
        """The network's last layer: [B, D]."""
        return self.deepen(self.summed(inputs))

    def summed(self, inputs: Mapping[str, Any]) -> Tensor:
        """What all columns say together: [B, D]."""
        hidden: Tensor = self.numbers(piecewise(inputs[NUMBERS], self.edges).flatten(1))
        hidden = hidden + self.table(inputs[BUCKETS]).sum(dim=1)
        hidden = hidden if self.vectors is None else hidden + self.vectors(inputs[VECTORS])
        hidden = hidden if self.tuned is None else hidden + self.tuned(inputs).sum(dim=1)
        return hidden if self.words is None else hidden + self._said(self.words, inputs[WORDS])

    def deepen(self, hidden: Tensor) -> Tensor:
        """The blocks on the sum of what all columns say: [B, D]."""
        for block in self.blocks:
            hidden = block(hidden)
        return hidden

    def columns(self, features: Features) -> tuple[Tensor, Tensor]:
        """What each of X numbers, categories, words, texts and pictures adds to the sum, [B, X, D], and what without.

        Without it, [X, D], a number is at the middle of its bins, and a category or a text says nothing.
        """
        inputs: Mapping[str, Any] = self.read(features)
        weights = self.numbers.weight.view(self.model.dim, len(self.edges), self.model.bins + 1)
        said, usual = (
            torch.einsum("bmt,dmt->bmd", piecewise(numbers, self.edges), weights)
            for numbers in (inputs[NUMBERS], self._middle()[None])
        )
        rest = [self.table(inputs[BUCKETS])]
        if self.words is not None:
            read = [Ragged.of(weighted((one,), self.idf.numpy())) for one in Values.of(features).words]
            rest.append(torch.stack([self._said(self.words, one) for one in read], dim=1))
        if self.vectors is not None:
            given, theirs = (torch.split(one, self.widths, 1) for one in (inputs[VECTORS], self.vectors.weight))
            rest.append(torch.stack([one @ own.T for one, own in zip(given, theirs, strict=True)], dim=1))
        if self.tuned is not None:
            rest.append(self.tuned(inputs))
        others = torch.cat(rest, dim=1)
        return torch.cat([said, others], dim=1), torch.cat([usual[0], torch.zeros(others.shape[1:])])

    def further(self, types: Mapping[str, FeatureType]) -> IntArray:
        """Whose the columns are that stand behind numbers, categories, words and vectors, as places among features."""
        del types
        return np.empty(0, dtype=np.int64)

    def _middle(self) -> Tensor:
        return self.edges[:, self.model.bins // 2]

    def _said(self, words: nn.Embedding, read: Ragged) -> Tensor:
        """What the words of each row say together: [B, D]."""
        return functional.embedding_bag(
            read.places, words.weight, read.starts[:-1], mode="sum", per_sample_weights=read.weights
        )

    def optimizer(self, parameters: Iterable[nn.Parameter], rate: float) -> Optimizer:
        """AdamW (Loshchilov and Hutter, 2019), at a smaller rate for weights of a pretrained encoder."""
        slow = {id(weight) for weight in self.tuned.pretrained()} if self.tuned else set()
        parts: tuple[list[nn.Parameter], ...] = ([], [])
        for parameter in parameters:
            parts[id(parameter) in slow].append(parameter)
        rates = zip(parts, (rate, rate * _TUNED_RATE), strict=True)
        groups = [{"params": own, "lr": one} for own, one in rates if own]
        return AdamW(groups, weight_decay=self.model.weight_decay, fused=True)


class _Block(Block):
    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__(dim)
        self.layers = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Dropout(dropout), nn.Linear(2 * dim, dim)
        )

    def forward(self, hidden_BD: Tensor) -> Tensor:
        moved: Tensor = self.adapter(hidden_BD + self.layers(hidden_BD))
        return moved


def piecewise(numbers_BM: Tensor, edges: Tensor) -> Tensor:
    """How much of each bin lies below a number, in [0, 1], then 1 where it is missing: [B, M, T + 1].

    Bins without a width, where many rows have one number, are steps: whether a number is above. Beyond the last edges
    nothing changes any more.
    """
    missing = torch.isnan(numbers_BM)
    lower, width = edges[:, :-1], edges.diff(dim=1).clamp(min=_NARROWEST)
    filled = torch.where(missing, lower[:, 0], numbers_BM)[:, :, None]
    below = ((filled - lower) / width).clamp(0, 1)
    return torch.cat([below, missing[:, :, None].to(below.dtype)], dim=2)


def quantiles(several: Sequence[Values], bins: int) -> FloatArray:
    """Edges [M, bins + 1] of bins that hold equally many of the known numbers; zeros where none is known."""
    numbers = np.clip(Values.under(several).numbers, -_LARGEST, _LARGEST)
    shares = np.linspace(0, 1, bins + 1)
    known = [column[~np.isnan(column)] for column in numbers.T]
    return np.array([np.quantile(column, shares) if len(column) else 0 * shares for column in known]).reshape(
        -1, bins + 1
    )


def never_missing(several: Sequence[Values]) -> Mask:
    """Which numbers [M] all rows have."""
    return np.asarray(np.all([~np.isnan(one.numbers).any(axis=0) for one in several], axis=0))


def rarity(several: Sequence[Values], buckets: int) -> FloatArray | None:
    """What each word says by being rare among these rows [V], most where none has it; None where there are no texts."""
    rows = Values.under(several)
    return idf(len(rows), rows_with(rows.words, np.ones(len(rows)), buckets)) if rows.words else None
