"""Bring the features of the two domains together, without the target's labels."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.config import Adaptation, AdaptSettings
from pipeline.results import ADAPT, PRETRAIN, StepResult, TrainFacts
from pipeline.runs.inputs import load_prepared
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import transact


def adapt_domain(run: Run, adapt: str) -> StepResult[TrainFacts]:
    """Train the source model further on the sources' labels plus a distance to the features of the target's inputs.

    Raises:
        MissingResultError: `prepare` or `pretrain_source` did not succeed in this run.
    """
    run.forget(ADAPT, adapt)  # a try that fails leaves no earlier result
    scenario = run.scenario
    config = next(
        strategy.adapt for strategy in scenario.strategies
        if isinstance(strategy.adapt, Adaptation) and strategy.adapt.kind == adapt
    )  # fmt: skip
    inputs = {**run.prepared(encoders=scenario.model.encoders), "start": run.input(PRETRAIN)}
    settings = AdaptSettings.of(scenario, model=scenario.model.as_trained(), adapt=config)
    return transact(run, ADAPT, build, settings, inputs, adapt)


def build(settings: AdaptSettings, inputs: Mapping[str, Folder], folder: Path, work: Path) -> TrainFacts:
    """Write `model.safetensors` and the curve."""
    from safetensors.torch import load_file, save_file

    from pipeline.tasks.learners import build_learner
    from pipeline.training.fit import fit_rounds, write_curves
    from pipeline.transfer.amount import domains_apart
    from pipeline.transfer.methods import build_adapt

    config, learner = settings.adapt, build_learner(settings)
    choosing = (
        (settings.target,) if settings.target_labels else settings.sources[:1]
    )  # whose validation rows have to choose later
    model, rows = learner.adapt(load_prepared(settings, inputs).training(choosing))
    training = settings.fitting.model_copy(update={"epochs": min(config.epochs, settings.training.epochs)})
    method = build_adapt(config, settings.model.dim)
    method.initialise(model, load_file(inputs["start"].path / "model.safetensors"))
    before = domains_apart(model, rows)
    fitted = fit_rounds(model, method, rows, training, work, seed=settings.seed)
    save_file(model.shared_state(), folder / "model.safetensors")
    write_curves(fitted.curves, folder / "metrics.csv")
    apart = {"before": before, "after": domains_apart(model, rows)}
    told = {f"{name}.{when}": value for when, one in apart.items() for name, value in one.items()}
    return TrainFacts(epochs=fitted.epochs, told={**method.told, **told})
