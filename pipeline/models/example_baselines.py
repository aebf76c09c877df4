"""From the config of a baseline of examples to the predictors that it may become; validation picks one of them."""

from collections.abc import Callable, Iterator
from typing import Any

from pipeline import config as cfg
from pipeline.models.anomaly import AutoEncoderEstimator, IsolationEstimator
from pipeline.models.baselines import WEIGHT, Settings, combinations
from pipeline.models.boosting import BoostingEstimator
from pipeline.models.estimators import ConstantEstimator, Estimator
from pipeline.models.frequency import FrequencyEstimator
from pipeline.models.linear import LinearEstimator
from pipeline.models.linear_transfer import fit_transfer
from pipeline.models.msda import MsdaEstimator
from pipeline.models.sample import Sample
from pipeline.models.several import SeveralEstimator
from pipeline.views import Views

Fit = Callable[[Sample, Settings, int], Estimator]  # (sample, settings, seed)

# config class -> (fit, the fields that are tried in all combinations, the fields that are given)
EXAMPLE_BASELINES: dict[type[cfg.Baseline], tuple[Fit, tuple[str, ...], tuple[str, ...]]] = {
    cfg.Constant: (lambda sample, settings, seed: ConstantEstimator.fit(sample), (), ()),
    cfg.Frequency: (FrequencyEstimator.fit, ("prior",), ("by",)),
    cfg.Linear: (
        lambda sample, settings, seed: LinearEstimator.fit(sample, **settings),
        ("regularization",),
        ("buckets", "words"),
    ),
    cfg.LinearTransfer: (
        lambda sample, settings, seed: fit_transfer(sample, **settings),
        ("regularization", "source_regularization"),
        ("buckets", "words"),
    ),
    cfg.Boosting: (BoostingEstimator.fit, ("leaves", "smallest_leaf"), ("rounds", "learning_rate")),
    cfg.IsolationForest: (IsolationEstimator.fit, ("rows",), ("trees",)),
    cfg.AutoEncoder: (AutoEncoderEstimator.fit, ("axes",), ()),
    cfg.Msda: (MsdaEstimator.fit, ("regularization",), ("words", "dim", "layers", "noise", "rounds")),
}


def candidates(config: cfg.Baseline) -> Iterator[Settings]:
    """Every combination of settings that a baseline may have, the source's weight among them."""
    _, searched, given = EXAMPLE_BASELINES[type(config)]
    return combinations(config, searched, given)


def fit_baseline(
    config: cfg.Baseline, views: Views, target: str, settings: dict[str, Any], seed: int, *, shared: bool = False
) -> Estimator | SeveralEstimator:
    """The baseline fitted with one combination of settings, on the rows that have a label; each label by itself.

    Args:
        config: Which baseline, and on which domains' rows.
        views: The rows of each domain that may be learnt from.
        target: The domain whose rows are predicted.
        settings: One of `candidates`.
        seed: Of what is drawn.
        shared: Means nothing here: features are shared by all domains.

    Raises:
        DataError: no row has a label.
    """
    del shared
    labels = [label.name for label in views[target].labels]
    if len(labels) > 1:
        return SeveralEstimator(
            {
                name: _fit(
                    config, {domain: view.of_label(name) for domain, view in views.items()}, target, settings, seed
                )
                for name in labels
            }
        )
    return _fit(config, views, target, settings, seed)


def _fit(config: cfg.Baseline, views: Views, target: str, settings: dict[str, Any], seed: int) -> Estimator:
    own = {} if config.domains == "source" else {target: 1.0}
    sources = {} if config.domains == "target" else {name: settings[WEIGHT] for name in views if name != target}
    sample = Sample.of(views, {**sources, **own}, target, config.encoders)
    if sample.says_nothing:
        return ConstantEstimator.fit(sample)
    return EXAMPLE_BASELINES[type(config)][0](sample, {k: v for k, v in settings.items() if k != WEIGHT}, seed)
