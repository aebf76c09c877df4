"""Fit a baseline: settings by validation, then once more on all training rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import BaselineSettings
from pipeline.results import AUDIT, BASELINE, LaneFacts, StepResult
from pipeline.runs.inputs import MARKS, load_domains
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import transact

if TYPE_CHECKING:
    from pipeline.data.prepared import Columns, Domains


def fit_baseline(run: Run, baseline: str) -> StepResult[LaneFacts]:
    """Fit the baseline of that name and save it as a candidate.

    Raises:
        MissingResultError: `prepare` or `audit` did not succeed in this run.
        UserError: the baseline would not fit into memory.
    """
    run.forget(BASELINE, baseline)  # a try that fails leaves no earlier result
    scenario = run.scenario
    config = next(item for item in scenario.baselines if item.name == baseline)
    seed = scenario.seed if config.draws else 0  # so that another seed fits nothing again that draws nothing
    settings = BaselineSettings.of(scenario, baseline=config, oracle=baseline in scenario.oracles, seed=seed)
    inputs = {**run.prepared(), "marks": run.input(AUDIT, artifact=MARKS)}
    return transact(run, BASELINE, build, settings, inputs, baseline)


def build(settings: BaselineSettings, inputs: Mapping[str, Folder], folder: Path, _work: Path) -> LaneFacts:
    """Write the ranker that validation picked, fitted on all training rows."""
    from pipeline.evaluation.choosing import Chooser, deciding_metric
    from pipeline.models.baselines import Settings, candidates, fit_baseline

    config, domains = settings.baseline, load_domains(settings, inputs, oracle=settings.oracle)
    chooser = Chooser.of(settings, domains, inputs["marks"].path)
    on_source = chooser.domain != domains.target.name  # then all that chooses is a source's
    tried_config = config.model_copy(update={"domains": "all"}) if on_source else config
    histories, columns = chooser.histories, _columns(settings, chooser.domains)

    def tried(one: Settings) -> dict[str, float]:
        return chooser.metrics(fit_baseline(tried_config, histories, chooser.domain, one, settings.seed, columns))

    # Only metrics are kept of a try: the fits of the large methods take gigabytes and minutes each.
    found = [(one, tried(one)) for one in candidates(config)]
    best, valid = max(found, key=lambda one: one[1][deciding_metric(settings.task)])  # the first of equal ones
    histories, columns = domains.histories(("train", "valid")), _columns(settings, domains)
    fit_baseline(config, histories, domains.target.name, best, settings.seed, columns).save(folder)
    return LaneFacts(lane=config.name, valid=valid, valid_domain=chooser.domain, settings=dict(best))


def _columns(settings: BaselineSettings, domains: "Domains") -> "Columns | None":
    """One column for each item where items are the bridge, else one for each item of each domain."""
    return domains.item_columns() if "items" in settings.bridges else None
