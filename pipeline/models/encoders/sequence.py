"""A user as what a causal transformer makes of what the user did last, in all domains and in order.

Shapes: S sequences of a batch, T events of all of them end to end, L of the longest, R features that are asked for,
D dimensions.

    h_t = sqrt(D) normalise(x_t) + position_t + domain_t + since_t + kind_t, then for each block (pre-norm)
    h <- h + attend(normalise(h)), h <- h + W' gelu(W normalise(h))

x are the vectors of an item space; `since` are those of the gap to the event before, `kind` those of the kind of event,
each nothing where it is not known. The gap from the last event to the time of asking has vectors as well, which are
added to what the last block says of it. An event attends to itself and to what came before it in its own sequence (Kang
and McAuley, "Self-Attentive Sequential Recommendation", 2018). Everything but attention is computed event by event,
without padding; for attention sequences of about one length stand side by side.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from pipeline.config import SequenceModel
from pipeline.models.bottleneck import Block
from pipeline.models.events import Events, EventTable
from pipeline.models.gathering import distinct
from pipeline.models.items import Vectors
from pipeline.models.network import ItemEncoder
from pipeline.models.optimizer import Pair, RowAdagrad
from pipeline.models.sides import Inputs
from pipeline.past import KINDS

if TYPE_CHECKING:
    from pipeline.past import Histories

EVENTS = "events"  # the name of what it reads
_LAYERS = 0.01  # the rate of AdamW as a share of Adagrad's: both are then near what is usual
_START = 0.02  # deviation of positions and domains at the start
_GAPS = 32  # codes of a gap: 34 years and more are one
_UNTOLD = 0.1  # share of gaps and kinds that training leaves out


class SequenceEncoder(ItemEncoder):
    """Encodes sequences of events in some domains."""

    def __init__(self, model: SequenceModel, vectors: Vectors, domains: Iterable[str]) -> None:
        """`vectors` looks items up in the space that the head ranks in."""
        super().__init__()
        self.model, self.vectors = model, vectors
        self.domains = nn.ParameterDict({name: nn.Parameter(_START * torch.randn(model.dim)) for name in domains})
        self.positions = nn.Embedding(model.length, model.dim)
        nn.init.normal_(self.positions.weight, std=_START)
        self.dropout = nn.Dropout(model.dropout)
        self.blocks = nn.ModuleList(_Block(model) for _ in range(model.blocks))
        self.norm = nn.LayerNorm(model.dim)
        self.since, self.until = (_codes(_GAPS, model.dim) if model.gaps else None for _ in range(2))
        self.kinds = _codes(KINDS + 1, model.dim) if model.kinds else None

    def read(self, histories: "Histories") -> dict[str, Events]:
        """The last events of each user, in all domains that it knows; an absent domain counts as empty."""
        return {EVENTS: EventTable.of(histories, list(self.domains)).last(self.model.length)}

    def combine(self, inputs: Inputs) -> Tensor:
        """What the last block says after each event that is asked for: [R, D], zero where there is no event."""
        events: Events = inputs[EVENTS]
        hidden, shape = self._embedded(events), _Shape.of(events.starts)
        for block in self.blocks:
            hidden = block(hidden, shape)
        said = self.norm(hidden)
        said = torch.cat([said, said.new_zeros(1, said.shape[1])]).index_select(0, events.asked)
        return said if self.until is None else said + self.until(self._told(gap_codes(events.until())))

    def own(self) -> list[nn.Parameter]:
        """What each domain's events have in common."""
        return list(self.domains.parameters())

    def optimizer(self, parameters: Iterable[nn.Parameter], rate: float) -> Optimizer:
        """Adagrad for the items, and AdamW (Loshchilov and Hutter, 2019) at a hundredth of its rate for the layers."""
        layers = {id(parameter) for parameter in self.parameters()}
        every = list(parameters)
        return Pair(
            [one for one in every if id(one) not in layers],
            lambda chosen: RowAdagrad(chosen, lr=rate),
            [one for one in every if id(one) in layers],
            lambda chosen: AdamW(chosen, lr=_LAYERS * rate, weight_decay=self.model.weight_decay, fused=True),
        )

    def _embedded(self, events: Events) -> Tensor:
        """What each event is, where it stands, and which domain it is of: [T, D]."""
        lengths = events.starts.diff()
        place = torch.arange(len(events.items), device=lengths.device)
        place = place - torch.repeat_interleave(events.starts[:-1], lengths)
        hidden = self.positions(place)
        for table, codes in ((self.since, gap_codes(events.since())), (self.kinds, events.kinds)):
            if table is not None:
                hidden = hidden + table(self._told(codes))
        for code, name in enumerate(events.names):
            mine = torch.nonzero(events.domains == code).squeeze(1)
            if len(mine):
                items, where = distinct(events.items[mine])
                vectors = functional.normalize(self.vectors(name, items), dim=-1) * self.model.dim**0.5
                hidden = hidden.index_add(0, mine, vectors.index_select(0, where) + self.domains[name])
        embedded: Tensor = self.dropout(hidden)
        return embedded

    def _told(self, codes: Tensor) -> Tensor:
        """Codes, of which training leaves some out, so that what is not told later was met before."""
        if not self.training or not codes.any():
            return codes
        return codes * (torch.rand(len(codes), device=codes.device) >= _UNTOLD)


def gap_codes(seconds: Tensor) -> Tensor:
    """Gaps [n] by powers of two of seconds: int64 from 1, and 0 where one is not known; a negative one is none."""
    codes = (1 + torch.log2(1 + seconds.clamp(min=0))).floor().clamp(max=_GAPS - 1)
    return torch.where(seconds.isnan(), 0, codes).long()


def _codes(count: int, dim: int) -> nn.Embedding:
    """Vectors of codes, of which 0 says nothing; all begin there, so that data without them loses nothing by them."""
    return nn.Embedding(count, dim, padding_idx=0, _weight=torch.zeros(count, dim))


@dataclass(frozen=True, eq=False)
class _Shape:
    """How events stand side by side for attention.

    Args:
        groups: [S_g, L_g] of each group of sequences: which event stands where; T where there is none.
        back: [T] where each event is among all places of the groups.
    """

    groups: list[Tensor]
    back: Tensor

    @classmethod
    def of(cls, starts: Tensor) -> "_Shape":
        """Sequences between two powers of two in one group, so that less than half of its places are empty."""
        lengths, count = starts.diff(), int(starts[-1])
        levels = torch.ceil(torch.log2(lengths.clamp(min=1).double()))
        groups, back, before = [], torch.empty(count, dtype=torch.int64, device=starts.device), 0
        for level in torch.unique(levels[lengths > 0]):
            mine = (levels == level) & (lengths > 0)
            own, begins = lengths[mine], starts[:-1][mine]
            place = torch.arange(int(own.max()), device=starts.device)
            there = place[None, :] < own[:, None]
            group = torch.where(there, begins[:, None] + place[None, :], count)
            back[group[there]] = before + torch.nonzero(there.flatten()).squeeze(1)
            groups.append(group)
            before += group.numel()
        return cls(groups, back)


class _Block(Block):
    def __init__(self, model: SequenceModel) -> None:
        super().__init__(model.dim)
        self.heads = model.heads
        self.before_attention, self.before_layers = nn.LayerNorm(model.dim), nn.LayerNorm(model.dim)
        self.asks, self.says = nn.Linear(model.dim, 3 * model.dim), nn.Linear(model.dim, model.dim)
        width = model.feedforward * model.dim
        self.layers = nn.Sequential(
            nn.Linear(model.dim, width),
            nn.GELU(),
            nn.Dropout(model.dropout),
            nn.Linear(width, model.dim),
        )
        self.dropout = nn.Dropout(model.dropout)

    def forward(self, hidden_TD: Tensor, shape: _Shape) -> Tensor:
        attended = self.says(self._attended(self.asks(self.before_attention(hidden_TD)), shape))
        hidden_TD = hidden_TD + self.dropout(attended)
        moved: Tensor = self.adapter(hidden_TD + self.dropout(self.layers(self.before_layers(hidden_TD))))
        return moved

    def _attended(self, asked: Tensor, shape: _Shape) -> Tensor:
        """What each event hears of those before it and of itself: [T, D]; what stands after a sequence is not heard."""
        padded = torch.cat([asked, asked.new_zeros(1, asked.shape[1])])
        heard = []
        for group in shape.groups:
            sequences, longest = group.shape
            parts: Any = padded.index_select(0, group.flatten()).view(sequences, longest, 3, self.heads, -1)
            query, key, value = parts.permute(2, 0, 3, 1, 4)
            answer = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            heard.append(answer.transpose(1, 2).reshape(sequences * longest, -1))
        every = torch.cat(heard) if heard else asked.new_zeros(0, self.dim)
        return every.index_select(0, shape.back)
