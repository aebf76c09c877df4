"""Learn on the sources what will be carried over."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.results import StepResult
from pipeline.steps.run import Run
from pipeline.steps.transaction import Facts, transact

if TYPE_CHECKING:
    from pipeline.models.network import Network

log = logging.getLogger(__name__)


def pretrain_source(run: Run) -> StepResult:
    """Train the model on the sources alone, stopped early by the validation rows of all of them.

    Each user counts once, whichever source it is in: the metric is as sure as the rows allow, and a source with a
    handful of them cannot decide it.

    Nothing of the target enters, so that a night on which the sources did not change pays nothing.

    Raises:
        MissingResultError: `prepare` did not succeed in this run.
    """
    scenario = run.scenario
    wanted = any(strategy.start != "random" for strategy in scenario.strategies)
    return transact(
        run,
        "pretrain_source",
        lambda folder, work: _build(run, folder, work) if wanted else {"epochs": 0},
        inputs={f"prepare.{name}": run.result("prepare", name).manifest for name in scenario.sources},
        config={
            "sources": list(scenario.sources),
            "model": scenario.model.model_dump(mode="json", exclude={"prior_weights"}),
            "training": scenario.training.model_dump(mode="json"),
            "task": scenario.task.model_dump(mode="json"),
            "seed": scenario.seed,
            "wanted": wanted,
        },
    )


def _build(run: Run, folder: Path, work: Path) -> Facts:
    import pandas as pd
    from safetensors.torch import save_file

    from pipeline.config import NoAdapt
    from pipeline.data.prepared import DomainData, Domains
    from pipeline.models.network_ranker import NetworkRanker
    from pipeline.steps.choosing import Chooser, deciding_metric
    from pipeline.training.build import labelled, new_network, rows_of
    from pipeline.training.fit import fit, write_curves
    from pipeline.training.watch import Watch
    from pipeline.transfer.methods import build_adapt

    scenario, names = run.scenario, run.scenario.sources
    read = [DomainData.read(run.path(run.result("prepare", name)), name) for name in names]
    every = Chooser.of_sources(scenario, Domains(tuple(read[1:]), read[0]))
    total = sum(len(chooser.rows) for chooser in every)
    watched = [chooser.few(total) for chooser in every if len(chooser.rows)]
    histories = {chooser.domain: chooser.histories[chooser.domain] for chooser in every}
    model = new_network(scenario, tuple(read), histories, frozenset(names))

    def metric(fitted: "Network") -> float:
        each = [chooser.each(NetworkRanker.of(fitted, chooser.domain)) for chooser in watched]
        return float(pd.concat(each)[deciding_metric(scenario)].mean())

    rows = rows_of([labelled(scenario, name, histories, names) for name in names])
    method = build_adapt(NoAdapt(), scenario.model.dim)
    watch = Watch(metric, sum(chooser.units for chooser in watched)) if watched else None
    fitted = fit(model, method, rows, scenario.training, work, seed=scenario.seed, watch=watch)
    if fitted.told:
        log.warning("%s", fitted.told)
    save_file(model.shared_state(), folder / "model.safetensors")
    write_curves(fitted.curves, folder / "metrics.csv")
    return {"epochs": fitted.epochs, "valid": fitted.metric, "watch": fitted.told}
