"""Baselines that begin with a registered model in the place of sources: as it is, or as target rows change it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from pipeline import config as cfg
from pipeline.errors import UserError
from pipeline.models.anomaly import AutoEncoderEstimator, IsolationEstimator
from pipeline.models.baselines import Settings, combinations
from pipeline.models.boosting import BoostingEstimator
from pipeline.models.estimators import ConstantEstimator, Estimator
from pipeline.models.frequency import FrequencyEstimator
from pipeline.models.linear import LinearEstimator
from pipeline.models.linear_transfer import transfer_from
from pipeline.models.msda import MsdaEstimator
from pipeline.models.ranker import Kinds, read_saved
from pipeline.models.sample import Sample, classes_of_both
from pipeline.models.several import SeveralEstimator
from pipeline.views import Views

FitFurther = Callable[[Any, Sample, Settings, int], Estimator]  # (registered model, sample, settings, seed)

# config class -> (fit from it on, the fields that are tried in all combinations, the fields that are given)
FURTHER: dict[type[cfg.Baseline], tuple[FitFurther, tuple[str, ...], tuple[str, ...]]] = {
    cfg.LinearTransfer: (
        lambda start, sample, settings, seed: transfer_from(start, sample, **settings),  # noqa: ARG005
        ("regularization",),
        (),
    ),
    cfg.Boosting: (BoostingEstimator.fit_further, ("leaves", "smallest_leaf"), ("rounds", "learning_rate")),
}
_MADE: tuple[type[Estimator], ...] = (
    ConstantEstimator, FrequencyEstimator, LinearEstimator, BoostingEstimator, IsolationEstimator, AutoEncoderEstimator,
    MsdaEstimator,
)  # fmt: skip


def _same(one: type[Estimator]) -> type[Estimator]:
    return one


# kind of a registered model -> its class
CARRIED: Kinds = {SeveralEstimator.kind: lambda: SeveralEstimator, **{one.kind: partial(_same, one) for one in _MADE}}


@dataclass(frozen=True)
class Carried:
    """A registered model, and what baselines make of it."""

    predictor: Any

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The one in that folder.

        Raises:
            StorageError: there is none, or it is damaged.
        """
        return cls(read_saved(folder, CARRIED))

    @staticmethod
    def candidates(config: cfg.Baseline) -> Iterator[Settings]:
        """Every combination of settings that a baseline may have; as it is, there is nothing to try."""
        _, searched, given = FURTHER[type(config)] if config.domains == "all" else (None, (), ())
        return combinations(config, searched, given, rows=False)

    def fit(
        self, config: cfg.Baseline, views: Views, target: str, settings: Settings, seed: int, *, shared: bool = False
    ) -> Estimator | SeveralEstimator:
        """The baseline with one combination of settings, on the target's rows that have a label; each label by itself.

        Raises:
            DataError: no row has a label.
            UserError: the registered model knows no class of the target, or cannot learn on from what it is.
        """
        del shared  # features are, by all domains
        names = [label.name for label in views[target].labels]
        fitted = {name: self._fit(config, name, views, target, settings, seed) for name in names}
        return SeveralEstimator(fitted) if len(names) > 1 else fitted[names[0]]

    def _fit(
        self, config: cfg.Baseline, name: str, views: Views, target: str, settings: Settings, seed: int
    ) -> Estimator:
        start: Estimator = self.predictor.of_label(name)
        read = {one.reads: one.encoder for one in start.readers}
        if read != config.encoders:
            raise UserError(
                f"source_model: it reads {_told(read)}, and {config.name} {_told(config.encoders)}; name the same, or "
                "leave the baseline out."
            )
        own = {target: views[target].of_label(name)}
        if config.domains == "source":
            if start.classes:
                classes_of_both(start.classes, own[target].label, ())
            return start
        if start.kind != config.begins:  # rows of one class alone made it
            raise UserError(
                f"source_model: of {name} it is {start.kind}, from which {config.name} cannot learn on; leave the "
                "baseline out."
            )
        sample = Sample.of(own, {target: 1.0}, target, config.encoders, taught=start.classes)
        return FURTHER[type(config)][0](start, sample, settings, seed)


def _told(encoders: cfg.Encoders) -> str:
    return " and ".join(f"the type {reads} by {encoder}" for reads, encoder in encoders.items()) or "by no encoder"
