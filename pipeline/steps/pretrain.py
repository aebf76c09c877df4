"""Learn on the sources what will be carried over."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import PretrainSettings
from pipeline.results import PRETRAIN, StepResult, TrainFacts
from pipeline.runs.inputs import load_domains
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import transact

if TYPE_CHECKING:
    from pipeline.models.network import Network


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
    bridges = tuple(bridge for bridge in scenario.bridges if bridge == "items")  # sources share items among them, too
    settings = PretrainSettings.of(scenario, model=scenario.model.as_trained(), bridges=bridges, wanted=wanted)
    inputs = run.prepared(*scenario.sources, encoders=scenario.model.encoders)
    return transact(run, PRETRAIN, build, settings, inputs)


def build(settings: PretrainSettings, inputs: Mapping[str, Folder], folder: Path, work: Path) -> TrainFacts:
    """Write `model.safetensors` and the curve; nothing where no strategy starts from it."""
    from safetensors.torch import save_file

    from pipeline.config import NoAdapt
    from pipeline.evaluation.choosing import Chooser
    from pipeline.tasks.learners import build_learner
    from pipeline.training.fit import fit, write_curves
    from pipeline.training.watch import Watch
    from pipeline.transfer.methods import build_adapt

    if not settings.wanted:
        return TrainFacts(epochs=0)
    names, learner = settings.sources, build_learner(settings)
    prepared = load_domains(settings.task, inputs, names, names[0])
    every = Chooser.of_sources(settings, prepared)
    total = sum(len(chooser.view) for chooser in every)
    watched = [chooser.few(settings.training.valid_users, total) for chooser in every if len(chooser.view)]
    held_back = prepared.training(names)
    model, rows = learner.pretrain({name: held_back[name] for name in names})

    def metric(fitted: "Network") -> float:
        return every[0].watched([one.predict(learner.as_trained(fitted, one.view)) for one in watched])

    method, label = build_adapt(NoAdapt(), settings.model.dim), every[0].label
    units = sum(chooser.units for chooser in watched)
    watch = Watch(metric, units, label.fewest, label.words.units) if watched else None
    fitted = fit(model, method, rows, settings.fitting, work, seed=settings.seed, watch=watch)
    save_file(model.shared_state(), folder / "model.safetensors")
    write_curves(fitted.curves, folder / "metrics.csv")
    return TrainFacts(epochs=fitted.epochs, valid=fitted.metric, watch=fitted.told)
