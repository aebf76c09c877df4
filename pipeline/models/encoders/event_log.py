"""The last events of a log, attended to from the newest, beside what features count of it.

Shapes: B rows in a batch, L events that are read, the newest first, D dimensions, H heads.

    x_l = kind[l] + gap[l] + item[l] + own[l] + place_l          vectors of codes, see `codes`
    a = softmax_l(q(normalise(x_1)) . k(normalise(x_l)) / sqrt(D / H)) . v(normalise(x_l))   in each head
    h = (what the features say) + W a, then the blocks of the tabular encoder

That is the last place of one layer of a causal transformer (Vaswani et al., 2017), the only one that is predicted from.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.config import FeatureModel, FeatureType
from pipeline.config.models import EventModel
from pipeline.config.tasks import LASTS
from pipeline.models.encoded import Readers
from pipeline.models.encoders.tabular import TabularEncoder
from pipeline.models.ragged import Ragged
from pipeline.past import Log
from pipeline.views import Features, FloatArray, IntArray

LOG = "log"  # the name of what it reads
_KINDS, _GAPS, _SIDES = 32, 25, 2  # codes of a kind, of a gap, of whether something is so
_SIZES = (_KINDS, _GAPS, _SIDES, _SIDES)
_PLACES = 64  # events at most
_START = 0.1  # deviation of the vectors at the start, that of the categories


class EventEncoder(TabularEncoder):
    """Encodes rows of features and of the events before them."""

    def __init__(
        self,
        model: FeatureModel,
        types: Mapping[str, FeatureType],
        edges: FloatArray | None,
        rare: FloatArray | None = None,
        readers: Readers = (),
    ) -> None:
        """As the tabular encoder."""
        super().__init__(model, types, edges, rare, readers)
        assert isinstance(model, EventModel)
        self.heads = model.heads
        self.codes = nn.Embedding(sum(_SIZES), model.dim)
        self.places = nn.Embedding(_PLACES, model.dim)
        for table in (self.codes, self.places):
            nn.init.normal_(table.weight, std=_START)
        self.before = nn.LayerNorm(model.dim)
        self.asks, self.shows = nn.Linear(model.dim, model.dim), nn.Linear(model.dim, 2 * model.dim)
        self.says = nn.Linear(model.dim, model.dim, bias=False)  # without an event nothing is said

    def read(self, features: Features) -> dict[str, Tensor | Ragged]:
        """What the tabular encoder reads, and the codes of the events [B, L, 4]; the first is -1 where there is none.

        Raises:
            ValueError: the rows have no log.
        """
        if features.log is None:
            raise ValueError("a model of events reads a log, and these rows have none")
        return {**super().read(features), LOG: torch.from_numpy(codes(features.log))}

    def summed(self, inputs: Mapping[str, Any]) -> Tensor:
        """What all columns and the events say together: [B, D]."""
        return super().summed(inputs) + self._attended(inputs[LOG])

    def columns(self, features: Features) -> tuple[Tensor, Tensor]:
        """As the tabular encoder, and last what the events add, which without any of them is nothing."""
        said, usual = super().columns(features)
        events = self._attended(self.read(features)[LOG])[:, None]
        return torch.cat([said, events], dim=1), torch.cat([usual, torch.zeros(1, self.model.dim)])

    def further(self, types: Mapping[str, FeatureType]) -> IntArray:
        """What the events say stands with the feature that is the last of them."""
        return np.array([list(types).index(LASTS[0])], dtype=np.int64)

    def _attended(self, codes_BL4: Any) -> Tensor:
        there = codes_BL4[:, :, 0] >= 0
        rows, length, _ = codes_BL4.shape
        offsets = torch.tensor([0, *np.cumsum(_SIZES)[:-1]], device=codes_BL4.device)
        looked = codes_BL4.clamp(min=0).long() + offsets
        events = nn.functional.embedding_bag(looked.view(-1, len(_SIZES)), self.codes.weight, mode="sum")
        normal = self.before(events.view(rows, length, -1) + self.places.weight[:length])
        query = self.asks(normal[:, :1]).view(rows, 1, self.heads, -1).transpose(1, 2)
        key, value = self.shows(normal).view(rows, length, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = there | ~there.any(dim=1, keepdim=True)  # of nothing all is looked at, and nothing said
        heard = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=seen[:, None, None, :])
        said: Tensor = self.says(heard.transpose(1, 2).reshape(rows, -1))
        found: Tensor = said * there[:, :1]
        return found


def codes(log: Log) -> np.ndarray[Any, np.dtype[np.int8]]:
    """[N, L, 4] the kind, the gap to the event before by powers of two of seconds, 0 unknown, item and own."""
    gap = np.where(np.isnan(log.gap), 0, 1 + np.log2(1 + np.nan_to_num(log.gap).clip(min=0)))
    columns: Sequence[Any] = (log.kind, gap.clip(max=_GAPS - 1), log.item, log.own)
    return np.stack([np.floor(one).astype(np.int8) for one in columns], axis=2)
