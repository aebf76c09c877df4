"""Fit a baseline: settings by validation, then once more on all training rows."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import Baseline
from pipeline.results import StepResult
from pipeline.steps.inputs import load_domains, prepared_inputs
from pipeline.steps.run import Run
from pipeline.steps.transaction import Facts, transact

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
            "baseline": config.model_dump(mode="json"),
            "task": scenario.task.model_dump(mode="json"),
            "seed": scenario.seed,
        },
        name=baseline,
    )


def _build(run: Run, config: Baseline, folder: Path) -> Facts:
    from pipeline.models.baselines import Settings, candidates, fit_baseline
    from pipeline.steps.choosing import deciding_metric, mean_metrics, rank_rows, valid_rows

    domains = load_domains(run)
    rows = valid_rows(run, domains)
    target, scenario = domains.target.name, run.scenario
    histories = domains.histories(("train",))

    def tried(settings: Settings) -> "tuple[dict[str, float], NDArray[Any]]":
        ranks = rank_rows(fit_baseline(config, histories, target, settings, scenario.seed), domains, rows, ("train",))
        return mean_metrics(scenario, rows, ranks), ranks

    # Only ranks are kept of a try: the fits of the large methods take gigabytes and minutes each.
    found = [(settings, *tried(settings)) for settings in candidates(config)]
    settings, valid, ranks = max(found, key=lambda one: one[1][deciding_metric(scenario)])  # the first of equal ones
    rows.assign(rank=ranks).to_parquet(folder / "valid_ranks.parquet", index=False)
    fit_baseline(config, domains.histories(("train", "valid")), target, settings, scenario.seed).save(folder)
    return {"lane": config.name, "valid": dict(valid), "settings": dict(settings)}
