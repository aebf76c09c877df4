"""Fit a baseline: settings by validation, then once more on all training rows."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import Baseline, Scenario
from pipeline.results import StepResult
from pipeline.steps.inputs import load_domains, prepared_inputs
from pipeline.steps.run import Run
from pipeline.steps.transaction import Facts, transact

if TYPE_CHECKING:
    from pipeline.data.prepared import Columns, Domains


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
    from pipeline.steps.choosing import Chooser, deciding_metric

    scenario, domains = run.scenario, load_domains(run, config.name)
    chooser = Chooser.of(run, domains, config.name)
    on_source = chooser.domain != domains.target.name  # then all that chooses is a source's
    tried_config = config.model_copy(update={"domains": "all"}) if on_source else config
    histories, columns = chooser.histories, _columns(scenario, chooser.domains)

    def tried(settings: Settings) -> dict[str, float]:
        return chooser.metrics(fit_baseline(tried_config, histories, chooser.domain, settings, scenario.seed, columns))

    # Only metrics are kept of a try: the fits of the large methods take gigabytes and minutes each.
    found = [(settings, tried(settings)) for settings in candidates(config)]
    settings, valid = max(found, key=lambda one: one[1][deciding_metric(scenario)])  # the first of equal ones
    histories, columns = domains.histories(("train", "valid")), _columns(scenario, domains)
    fit_baseline(config, histories, domains.target.name, settings, scenario.seed, columns).save(folder)
    return {"lane": config.name, "valid": dict(valid), "valid_domain": chooser.domain, "settings": dict(settings)}


def _columns(scenario: Scenario, domains: "Domains") -> "Columns | None":
    """One column for each item where items are the bridge, else one for each item of each domain."""
    return domains.item_columns() if "items" in scenario.bridges else None
