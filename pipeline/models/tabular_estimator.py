"""A trained tabular network as it serves: the very modules that were trained, on the CPU, in one thread."""

from typing import Any, ClassVar, Self

import numpy as np
import torch
from scipy import sparse

from pipeline.config import TabularModel
from pipeline.models.bottleneck import insert, width_of
from pipeline.models.encoders.tabular import TabularEncoder
from pipeline.models.estimators import TAGGED, Estimator
from pipeline.models.feature_values import Values, by_feature, owners, text_owners
from pipeline.models.label_heads import ClassHead, LabelHead, NumberHead, TagHead
from pipeline.models.network import Network
from pipeline.models.ranker import Arrays
from pipeline.models.words import weighted
from pipeline.views import Features, FloatArray

ADAPTERS = "adapters"  # the width of the bottlenecks behind blocks
_STEPS = 256  # at which the gradient is taken: the sum is then right within about a hundredth


class TabularNetwork(Network):
    """Features of rows, and what is said of each."""

    encoder: TabularEncoder
    head: LabelHead


class TabularEstimator(Estimator):
    """What the head says of the encoder's features."""

    kind = "tabular"
    needs: ClassVar[tuple[str, ...]] = ("torch",)

    def __init__(self, network: TabularNetwork) -> None:
        """`network` is on the CPU, and trained no further."""
        self.network = network.eval()
        self.classes, self.tagged = network.head.classes, network.head.tagged

    @classmethod
    def of(cls, network: TabularNetwork) -> Self:
        """A copy of a network, which may be trained on."""
        return cls(network.merged())

    def raw(self, features: Features) -> FloatArray:
        """What the network says: [N, K]."""
        with torch.no_grad():
            said = self.network.head(self.network.encode(self.network.encoder.read(features)))
        return np.asarray(said.numpy(), dtype=np.float64)

    def parts(self, features: Features, told_NK: FloatArray) -> FloatArray:
        """Integrated gradients (Sundararajan, Taly and Yan, 2017) from medians of numbers and no category: [N, F].

        All columns meet in one sum before the first layer that is not linear. So the gradient along the straight way is
        one for all of them, and a column's part is its own step times the mean of that gradient.
        """
        steps, mean = self._way(features, told_NK)
        parts = torch.einsum("nxd,nd->nx", steps, mean).double().numpy()
        types = features.types
        return by_feature(parts, np.concatenate([*owners(types), text_owners(types)]), len(types))

    def word_parts(self, features: Features, told_NK: FloatArray) -> list[sparse.csr_matrix]:
        """The same of each word, whose vector is a step of the same way: [N, buckets] of each text."""
        encoder = self.network.encoder
        if encoder.words is None:
            return []
        _, mean = self._way(features, told_NK)
        vectors, found = encoder.words.weight.detach(), []
        for one in Values.of(features).words:
            read = weighted((one,), encoder.idf.numpy())
            owner = np.repeat(np.arange(len(told_NK)), np.diff(read.indptr))
            parts = read.data * (vectors[read.indices] * mean[owner]).sum(dim=1).double().numpy()
            found.append(sparse.csr_matrix((parts, read.indices, read.indptr), shape=read.shape))
        return found

    def _way(self, features: Features, told_NK: FloatArray) -> tuple[torch.Tensor, torch.Tensor]:
        """(what each column adds to the first sum [N, X, D], the mean gradient along the way [N, D])."""
        network = self.network
        with torch.no_grad():
            said, usual = network.encoder.columns(features)
            steps, start = said - usual, usual.sum(dim=0) + network.encoder.numbers.bias
        told, whole = torch.from_numpy(told_NK), steps.sum(dim=1)
        mean = torch.zeros_like(whole)
        for place, weight in zip(*np.polynomial.legendre.leggauss(_STEPS), strict=True):
            at = (start + whole * float(place + 1) / 2).requires_grad_()
            said = network.head(network.encoder.scaled(network.encoder.deepen(at)))
            mean += torch.autograd.grad((said * told).sum(), at)[0] * float(weight) / 2
        return steps, mean

    def own_state(self) -> tuple[dict[str, Any], Arrays]:
        """Weights, and what they are made for."""
        network = self.network
        settings = {
            "target": network.target,
            "types": list(network.encoder.types.items()),
            "model": network.encoder.model.model_dump(mode="json"),
            ADAPTERS: width_of(network.encoder),
        }
        return settings, {name: tensor.numpy() for name, tensor in network.shared_state().items()}

    @classmethod
    def from_own_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same modules with the same weights; from here on PyTorch has one thread, so that sums have one order."""
        torch.set_num_threads(1)
        model, classes = TabularModel(**settings["model"]), tuple(settings["classes"])
        with torch.device("meta"):  # nothing is drawn: the weights are there
            head = _head(model.dim, classes, tagged=bool(settings.get(TAGGED)))
            network = TabularNetwork(TabularEncoder(model, dict(settings["types"]), None), head, settings["target"])
            insert(network.encoder, settings.get(ADAPTERS, 0))
        own = network.state_dict()
        if own.keys() != arrays.keys() or any(own[name].shape != array.shape for name, array in arrays.items()):
            raise ValueError("weights of another network")
        network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()}, assign=True)
        return cls(network)


def _head(dim: int, classes: tuple[str, ...], *, tagged: bool) -> LabelHead:
    if not classes:
        return NumberHead(dim, 0.0, 1.0)
    return (TagHead if tagged else ClassHead)(dim, classes)
