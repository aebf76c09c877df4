"""Fit a baseline: settings by validation, then once more on all training rows."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import BaselineSettings
from pipeline.results import AUDIT, BASELINE, PRETRAIN, LaneFacts, StepResult
from pipeline.runs.inputs import HELD_BACK, MARKS, load_prepared
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import transact

if TYPE_CHECKING:
    from pipeline.views import Chosen

log = logging.getLogger(__name__)


def fit_baseline(run: Run, baseline: str) -> StepResult[LaneFacts]:
    """Fit the baseline of that name and save it as a candidate.

    Raises:
        MissingResultError: a step that the baseline reads did not succeed in this run.
        UserError: the baseline would not fit into memory, or cannot learn on from what it begins with.
    """
    run.forget(BASELINE, baseline)  # a try that fails leaves no earlier result
    scenario = run.scenario
    config = next(item for item in scenario.baselines if item.name == baseline)
    seed = scenario.seed if config.draws else 0  # so that another seed fits nothing again that draws nothing
    settings = BaselineSettings.of(
        scenario,
        baseline=config,
        oracle=baseline in scenario.oracles,
        seed=seed,
        held_back=baseline in scenario.blended,
    )
    inputs = {**run.prepared(encoders=config.encoders), "marks": run.input(AUDIT, artifact=MARKS)}
    if baseline in scenario.begun:
        inputs["start"] = run.input(PRETRAIN)
    return transact(run, BASELINE, build, settings, inputs, baseline)


def build(settings: BaselineSettings, inputs: Mapping[str, Folder], folder: Path, _work: Path) -> LaneFacts:
    """Write the predictor that validation picked, fitted on all training rows."""
    from pipeline.evaluation.choosing import Folds
    from pipeline.tasks.baselines import ways_of
    from pipeline.transfer.evidence import evidence_of_vectors

    config = settings.baseline
    fit, candidates_of = ways_of(settings.task, inputs["start"].path if "start" in inputs else None)
    prepared = load_prepared(settings, inputs, oracle=settings.oracle)
    folds = Folds.of(settings, prepared, inputs["marks"].path)
    chooser = folds.first
    on_source = chooser.domain != settings.target  # then all that chooses is a source's
    tried_config = config.model_copy(update={"domains": "all"}) if on_source else config
    every = (
        [prepared.training({chooser.domain})] if on_source and config.inputs else [one.training for one in folds.each]
    )
    apart = every[:1] if config.domains == "source" else every  # what no row of the target teaches is fitted once
    shared = "items" in settings.bridges

    def tried(one: dict[str, Any], best: float) -> "tuple[dict[str, float], Chosen]":
        fitted = [fit(tried_config, views, chooser.domain, one, settings.seed, shared=shared) for views in apart]
        predictors = fitted * (len(every) // len(fitted))
        last = folds.settle(predictors)
        metrics = folds.metrics(judged := [predictor.settled(last) for predictor in predictors])
        gated = chooser.label.gated
        log.info("%s: %s %.4g on validation rows", _told(one) or "as it is", gated, metrics[gated])
        if settings.held_back and chooser.worth(metrics) > best:
            (folder / HELD_BACK).mkdir(exist_ok=True)
            [alone] = judged
            alone.save(folder / HELD_BACK)
        return metrics, last

    # Only metrics stay in memory of a try: the fits of the large methods take gigabytes and minutes each.
    found: list[tuple[dict[str, Any], dict[str, float], Chosen]] = []
    for one in candidates_of(config):
        found.append((one, *tried(one, max((chooser.worth(metrics) for _, metrics, _ in found), default=-math.inf))))
    best, valid, last = max(found, key=lambda one: chooser.worth(one[1]))  # the first of equal ones
    rows = prepared.training()
    fit(config, rows, settings.target, best, settings.seed, shared=shared).settled(last).save(folder)
    evidence = evidence_of_vectors(rows[settings.target], config.encoders) if config.encoders else {}
    return LaneFacts(
        lane=config.name, valid=valid, valid_domain=chooser.domain, settings={**best, **last}, evidence=evidence
    )


def _told(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {f'{one:g}' if isinstance(one, float) else one}" for key, one in settings.items())
