"""Bring the features of the two domains together, without the target's labels."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.config import Adaptation, AdaptSettings
from pipeline.results import ADAPT, PRETRAIN, StepResult, TrainFacts
from pipeline.runs.inputs import load_domains
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
    settings = AdaptSettings.of(scenario, model=scenario.model.as_trained(), adapt=config)
    return transact(run, ADAPT, build, settings, {**run.prepared(), "start": run.input(PRETRAIN)}, adapt)


def build(settings: AdaptSettings, inputs: Mapping[str, Folder], folder: Path, work: Path) -> TrainFacts:
    """Write `model.safetensors` and the curve."""
    from safetensors.torch import load_file, save_file

    from pipeline.training.build import in_source_items, labelled, new_network, rows_of, target_inputs
    from pipeline.training.fit import fit, write_curves
    from pipeline.transfer.methods import build_adapt

    config, domains = settings.adapt, load_domains(settings, inputs)
    histories, target = dict(domains.histories(("train", "valid"))), domains.target
    if not settings.target_labels:  # the first source's validation rows have to choose later
        histories[domains.sources[0].name] = domains.matrix(domains.sources[0], ("train",))
    model = new_network(settings, domains.all, histories, frozenset(settings.sources))
    reads = (*settings.sources, target.name) if target.has_text else settings.sources
    seen = in_source_items(domains, histories) if "items" in settings.bridges else histories
    rows = rows_of(
        [labelled(settings, name, histories, settings.sources) for name in settings.sources],
        target_inputs(settings, domains, seen, reads),
    )
    training = settings.training.model_copy(update={"epochs": min(config.epochs, settings.training.epochs)})
    method = build_adapt(config, settings.model.dim)
    method.initialise(model, load_file(inputs["start"].path / "model.safetensors"))
    fitted = fit(model, method, rows, training, work, seed=settings.seed)
    save_file(model.shared_state(), folder / "model.safetensors")
    write_curves(fitted.curves, folder / "metrics.csv")
    return TrainFacts(epochs=fitted.epochs)
