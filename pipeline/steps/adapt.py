"""Bring the features of the two domains together, without the target's labels."""

from pathlib import Path

from pipeline.config import Adaptation
from pipeline.results import StepResult
from pipeline.steps.inputs import load_prepared, prepared_inputs
from pipeline.steps.run import Run
from pipeline.steps.transaction import Facts, transact


def adapt_domain(run: Run, adapt: str) -> StepResult:
    """Train the source model further on the sources' labels plus a distance to the features of the target's inputs.

    Raises:
        MissingResultError: `prepare` or `pretrain_source` did not succeed in this run.
    """
    run.forget("adapt_domain", adapt)  # a try that fails leaves no earlier result
    scenario = run.scenario
    config = next(
        strategy.adapt for strategy in scenario.strategies
        if isinstance(strategy.adapt, Adaptation) and strategy.adapt.kind == adapt
    )  # fmt: skip
    return transact(
        run,
        "adapt_domain",
        lambda folder, work: _build(run, config, folder, work),
        inputs={**prepared_inputs(run), "pretrain_source": run.result("pretrain_source").manifest},
        config={
            "sources": list(scenario.sources),
            "adapt": config.model_dump(mode="json"),
            "model": scenario.model.model_dump(mode="json", exclude={"prior_weights"}),
            "training": scenario.training.model_dump(mode="json"),
            "seed": scenario.seed,
            "bridges": list(scenario.bridges),
            "target_labels": scenario.target_labels,
        },
        name=adapt,
    )


def _build(run: Run, config: Adaptation, folder: Path, work: Path) -> Facts:
    from safetensors.torch import load_file, save_file

    from pipeline.models.learner import Learning
    from pipeline.tasks.learners import build_learner
    from pipeline.training.fit import fit, write_curves
    from pipeline.transfer.methods import build_adapt

    scenario = run.scenario
    choosing = () if scenario.target_labels else scenario.sources[:1]  # whose validation rows have to choose later
    model, rows = build_learner(Learning.of(scenario)).adapt(load_prepared(run).training(choosing))
    training = scenario.training.model_copy(update={"epochs": min(config.epochs, scenario.training.epochs)})
    method = build_adapt(config, scenario.model.dim)
    method.initialise(model, load_file(run.path(run.result("pretrain_source")) / "model.safetensors"))
    fitted = fit(model, method, rows, training, work, seed=scenario.seed)
    save_file(model.shared_state(), folder / "model.safetensors")
    write_curves(fitted.curves, folder / "metrics.csv")
    return {"epochs": fitted.epochs}
