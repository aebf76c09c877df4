"""Heads that predict a class, tags or a number from features.

Shapes: B rows of a side, D dimensions, K classes or tags.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.config import SEVERAL
from pipeline.models.network import Head
from pipeline.models.sides import Outputs

UNKNOWN = -1  # the place of a class that is not known


@dataclass(frozen=True)
class SeveralLabels:
    """Labels [B] of the same rows, one tensor a head; what is not known is as that head has it."""

    each: tuple[Tensor, ...]

    def __getitem__(self, rows: Tensor) -> "SeveralLabels":
        """Those of some rows."""
        return SeveralLabels(tuple(one[rows] for one in self.each))

    def to(self, device: torch.device) -> "SeveralLabels":
        """The same on another device."""
        return SeveralLabels(tuple(one.to(device) for one in self.each))


class LabelHead(Head):
    """Says something of each row that stands for itself."""

    predicts: str  # the kind of label
    tagged: bool = False  # whether a row may have any number of them at once
    linear = True

    @abstractmethod
    def forward(self, features_BD: Tensor) -> Tensor:
        """Logarithms of probabilities [B, K], up to one constant a row; of tags log odds, of a number itself [B, 1]."""

    @abstractmethod
    def divergence(self, features_BD: Tensor, told_BK: Tensor, temperature: float) -> Tensor:
        """How far what is said of each row is from what a teacher says, NaN of what it does not know: [B].

        See `pipeline.transfer.taught.Taught`.
        """


class ClassHead(LabelHead):
    """Softmax over classes, each with weights of its own by its name: nothing else of a class has to fit elsewhere."""

    predicts = "classes"

    def __init__(self, dim: int, classes: tuple[str, ...]) -> None:
        super().__init__()
        self.classes = classes
        self.rows = nn.ParameterDict({_key(name): _row(dim) for name in classes})

    def forward(self, features_BD: Tensor) -> Tensor:
        """Features times the row of each class, plus its last entry: [B, K]."""
        rows_KD = torch.stack([self.rows[_key(name)] for name in self.classes])
        return functional.linear(features_BD, rows_KD[:, :-1], rows_KD[:, -1])

    def losses(self, output: Outputs) -> Tensor:
        """Cross-entropy of each row, zero where its class is not known; labels are places among the classes."""
        labels = output.side.labels
        assert isinstance(labels, Tensor)
        return functional.cross_entropy(self(output.features_BD), labels, ignore_index=UNKNOWN, reduction="none")

    def divergence(self, features_BD: Tensor, told_BK: Tensor, temperature: float) -> Tensor:
        """T^2 KL(teacher | student), both over the classes that the teacher knows."""
        known_K = ~told_BK.isnan().any(dim=0)
        said = (self(features_BD)[:, known_K] / temperature).log_softmax(dim=1)
        told = (told_BK[:, known_K].to(said.dtype) / temperature).log_softmax(dim=1)
        found: Tensor = functional.kl_div(said, told, reduction="none", log_target=True).sum(dim=1)
        return found * temperature**2

    def wanted(self, labels: Tensor) -> Tensor:
        """One for the class of each row, zero for the others."""
        return functional.one_hot(labels, len(self.classes))


class TagHead(ClassHead):
    """A sigmoid for each tag, with weights of its own by its name."""

    predicts = "tags"
    tagged = True

    def losses(self, output: Outputs) -> Tensor:
        """Binary cross-entropy of each row, the mean of the tags that its label says something of: [B].

        Labels are ones and zeros [B, K], NaN where a row says nothing.
        """
        labels = output.side.labels
        assert isinstance(labels, Tensor)
        said = self(output.features_BD)
        known = ~labels.isnan()
        each = functional.binary_cross_entropy_with_logits(said, labels.nan_to_num().to(said.dtype), reduction="none")
        return (each * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)

    def divergence(self, features_BD: Tensor, told_BK: Tensor, temperature: float) -> Tensor:
        """The mean of T^2 KL(teacher | student) over the tags that the teacher knows, each there or not."""
        known_K = ~told_BK.isnan().any(dim=0)
        if not known_K.any():
            return features_BD.new_zeros(len(features_BD))
        said, told = self(features_BD)[:, known_K] / temperature, told_BK[:, known_K] / temperature
        odds = told.to(said.dtype).sigmoid()
        cross = functional.binary_cross_entropy_with_logits(said, odds, reduction="none")
        own = torch.special.entr(odds) + torch.special.entr(1 - odds)
        found: Tensor = (cross - own).mean(dim=1)
        return found * temperature**2

    def wanted(self, labels: Tensor) -> Tensor:
        """The labels: of the target each row says something of every tag."""
        return labels


class NumberHead(LabelHead):
    """A linear function of the features, in units of the spread of what was learnt from."""

    predicts = "numbers"
    mean: Tensor
    scale: Tensor

    def __init__(self, dim: int, mean: float, scale: float) -> None:
        super().__init__()
        self.row = _row(dim)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float64))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float64))

    def forward(self, features_BD: Tensor) -> Tensor:
        """In the label's own units: [B, 1]."""
        return self._standard(features_BD).double()[:, None] * self.scale + self.mean

    def losses(self, output: Outputs) -> Tensor:
        """Squared error of each row in units of the spread; labels are numbers, and where one is NaN it is zero."""
        labels = output.side.labels
        assert isinstance(labels, Tensor)
        wanted = ((labels.nan_to_num() - self.mean) / self.scale).to(output.features_BD.dtype)
        return (self._standard(output.features_BD) - wanted).square() * ~labels.isnan()

    def divergence(self, features_BD: Tensor, told_BK: Tensor, temperature: float) -> Tensor:
        """The squared distance in units of the spread, zero where it is not known; there is no temperature."""
        del temperature
        told_B = ((told_BK[:, 0].nan_to_num() - self.mean) / self.scale).to(features_BD.dtype)
        return (self._standard(features_BD) - told_B).square() * ~told_BK[:, 0].isnan()

    def wanted(self, labels: Tensor) -> Tensor:
        """The number in units of the spread."""
        return ((labels - self.mean) / self.scale)[:, None]

    def _standard(self, features_BD: Tensor) -> Tensor:
        return features_BD @ self.row[:-1] + self.row[-1]


class SeveralHead(LabelHead):
    """A head for each label; the loss of a row is the sum of theirs, each zero where its label is not known."""

    predicts = next(iter(SEVERAL))
    linear = False

    def __init__(self, heads: Mapping[str, LabelHead], untaught: Collection[str] = ()) -> None:
        """`heads`: by the label's name, in the order of the labels; `untaught` are those that no row has."""
        super().__init__()
        self.names = tuple(heads)
        self.untaught = tuple(f"heads.{place}." for place, name in enumerate(heads) if name in untaught)
        self.heads = nn.ModuleList(heads.values())

    @property
    def each(self) -> dict[str, LabelHead]:
        """The heads by the label's name."""
        heads = [head for head in self.heads if isinstance(head, LabelHead)]  # nn.ModuleList forgets that
        return dict(zip(self.names, heads, strict=True))

    def forward(self, features_BD: Tensor) -> Tensor:
        """What all heads say, beside each other."""
        return torch.cat([head(features_BD) for head in self.each.values()], dim=1)

    def divergence(self, features_BD: Tensor, told_BK: Tensor, temperature: float) -> Tensor:
        """The sum over the labels."""
        told = torch.split(told_BK, [len(head.classes) or 1 for head in self.each.values()], dim=1)
        found = [
            head.divergence(features_BD, own, temperature) for head, own in zip(self.each.values(), told, strict=True)
        ]
        return torch.stack(found).sum(dim=0)

    def losses(self, output: Outputs) -> Tensor:
        """The sum over the labels; labels are `SeveralLabels`."""
        labels = output.side.labels
        assert isinstance(labels, SeveralLabels)
        alone = [Outputs(replace(output.side, labels=one), output.features_BD) for one in labels.each]
        found = [head.losses(one) for head, one in zip(self.each.values(), alone, strict=True)]
        return torch.stack(found).sum(dim=0)


def _row(dim: int) -> nn.Parameter:
    row = torch.empty(dim + 1).uniform_(-(dim**-0.5), dim**-0.5)
    row[-1] = 0.0
    return nn.Parameter(row)


def _key(name: str) -> str:
    """A name as PyTorch can have it for that of a weight, whatever a class is called."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]
