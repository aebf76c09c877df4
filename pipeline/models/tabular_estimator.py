"""A trained tabular network as it serves: the very modules that were trained, on the CPU, in one thread."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from pydantic import TypeAdapter
from scipy import sparse

from pipeline.config import FeatureModel, Model, TrainSettings
from pipeline.data.encoder_folders import fingerprint_of
from pipeline.errors import UserError
from pipeline.models.bottleneck import insert, width_of
from pipeline.models.encoded import Readers, needs_of, readers_from, states_of, vector_owners
from pipeline.models.encoders.event_log import EventEncoder
from pipeline.models.encoders.tabular import TabularEncoder
from pipeline.models.estimators import TAGGED, Estimator, Parts
from pipeline.models.feature_values import Values, by_feature, owners, text_owners
from pipeline.models.label_heads import ClassHead, LabelHead, NumberHead, SeveralHead, TagHead
from pipeline.models.learner import Taught
from pipeline.models.network import Network
from pipeline.models.ranker import Arrays
from pipeline.models.several import SeveralEstimator
from pipeline.models.words import weighted
from pipeline.views import Features, FloatArray

ADAPTERS = "adapters"  # the width of the bottlenecks behind blocks
WHOLE = "whole"  # which numbers no row lacked that was learnt from
_STEPS = 256  # at which the gradient is taken: the sum is then right within about a hundredth


# kind of model -> its encoder
ENCODERS: dict[str, type[TabularEncoder]] = {"tabular": TabularEncoder, "events": EventEncoder}


class TabularNetwork(Network):
    """Features of rows, and what is said of each."""

    encoder: TabularEncoder
    head: LabelHead

    def shared_state(self) -> dict[str, torch.Tensor]:
        """All weights by name, but those of heads that no row taught: what starts from here has its own."""
        untaught = self.head.untaught if isinstance(self.head, SeveralHead) else ()
        every = super().shared_state()
        return {name: one for name, one in every.items() if not name.removeprefix("head.").startswith(untaught)}


class TabularEstimator(Estimator):
    """What the head says of the encoder's features."""

    kind = "tabular"
    needs: tuple[str, ...] = ("torch",)

    def __init__(self, network: TabularNetwork) -> None:
        """`network` is on the CPU, and trained no further."""
        self.network = network.eval()
        self.classes, self.tagged = network.head.classes, network.head.tagged
        self.needs = tuple({*self.needs, *needs_of(network.encoder.readers)})

    @classmethod
    def of(cls, network: TabularNetwork) -> Self | SeveralEstimator:
        """A copy of a network, which may be trained on; of several labels one for each, with the same encoder."""
        own = network.merged()
        if not isinstance(own.head, SeveralHead):
            return cls(own)
        return SeveralEstimator(
            {name: cls(TabularNetwork(own.encoder, head, own.target)) for name, head in own.head.each.items()}
        )

    def raw(self, features: Features) -> FloatArray:
        """What the network says: [N, K]."""
        with torch.no_grad():
            said = self.network.head(self.network.encode(self.network.encoder.read(features)))
        return np.asarray(said.numpy(), dtype=np.float64)

    def parts(self, features: Features, told_NK: FloatArray) -> Parts:
        """Integrated gradients (Sundararajan, Taly and Yan, 2017) from medians of numbers, no category and no word.

        All columns meet in one sum before the first layer that is not linear. So the gradient along the straight way is
        one for all of them, and the part of a column or word is its own step times the mean of that gradient.
        """
        steps, mean = self._way(features, told_NK)
        parts = torch.einsum("nxd,nd->nx", steps, mean).double().numpy()
        types, encoder = features.types, self.network.encoder
        meant = [vector_owners(types, readers) for readers in (encoder.looked_up, encoder.trained)]
        whose = np.concatenate([*owners(types), text_owners(types), *meant, encoder.further(types)])
        found = by_feature(parts, whose, len(types))
        if encoder.words is None:
            return Parts(found)
        vectors, words = encoder.words.weight.detach(), []
        for one in Values.of(features).words:
            read = weighted((one,), encoder.idf.numpy())
            owner = np.repeat(np.arange(len(told_NK)), np.diff(read.indptr))
            added = read.data * (vectors[read.indices] * mean[owner]).sum(dim=1).double().numpy()
            words.append(sparse.csr_matrix((added, read.indices, read.indptr), shape=read.shape))
        return Parts(found, tuple(words))

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

    @property
    def readers(self) -> Readers:
        """Those of its encoder."""
        return self.network.encoder.readers

    def own_state(self) -> tuple[dict[str, Any], Arrays]:
        """Weights, and what they are made for."""
        network = self.network
        settings = {
            "target": network.target,
            "types": list(network.encoder.types.items()),
            "model": network.encoder.model.model_dump(mode="json"),
            WHOLE: network.encoder.whole.tolist(),
            ADAPTERS: width_of(network.encoder),
            **states_of(network.encoder.readers),
        }
        return settings, {name: tensor.numpy() for name, tensor in network.shared_state().items()}

    @classmethod
    def from_own_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The same modules with the same weights; from here on PyTorch has one thread, so that sums have one order."""
        torch.set_num_threads(1)
        model = TypeAdapter(Model).validate_python(settings["model"])
        assert isinstance(model, FeatureModel)
        classes = tuple(settings["classes"])
        with torch.device("meta"):  # nothing is drawn: the weights are there
            head = _head(model.dim, classes, tagged=bool(settings.get(TAGGED)))
            readers = readers_from(settings)
            encoder = ENCODERS[model.name](model, dict(settings["types"]), None, readers=readers)
            network = TabularNetwork(encoder, head, settings["target"])
            insert(network.encoder, settings.get(ADAPTERS, 0))
        encoder.whole = np.array(settings.get(WHOLE, encoder.whole), dtype=bool)  # of it older packages do not tell
        own = network.state_dict()
        if own.keys() != arrays.keys() or any(own[name].shape != array.shape for name, array in arrays.items()):
            raise ValueError("weights of another network")
        network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()}, assign=True)
        return cls(network)


def _head(dim: int, classes: tuple[str, ...], *, tagged: bool) -> LabelHead:
    if not classes:
        return NumberHead(dim, 0.0, 1.0)
    return (TagHead if tagged else ClassHead)(dim, classes)


def start_of(parts: Mapping[str, TabularEstimator], settings: TrainSettings) -> tuple[dict[str, torch.Tensor], Taught]:
    """Weights that a network of a scenario may begin with, and the classes of each label that they know.

    `parts` are of one network, by the labels of the scenario; a label without one is for the target's rows to teach.

    Raises:
        UserError: the network is of another size, reads texts or pictures by another encoder, or carries adapters.
    """
    task, model = settings.task.examples, settings.model
    assert task
    assert isinstance(model, FeatureModel)  # the one that is learnt by such tasks
    theirs = next(iter(parts.values())).network.encoder
    own, other = model.as_built().model_dump(), theirs.model.as_built().model_dump()
    if unlike := [f"{key}: {other[key]}" for key in other if own.get(key) != other[key]]:
        raise UserError(f"source_model: it is of another size; write model: {{{', '.join(unlike)}}}.")
    for reader in theirs.readers:
        if reader.fingerprint != fingerprint_of(reader.reads, reader.encoder):
            raise UserError(f"source_model: its encoder {reader.encoder} is another one than the one here.")
    if width_of(theirs):  # a network is made without, and would drop them
        raise UserError("source_model: it carries adapters; name a version whose lane is another, as fine_tune is.")
    weights = {f"encoder.{name}": one for name, one in theirs.state_dict().items()}
    for place, name in enumerate(one.label for one in task.each):
        if name in parts:
            above = f"head.heads.{place}." if task.also else "head."
            weights |= {f"{above}{key}": one for key, one in parts[name].network.head.state_dict().items()}
    plain = {name: one.detach().cpu().contiguous() for name, one in weights.items()}
    return plain, {name: list(part.classes) for name, part in parts.items()}
