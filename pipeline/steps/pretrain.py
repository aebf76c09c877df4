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
    from safetensors.torch import save_file

    from pipeline.config import NoAdapt
    from pipeline.evaluation.choosing import Chooser, score_together
    from pipeline.models.learner import Learning
    from pipeline.tasks.labels import build_label
    from pipeline.tasks.learners import build_learner
    from pipeline.tasks.prepared import read_prepared
    from pipeline.training.fit import fit, write_curves
    from pipeline.training.watch import Watch
    from pipeline.transfer.methods import build_adapt

    scenario, names = run.scenario, run.scenario.sources
    label, learner = build_label(scenario.task), build_learner(Learning.of(scenario))
    folders = {name: run.path(run.result("prepare", name)) for name in names}
    prepared = read_prepared(scenario.task, folders, names[0])
    every = Chooser.of_sources(scenario, label, prepared)
    total = sum(len(chooser.view) for chooser in every)
    watched = [chooser.few(total) for chooser in every if len(chooser.view)]
    held_back = prepared.training(names)
    model, rows = learner.pretrain({name: held_back[name] for name in names})

    def metric(fitted: "Network") -> float:
        return score_together(watched, [learner.as_trained(fitted, chooser.view) for chooser in watched])

    method = build_adapt(NoAdapt(), scenario.model.dim)
    watch = Watch(metric, sum(chooser.units for chooser in watched)) if watched else None
    fitted = fit(model, method, rows, scenario.training, work, seed=scenario.seed, watch=watch)
    if fitted.told:
        log.warning("%s", fitted.told)
    save_file(model.shared_state(), folder / "model.safetensors")
    write_curves(fitted.curves, folder / "metrics.csv")
    return {"epochs": fitted.epochs, "valid": fitted.metric, "watch": fitted.told}
