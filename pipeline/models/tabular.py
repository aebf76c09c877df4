"""The tabular model in each phase of a transfer: networks, batches and predictors from views."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from pipeline.config import Distil, FeatureModel, Role, Strategy, TrainSettings
from pipeline.errors import DataError
from pipeline.models.encoded import Reader
from pipeline.models.encoders.tabular import never_missing, quantiles, rarity
from pipeline.models.example_batches import ExampleRows
from pipeline.models.feature_values import Values
from pipeline.models.label_heads import ClassHead, LabelHead, NumberHead, SeveralHead, SeveralLabels, TagHead
from pipeline.models.learner import Finish, State, Taught
from pipeline.models.sample import answers, classes_of_both, known_classes
from pipeline.models.several import SeveralEstimator
from pipeline.models.sides import TAUGHT, Rows
from pipeline.models.tabular_estimator import ENCODERS, TabularEstimator, TabularNetwork
from pipeline.views import FEATURES, ClassLabel, NumberLabel, TagLabel, View, Views

TUNED_ROWS = 32  # of a batch at most: what a step remembers of every part of a text is large
NOBODYS = ("",)  # the class of a further label of which no row says anything: it is never told


@dataclass(frozen=True)
class TabularLearner:
    """Rows of all domains are read alike; a class or tag means the same wherever it has the same name."""

    settings: TrainSettings
    taught: Taught = field(default_factory=dict)  # classes of a registered model by label; bins come with its weights

    @property
    def model(self) -> FeatureModel:
        """The model's own settings."""
        assert isinstance(self.settings.model, FeatureModel)
        return self.settings.model

    def pretrain(self, views: Views) -> tuple[TabularNetwork, Rows]:
        """All sources together."""
        network = self._network(views, tuple(views))
        return network, self._rows(network, views, tuple(views), inputs=False)

    def adapt(self, views: Views) -> tuple[TabularNetwork, Rows]:
        """The sources' rows with their labels, and all rows of the target without."""
        network = self._network(views, self.settings.sources)
        return network, self._rows(network, views, self.settings.sources, inputs=True)

    def tune(self, views: Views, strategy: Strategy) -> tuple[TabularNetwork, Rows]:
        """A network that knows what the domains know that the strategy learns from, now or before."""
        of, labels = self.settings, strategy.tune.labels
        known = {"target": (of.target,), "source": of.sources, "all": of.domains}[strategy.domains]
        sides = (*(of.sources if "source" in labels else ()), *((of.target,) if "target" in labels else ()))
        model = strategy.tune.student if isinstance(strategy.tune, Distil) else None
        network = self._network(views, known, model)
        return network, self._rows(network, views, sides, inputs=strategy.tune.inputs)

    def teach(self, rows: Rows, views: Views, teacher: State) -> Rows:
        """Put what the source's model says beside the target's inputs: NaN for a class that it does not know."""
        of = self.settings
        network, seen = self._network(views, of.domains), rows.inputs
        own = {name: teacher.get(name, torch.full_like(one, torch.nan)) for name, one in network.state_dict().items()}
        network.load_state_dict(own)
        still, features = network.merged().eval(), views[of.target].fields[FEATURES]
        assert isinstance(seen, ExampleRows)
        with torch.no_grad():
            told = still.head(still.encode(still.encoder.read(features)))
        seen.inputs = {**seen.inputs, TAUGHT: told}
        return rows

    def carry(self, network: TabularNetwork, views: Views, strategy: Strategy) -> None:
        """Nothing: features mean the same in all domains, and classes were met by their names."""
        del network, views, strategy

    def finishes(self, views: Views, strategy: Strategy) -> list[Finish]:
        """One: there is nothing to pick."""
        del views, strategy
        return [{}]

    def told(self, finish: Finish) -> dict[str, float]:
        """Nothing."""
        return dict(finish)

    def predictor(self, network: TabularNetwork, finish: Finish) -> TabularEstimator | SeveralEstimator:
        """What the network says of a row; a copy, which may be trained on."""
        del finish
        return TabularEstimator.of(network)

    def as_trained(self, network: TabularNetwork, view: View) -> TabularEstimator | SeveralEstimator:
        """The same in every domain."""
        del view
        return TabularEstimator.of(network)

    def _network(self, views: Views, known: Sequence[str], student: FeatureModel | None = None) -> TabularNetwork:
        """Random weights; bins and classes, or the spread of a number, come from the rows of these domains.

        Where a registered model stands for the source, what it knows takes their place.
        """
        chosen, model = [views[name] for name in known], student or self.model
        features = [view.fields[FEATURES] for view in chosen or [views[self.settings.target]]]
        values = [Values.of(one) for one in features]
        fitted = quantiles(values, model.bins), rarity(values, model.words)
        torch.manual_seed(self.settings.seed)
        readers = Reader.all_of(model.encoders, features[0])
        encoder = ENCODERS[model.name](model, features[0].types, *fitted, readers)
        encoder.whole = never_missing(values)
        label, *further = next(iter(views.values())).labels
        heads = {label.name: self._head(model.dim, label, [view.of_label(label.name) for view in chosen])}
        untaught = set()
        for one in further:  # of these a domain may say nothing
            alone = [view.of_label(one.name) for view in chosen]
            teaching = [view for view in alone if view.known.any()]
            heads[one.name] = self._head(model.dim, one, teaching)
            untaught |= set() if teaching else {one.name}
        head = SeveralHead(heads, untaught) if len(heads) > 1 else heads[label.name]
        return TabularNetwork(encoder, head, self.settings.target)

    def _head(self, dim: int, label: ClassLabel | TagLabel | NumberLabel, views: Sequence[View]) -> LabelHead:
        taught = self.taught.get(label.name)
        met = known_classes(views) if views else ()
        if not isinstance(label, NumberLabel):
            classes = (classes_of_both(taught, label, met) if taught else met) or label.classes or NOBODYS
            return (TagHead if isinstance(label, TagLabel) else ClassHead)(dim, classes)
        numbers = np.concatenate([answers(view.take(view.label.known), ()) for view in views] or [np.zeros(1)])
        return NumberHead(dim, float(numbers.mean()), float(numbers.std()) or 1.0)

    def _rows(self, network: TabularNetwork, views: Views, labelled: Sequence[str], *, inputs: bool) -> Rows:
        """The labelled rows of some domains, and all rows of the target as inputs; an epoch is as long for each."""
        sides = [self._cut(network, views[name].take(views[name].known), labels=True) for name in labelled]
        seen = self._cut(network, views[self.settings.target], labels=False) if inputs else None
        steps = max((side.steps for side in sides), default=1)
        for side in [*sides, *([seen] if seen else [])]:
            side.steps = steps
        return Rows(tuple(sides), seen)

    def _cut(self, network: TabularNetwork, view: View, *, labels: bool) -> ExampleRows:
        of = self.settings
        if not len(view):
            raise DataError(
                f"{view.domain}: no row for training {'has a label' if labels else 'is left'}, so this lane can learn "
                "nothing of it; bring more rows, or take a larger share."
            )
        role: Role = ("target" if view.domain == of.target else "source") if labels else "inputs"
        read = network.encoder.read(view.fields[FEATURES])
        own = view.domain == of.target
        known = self._labels(network.head, view, own=own) if labels else None
        seed = of.seed if labels else of.seed + 1  # not the draws of the labelled rows
        most = TUNED_ROWS if network.encoder.trained else of.training.batch_size
        return ExampleRows(view.domain, role, read, known, min(most, of.training.batch_size), seed)

    def _labels(self, head: LabelHead, view: View, *, own: bool) -> torch.Tensor | SeveralLabels:
        """What the rows have, as the head is taught it."""
        heads = head.each if isinstance(head, SeveralHead) else {view.label.name: head}
        found = [torch.from_numpy(answers(view.of_label(name), one.classes, own=own)) for name, one in heads.items()]
        return SeveralLabels(tuple(found)) if len(found) > 1 else found[0]
