"""Bring what the source taught to the target: epochs are chosen by validation, then all training rows are fitted."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import TuneSettings
from pipeline.results import AUDIT, TUNE, LaneFacts, StepResult
from pipeline.runs.inputs import MARKS, load_domains, start_of
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import transact

if TYPE_CHECKING:
    from pipeline.data.prepared import Domains
    from pipeline.evaluation.choosing import Chooser
    from pipeline.models.network import Network
    from pipeline.training.fit import Rows
    from pipeline.transfer.method import Method

log = logging.getLogger(__name__)
Inputs = Mapping[str, Folder]


def finetune_target(run: Run, strategy: str) -> StepResult[LaneFacts]:
    """Fit the strategy of that name and save it as a candidate.

    Raises:
        MissingResultError: a step that the strategy starts from did not succeed in this run.
    """
    run.forget(TUNE, strategy)  # a try that fails leaves no earlier result
    scenario = run.scenario
    config = next(item for item in scenario.strategies if item.name == strategy)
    inputs = {**run.prepared(), "marks": run.input(AUDIT, artifact=MARKS)}
    if start := start_of(config):
        inputs["start"] = run.input(*start)
    settings = TuneSettings.of(scenario, strategy=config, oracle=strategy in scenario.oracles)
    return transact(run, TUNE, build, settings, inputs, strategy)


def build(settings: TuneSettings, inputs: Inputs, folder: Path, work: Path) -> LaneFacts:
    """Write the ranker, and the curve of the epochs where any chose it."""
    from pipeline.evaluation.choosing import Chooser
    from pipeline.models.network_ranker import NetworkRanker
    from pipeline.training.fit import fit, write_curves
    from pipeline.training.watch import Watch

    strategy, domains = settings.strategy, load_domains(settings, inputs, oracle=settings.oracle)
    chooser, target = Chooser.of(settings, domains, inputs["marks"].path), domains.target.name
    few = chooser.few(settings.training.valid_users)
    reads = (target,) if strategy.domains == "target" else settings.domains

    def metric(model: "Network") -> float:
        return few.score(NetworkRanker.of(model, target))

    rate = getattr(strategy.tune, "learning_rate", settings.training.learning_rate)
    training = settings.training.model_copy(update={"learning_rate": rate})
    chose: dict[str, Any] = {}
    told = ""
    model, method, rows = _ready(settings, inputs, domains, reads, ("train",))
    if strategy.tune.labels:
        watch = Watch(metric, few.units)
        start = watch.ask(model)
        chosen = fit(model, method, rows, training, work / "choose", seed=settings.seed, watch=watch)
        write_curves(chosen.curves, folder / "metrics.csv")
        assert chosen.metric is not None
        if told := chosen.told:
            log.warning("%s: %s", strategy.name, told)
        kept = watch.few or chosen.metric > start or (told and chosen.metric == start)
        chose = {"epochs": chosen.epochs if kept else 0}
        if not chose["epochs"]:  # few labels can undo a good start
            model, *_ = _ready(settings, inputs, domains, reads, ("train",))
    prior, valid = _weighed(chooser, few, model, _priors(settings, domains))
    chose["prior_weight"] = prior["prior_weight"]

    model, method, rows = _ready(settings, inputs, domains, reads, ("train", "valid"))
    if chose.get("epochs"):
        training = training.model_copy(update={"epochs": chose["epochs"]})
        fit(model, method, rows, training, work / "final", seed=settings.seed)
    NetworkRanker.of(model, target, **prior).save(folder)
    return LaneFacts(lane=strategy.name, valid=valid, valid_domain=chooser.domain, settings=chose, watch=told)


def _weighed(
    chooser: "Chooser", few: "Chooser", model: "Network", priors: list[dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, float]]:
    """The prior that validation picks, the first of equal ones, and what validation says of the model with it."""
    from pipeline.models.network_ranker import NetworkRanker

    if chooser.domain != model.target:  # what was learnt is judged where there are labels
        return priors[0], chooser.metrics(NetworkRanker.of(model, chooser.domain, counts=chooser.counts))
    prior = max(priors, key=lambda one: few.score(NetworkRanker.of(model, model.target, **one)))
    return prior, chooser.metrics(NetworkRanker.of(model, model.target, **prior))


def _priors(settings: TuneSettings, domains: "Domains") -> list[dict[str, Any]]:
    """What a strategy may know of how often each target item was taken, and how much it may count; at least one.

    Zero-shot has the sources' rows alone, and only where items are the bridge: what is popular there may be so here.
    """
    import numpy as np

    weights = settings.model.prior_weights
    if "target" in settings.strategy.tune.labels:
        return [{"prior_weight": weight} for weight in weights]
    nothing = {"counts": np.zeros(len(domains.target.items), dtype=np.int64), "prior_weight": 0.0}
    if "items" not in settings.bridges:
        return [nothing]
    counts = domains.source_counts()
    return [*({"counts": counts, "prior_weight": weight} for weight in weights), nothing]


def _ready(
    settings: TuneSettings, inputs: Inputs, domains: "Domains", reads: tuple[str, ...], parts: tuple[str, ...]
) -> tuple["Network", "Method", "Rows"]:
    """The model as the strategy initialises it, its method, and the rows that it is fitted on."""
    from safetensors.torch import load_file

    from pipeline.training.build import (
        copy_shared_items,
        labelled,
        new_network,
        place_by_takers,
        rows_of,
        target_inputs,
    )
    from pipeline.transfer.methods import build_tune

    target, histories = domains.target.name, domains.histories(parts)
    tune, start = settings.strategy.tune, inputs.get("start")
    labels = tune.labels
    known = tuple(domain for domain in domains.all if domain.name in reads)
    own = frozenset(reads if "target" in labels or "items" in settings.bridges else settings.sources)
    model = new_network(settings, known, histories, own)
    method = build_tune(tune, settings.model.dim)
    method.initialise(model, None if start is None else load_file(start.path / "model.safetensors"))
    if start is not None:
        if "users" in settings.bridges and "target" in labels:
            place_by_takers(model, domains, histories)
        if "items" in settings.bridges:
            copy_shared_items(model, domains, blank="target" not in labels)
    sides = [*(settings.sources if "source" in labels else ()), *([target] if "target" in labels else ())]
    seen = target_inputs(settings, domains, histories, reads) if tune.inputs else None
    return model, method, rows_of([labelled(settings, name, histories, reads) for name in sides], seen)
