"""Texts as a pretrained encoder says them whose last layers train with the network that reads them.

What lies below, the vectors of its words among it, stays what it is, is named by its fingerprint and is not carried.

Shapes: B rows, F texts of a row, E numbers of a vector, D dimensions of the network.
"""

import copy
from collections.abc import Mapping
from functools import partial
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pipeline.config import TEXTS, FeatureType
from pipeline.data.embeddings import is_empty
from pipeline.errors import UserError
from pipeline.models.encoded import Reader
from pipeline.models.low_rank import products_of, whole_weights
from pipeline.models.pretrained import batches, meant
from pipeline.models.ragged import Ragged
from pipeline.views import Features

_PARTS = 512  # that are read together: of the few texts of a batch no more are of about one length
_LENT = Lock()  # an encoder lends its layers' places to one thread at a time


class TunedTexts(nn.Module):
    """What each text of a row adds to the network's first sum: U (vector of length sqrt(E)); an empty one nothing.

    Its `layers` hold weights and are not called: the encoder's own formula is, with them in the place of its last ones,
    whichever architecture it is of. Its dropout stays off.
    """

    def __init__(self, reader: Reader, types: Mapping[str, FeatureType], count: int, dim: int) -> None:
        """`count`: how many layers train.

        Raises:
            UserError: the encoder is not there, is another one now, or has fewer layers.
        """
        super().__init__()
        self.reader, self.names = reader, [name for name, kind in types.items() if kind in TEXTS]
        with torch.device("cpu"):  # also where a network is made without weights, which are there
            own, every = _layers(reader.opened().model, reader.encoder)
            if count > len(every):
                raise UserError(f"tuned: {reader.encoder} has {len(every)} layers, got {count}; name so many or fewer.")
            self.layers = nn.ModuleList(copy.deepcopy(layer) for layer in every[len(every) - count :])
        self.layers.requires_grad_().train()
        self.places = [f"{own}.{place}" for place in range(len(every) - count, len(every))]
        self.linear = nn.Linear(len(self.names) * reader.dim, dim, bias=False)

    def read(self, features: Features) -> dict[str, Tensor | Ragged]:
        """The parts of each text by number, up to the encoder's limit; none of an empty one."""
        encoder, found = self.reader.opened(), dict[str, Tensor | Ragged]()
        for name in self.names:
            texts = features.table[name]
            said = zip(texts, is_empty(texts), strict=True)
            found[_key(name)] = Ragged.listed([[] if empty else encoder.parts(text)[0] for text, empty in said])
        return found

    def forward(self, inputs: Mapping[str, Any]) -> Tensor:
        """What each text adds: [B, F, D]."""
        own = torch.split(self.linear.weight, self.reader.dim, dim=1)
        read = [self._vectors(inputs[_key(name)]) for name in self.names]
        return torch.stack([one @ weight.T for one, weight in zip(read, own, strict=True)], dim=1)

    def pretrained(self) -> list[nn.Parameter]:
        """The encoder's weights, without what a strategy put beside them."""
        beside = {id(one) for one in products_of(self.layers)}
        return [one for one in self.layers.parameters() if id(one) not in beside]

    def _vectors(self, read: Ragged) -> Tensor:
        """[B, E] of mean square one; texts of about one length are read together, so that few places are filled up."""
        lengths = read.starts.diff().cpu().numpy()
        lists = [one.tolist() for one in torch.split(read.places.cpu(), lengths.tolist())]
        encoder, device = self.reader.opened(), self.linear.weight.device
        weights = {name: one.to(encoder.device) for name, one in self._weights().items()}
        model = partial(_lent, encoder.lending, weights)
        found = read.weights.new_zeros(len(read), self.reader.dim)
        for places in batches(lengths, _PARTS):
            if len(there := places[lengths[places] > 0]):
                said = meant(model, [lists[place] for place in there], encoder.device).to(device)
                found = found.index_copy(0, torch.from_numpy(there).to(device), said)
        long: Tensor = found * self.reader.dim**0.5
        return long

    def _weights(self) -> dict[str, Tensor]:
        """Those of the layers by the names that they have in the encoder; a product beside one is part of it."""
        return {
            f"{place}.{name}": weight
            for place, layer in zip(self.places, self.layers, strict=True)
            for name, weight in whole_weights(layer).items()
        }


def _lent(model: nn.Module, weights: Mapping[str, Tensor], **inputs: Tensor) -> Any:
    """What a model says with other weights in the place of its own."""
    with _LENT:
        return functional_call(model, dict(weights), kwargs=inputs)


def _layers(model: Any, encoder: str) -> tuple[str, nn.ModuleList]:
    """The list of a model's layers, and its name.

    Raises:
        UserError: it has none, as where all layers are one.
    """
    count = model.config.num_hidden_layers
    lists = [(name, one) for name, one in model.named_modules() if isinstance(one, nn.ModuleList) and len(one) == count]
    if not lists:
        raise UserError(f"tuned: {encoder} has no list of {count} layers of which some could train; leave `tuned` out.")
    return lists[0]


def _key(name: str) -> str:
    return f"parts of {name}"
