"""Learn on the sources what will be carried over."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import PretrainSettings
from pipeline.results import PRETRAIN, StepResult, TrainFacts
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import transact

if TYPE_CHECKING:
    from pipeline.models.network import Network

log = logging.getLogger(__name__)


def pretrain_source(run: Run) -> StepResult[TrainFacts]:
    """Train the model on the sources alone, stopped early by the validation rows of all of them.

    Each user counts once, whichever source it is in: the metric is as sure as the rows allow, and a source with a
    handful of them cannot decide it.

    Nothing of the target enters but its name, so that a night on which the sources did not change pays nothing.

    Raises:
        MissingResultError: `prepare` did not succeed in this run.
    """
    run.forget(PRETRAIN)
    scenario = run.scenario
    wanted = any(strategy.start != "random" for strategy in scenario.strategies)
    settings = PretrainSettings.of(scenario, model=scenario.model.as_trained(), wanted=wanted)
    return transact(run, PRETRAIN, build, settings, run.prepared(*scenario.sources))


def build(settings: PretrainSettings, inputs: Mapping[str, Folder], folder: Path, work: Path) -> TrainFacts:
    """Write `model.safetensors` and the curve; nothing where no strategy starts from it."""
    import pandas as pd
    from safetensors.torch import save_file

    from pipeline.config import NoAdapt
    from pipeline.data.prepared import DomainData, Domains
    from pipeline.evaluation.choosing import Chooser, deciding_metric
    from pipeline.models.network_ranker import NetworkRanker
    from pipeline.training.build import labelled, new_network, rows_of
    from pipeline.training.fit import fit, write_curves
    from pipeline.training.watch import Watch
    from pipeline.transfer.methods import build_adapt

    if not settings.wanted:
        return TrainFacts(epochs=0)
    names = settings.sources
    read = [DomainData.read(inputs[f"prepare.{name}"].path, name) for name in names]
    every = Chooser.of_sources(settings, Domains(tuple(read[1:]), read[0]))
    total = sum(len(chooser.rows) for chooser in every)
    watched = [chooser.few(settings.training.valid_users, total) for chooser in every if len(chooser.rows)]
    histories = {chooser.domain: chooser.histories[chooser.domain] for chooser in every}
    model = new_network(settings, tuple(read), histories, frozenset(names))

    def metric(fitted: "Network") -> float:
        each = [chooser.each(NetworkRanker.of(fitted, chooser.domain)) for chooser in watched]
        return float(pd.concat(each)[deciding_metric(settings.task)].mean())

    rows = rows_of([labelled(settings, name, histories, names) for name in names])
    method = build_adapt(NoAdapt(), settings.model.dim)
    watch = Watch(metric, sum(chooser.units for chooser in watched)) if watched else None
    fitted = fit(model, method, rows, settings.training, work, seed=settings.seed, watch=watch)
    if fitted.told:
        log.warning("%s", fitted.told)
    save_file(model.shared_state(), folder / "model.safetensors")
    write_curves(fitted.curves, folder / "metrics.csv")
    return TrainFacts(epochs=fitted.epochs, valid=fitted.metric, watch=fitted.told)
