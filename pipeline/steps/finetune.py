"""Bring what the source taught to the target: epochs are chosen by validation, then all training rows are fitted."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import Strategy
from pipeline.results import StepResult
from pipeline.steps.inputs import load_domains, prepared_inputs, start_of
from pipeline.steps.run import Run
from pipeline.steps.transaction import Facts, transact

if TYPE_CHECKING:
    from pipeline.data.prepared import Domains
    from pipeline.models.network import Network
    from pipeline.steps.choosing import Chooser
    from pipeline.training.fit import Rows
    from pipeline.transfer.method import Method

log = logging.getLogger(__name__)


def finetune_target(run: Run, strategy: str) -> StepResult:
    """Fit the strategy of that name and save it as a candidate.

    Raises:
        MissingResultError: a step that the strategy starts from did not succeed in this run.
    """
    run.forget("finetune_target", strategy)  # a try that fails leaves no earlier result
    config = next(item for item in run.scenario.strategies if item.name == strategy)
    scenario = run.scenario
    inputs = {**prepared_inputs(run), "audit.marks": str(run.result("audit").facts["marks"])}
    if (start := _start(run, config)) is not None:
        inputs["start"] = start.manifest
    return transact(
        run,
        "finetune_target",
        lambda folder, work: _build(run, config, folder, work),
        inputs=inputs,
        config={
            "sources": list(scenario.sources),
            "strategy": config.model_dump(mode="json"),
            "model": scenario.model.model_dump(mode="json"),
            "training": scenario.training.model_dump(mode="json"),
            "task": scenario.task.model_dump(mode="json"),
            "bridges": list(scenario.bridges),
            "target_labels": scenario.target_labels,
            "seed": scenario.seed,
        },
        name=strategy,
    )


def _start(run: Run, strategy: Strategy) -> StepResult | None:
    """The step whose model the strategy starts from; None where it starts from random weights."""
    start = start_of(strategy)
    return run.result(*start) if start else None


def _build(run: Run, strategy: Strategy, folder: Path, work: Path) -> Facts:
    from pipeline.models.network_ranker import NetworkRanker
    from pipeline.steps.choosing import Chooser
    from pipeline.training.fit import fit, write_curves
    from pipeline.training.watch import Watch

    scenario, domains = run.scenario, load_domains(run, strategy.name)
    chooser, target = Chooser.of(run, domains, strategy.name), domains.target.name
    few = chooser.few()
    reads = (target,) if strategy.domains == "target" else scenario.domains

    def metric(model: "Network") -> float:
        return few.score(NetworkRanker.of(model, target))

    rate = getattr(strategy.tune, "learning_rate", scenario.training.learning_rate)
    training = scenario.training.model_copy(update={"learning_rate": rate})
    settings: dict[str, Any] = {}
    told = ""
    model, method, rows = _ready(run, strategy, domains, reads, ("train",))
    if strategy.tune.labels:
        watch = Watch(metric, few.units)
        start = watch.ask(model)
        chosen = fit(model, method, rows, training, work / "choose", seed=scenario.seed, watch=watch)
        write_curves(chosen.curves, folder / "metrics.csv")
        assert chosen.metric is not None
        if told := chosen.told:
            log.warning("%s: %s", strategy.name, told)
        kept = watch.few or chosen.metric > start or (told and chosen.metric == start)
        settings = {"epochs": chosen.epochs if kept else 0}
        if not settings["epochs"]:  # few labels can undo a good start
            model, *_ = _ready(run, strategy, domains, reads, ("train",))
    prior, valid = _weighed(chooser, model, _priors(run, strategy, domains))
    settings["prior_weight"] = prior["prior_weight"]

    model, method, rows = _ready(run, strategy, domains, reads, ("train", "valid"))
    if settings.get("epochs"):
        training = training.model_copy(update={"epochs": settings["epochs"]})
        fit(model, method, rows, training, work / "final", seed=scenario.seed)
    NetworkRanker.of(model, target, **prior).save(folder)
    return {
        "lane": strategy.name, "valid": dict(valid), "valid_domain": chooser.domain, "settings": dict(settings),
        "watch": told,
    }  # fmt: skip


def _weighed(
    chooser: "Chooser", model: "Network", priors: list[dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, float]]:
    """The prior that validation picks, the first of equal ones, and what validation says of the model with it."""
    from pipeline.models.network_ranker import NetworkRanker

    if chooser.domain != model.target:  # what was learnt is judged where there are labels
        return priors[0], chooser.metrics(NetworkRanker.of(model, chooser.domain, counts=chooser.counts))
    few = chooser.few()
    prior = max(priors, key=lambda one: few.score(NetworkRanker.of(model, model.target, **one)))
    return prior, chooser.metrics(NetworkRanker.of(model, model.target, **prior))


def _priors(run: Run, strategy: Strategy, domains: "Domains") -> list[dict[str, Any]]:
    """What a strategy may know of how often each target item was taken, and how much it may count; at least one.

    Zero-shot has the sources' rows alone, and only where items are the bridge: what is popular there may be so here.
    """
    import numpy as np

    weights = run.scenario.model.prior_weights
    if "target" in strategy.tune.labels:
        return [{"prior_weight": weight} for weight in weights]
    nothing = {"counts": np.zeros(len(domains.target.items), dtype=np.int64), "prior_weight": 0.0}
    if "items" not in run.scenario.bridges:
        return [nothing]
    counts = domains.source_counts()
    return [*({"counts": counts, "prior_weight": weight} for weight in weights), nothing]


def _ready(
    run: Run, strategy: Strategy, domains: "Domains", reads: tuple[str, ...], parts: tuple[str, ...]
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

    scenario, target = run.scenario, domains.target.name
    histories = domains.histories(parts)
    labels, start = strategy.tune.labels, _start(run, strategy)
    known = tuple(domain for domain in domains.all if domain.name in reads)
    own = frozenset(reads if "target" in labels or "items" in scenario.bridges else scenario.sources)
    model = new_network(scenario, known, histories, own)
    method = build_tune(strategy.tune, scenario.model.dim)
    method.initialise(model, None if start is None else load_file(run.path(start) / "model.safetensors"))
    if start is not None:
        if "users" in scenario.bridges and "target" in labels:
            place_by_takers(model, domains, histories)
        if "items" in scenario.bridges:
            copy_shared_items(model, domains, blank="target" not in labels)
    sides = [*(scenario.sources if "source" in labels else ()), *([target] if "target" in labels else ())]
    inputs = target_inputs(scenario, domains, histories, reads) if strategy.tune.inputs else None
    return model, method, rows_of([labelled(scenario, name, histories, reads) for name in sides], inputs)
