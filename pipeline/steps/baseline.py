"""Fit a baseline: settings by validation, then once more on all training rows."""

from pathlib import Path

from pipeline.config import Baseline
from pipeline.results import StepResult
from pipeline.steps.choosing import chooser_of
from pipeline.steps.inputs import load_prepared, prepared_inputs
from pipeline.steps.run import Run
from pipeline.steps.transaction import Facts, transact


def fit_baseline(run: Run, baseline: str) -> StepResult:
    """Fit the baseline of that name and save it as a candidate.

    Raises:
        MissingResultError: `prepare` or `audit` did not succeed in this run.
        UserError: the baseline would not fit into memory.
    """
    run.forget("fit_baseline", baseline)  # a try that fails leaves no earlier result
    config = next(item for item in run.scenario.baselines if item.name == baseline)
    scenario = run.scenario
    return transact(
        run,
        "fit_baseline",
        lambda folder, work: _build(run, config, folder),  # noqa: ARG005
        inputs={**prepared_inputs(run), "audit.marks": str(run.result("audit").facts["marks"])},
        config={
            "sources": list(scenario.sources),
            "baseline": config.model_dump(mode="json"),
            "bridges": list(scenario.bridges),
            "target_labels": scenario.target_labels,
            "task": scenario.task.model_dump(mode="json"),
            "seed": scenario.seed if config.draws else None,
        },
        name=baseline,
    )


def _build(run: Run, config: Baseline, folder: Path) -> Facts:
    from pipeline.models.baselines import Settings, candidates, fit_baseline

    scenario, prepared = run.scenario, load_prepared(run, config.name)
    chooser = chooser_of(run, prepared, config.name)
    on_source = chooser.domain != scenario.target  # then all that chooses is a source's
    tried_config = config.model_copy(update={"domains": "all"}) if on_source else config
    views, shared = chooser.training, "items" in scenario.bridges

    def tried(settings: Settings) -> dict[str, float]:
        fitted = fit_baseline(tried_config, views, chooser.domain, settings, scenario.seed, shared=shared)
        return chooser.metrics(fitted)

    # Only metrics are kept of a try: the fits of the large methods take gigabytes and minutes each.
    found = [(settings, tried(settings)) for settings in candidates(config)]
    settings, valid = max(found, key=lambda one: one[1][chooser.label.gated])  # the first of equal ones
    views = prepared.training()
    fit_baseline(config, views, scenario.target, settings, scenario.seed, shared=shared).save(folder)
    return {"lane": config.name, "valid": dict(valid), "valid_domain": chooser.domain, "settings": dict(settings)}
