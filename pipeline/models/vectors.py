"""Ranking by vectors of items and a prior, in plain arrays: what a trained history model becomes when it serves."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.models.ranker import Arrays, Ranker, Scores

if TYPE_CHECKING:
    from pipeline.data.prepared import Histories
    from pipeline.models.network import Network

Vectors = NDArray[np.float32]


class VectorRanker(Ranker):
    """s = normalise(sum_d gate_d * mean-like sum of the history's vectors) . normalise(x_i) / temperature + prior."""

    kind = "vectors"

    def __init__(
        self, target: str, inputs: dict[str, Vectors], gates: dict[str, float], prior: Vectors, temperature: float
    ) -> None:
        self.target, self.inputs, self.gates = target, inputs, gates
        self.prior, self.temperature = prior, temperature
        self._outputs_T = np.ascontiguousarray(unit(inputs[target]).T) / np.float32(temperature)

    def features(self, histories: "Histories") -> Vectors:
        """The users' vectors [n, D], of length one, zero where all histories are empty."""
        rows = next(iter(histories.values())).shape[0]
        total = np.zeros((rows, self.inputs[self.target].shape[1]), dtype=np.float32)
        for name, vectors in self.inputs.items():
            if name in histories:
                mass = np.diff(histories[name].indptr).clip(min=1).astype(np.float32)
                bags = np.asarray(histories[name] @ vectors, dtype=np.float32)
                total += np.float32(self.gates[name]) * bags / np.sqrt(mass)[:, None]
        return unit(total)

    def scores(self, histories: "Histories") -> Scores:
        """Cosine over temperature, plus the prior."""
        return np.asarray(self.features(histories) @ self._outputs_T + self.prior, dtype=np.float32)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Vectors of all domains that are read, and the prior."""
        settings = {"target": self.target, "temperature": self.temperature, "gates": self.gates}
        return settings, {"prior": self.prior, **{f"inputs/{name}": table for name, table in self.inputs.items()}}

    @classmethod
    def from_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """From the vectors and the prior."""
        inputs = {name.removeprefix("inputs/"): value for name, value in arrays.items() if name.startswith("inputs/")}
        return cls(settings["target"], inputs, settings["gates"], arrays["prior"], settings["temperature"])


def unit(vectors: Vectors) -> Vectors:
    """Rows scaled to length one; a zero row stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, np.float32(1e-12)), dtype=np.float32)


def vector_ranker(
    network: "Network", target: str, names: tuple[str, ...], *, counts: "NDArray[Any] | None" = None,
    prior_weight: float = 1.0,
) -> VectorRanker:  # fmt: skip
    """What serves of a network: plain arrays, no torch.

    Args:
        network: An encoder of histories, and a head that ranks items.
        target: The domain whose items are ranked.
        names: The domains whose histories are read.
        counts: [I_target] how often each item was taken, for the prior; without, as the head was told.
        prior_weight: Times the prior. Training has it at 1; with few rows vectors say less than they seem to.
    """
    import torch

    from pipeline.models.encoders.history import HistoryEncoder
    from pipeline.models.heads import ItemsHead

    items, encoder, head = network.items, network.encoder, network.head
    assert isinstance(encoder, HistoryEncoder)
    assert isinstance(head, ItemsHead)
    with torch.no_grad():
        every = {name: torch.arange(items.of(name).count, device=items.words.weight.device) for name in names}
        tables = {name: items.vectors(name, every[name]).numpy(force=True).copy() for name in names}
        known = head.counts(target) if counts is None else torch.from_numpy(counts).float()
        prior = (prior_weight * known.log1p()).numpy(force=True).copy()
        gates = {name: float(encoder.gates[name].exp()) for name in names}
    return VectorRanker(target, tables, gates, prior, head.temperature)
