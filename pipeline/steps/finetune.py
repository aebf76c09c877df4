"""Bring what the source taught to the target: epochs are chosen by validation, then all training rows are fitted."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pipeline.config import Strategy
from pipeline.results import StepResult
from pipeline.steps.choosing import chooser_of
from pipeline.steps.inputs import load_prepared, prepared_inputs, start_of
from pipeline.steps.run import Run
from pipeline.steps.transaction import Facts, transact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.evaluation.choosing import Chooser
    from pipeline.models.learner import Finish, Learner
    from pipeline.models.network import Network
    from pipeline.models.sides import Rows
    from pipeline.transfer.method import Method
    from pipeline.views import Views

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
    from pipeline.training.fit import fit, write_curves
    from pipeline.training.watch import Watch

    scenario, prepared = run.scenario, load_prepared(run, strategy.name)
    lane, chooser = _Lane.of(run, strategy), chooser_of(run, prepared, strategy.name)
    few, held_back = chooser.few(), prepared.training({scenario.target})
    rate = getattr(strategy.tune, "learning_rate", scenario.training.learning_rate)
    training = scenario.training.model_copy(update={"learning_rate": rate})
    settings: dict[str, Any] = {}
    told = ""
    model, method, rows = lane.ready(held_back)
    if strategy.tune.labels:
        watch = Watch(lambda fitted: few.score(lane.learner.as_trained(fitted, few.view)), few.units)
        start = watch.ask(model)
        chosen = fit(model, method, rows, training, work / "choose", seed=scenario.seed, watch=watch)
        write_curves(chosen.curves, folder / "metrics.csv")
        assert chosen.metric is not None
        if told := chosen.told:
            log.warning("%s: %s", strategy.name, told)
        kept = watch.few or chosen.metric > start or (told and chosen.metric == start)
        settings = {"epochs": chosen.epochs if kept else 0}
        if not settings["epochs"]:  # few labels can undo a good start
            model, *_ = lane.ready(held_back)
    every = prepared.training()
    finish, valid = lane.finished(chooser, model, lane.learner.finishes(every, strategy))
    settings |= lane.learner.told(finish)

    model, method, rows = lane.ready(every)
    if settings.get("epochs"):
        training = training.model_copy(update={"epochs": settings["epochs"]})
        fit(model, method, rows, training, work / "final", seed=scenario.seed)
    lane.learner.predictor(model, finish).save(folder)
    return {
        "lane": strategy.name, "valid": dict(valid), "valid_domain": chooser.domain, "settings": dict(settings),
        "watch": told,
    }  # fmt: skip


@dataclass(frozen=True)
class _Lane:
    """A strategy with the weights that it starts from."""

    strategy: Strategy
    learner: "Learner"
    dim: int
    start: Path | None

    @classmethod
    def of(cls, run: Run, strategy: Strategy) -> Self:
        from pipeline.models.learner import Learning
        from pipeline.tasks.learners import build_learner

        start = _start(run, strategy)
        found = None if start is None else run.path(start) / "model.safetensors"
        return cls(strategy, build_learner(Learning.of(run.scenario)), run.scenario.model.dim, found)

    def ready(self, views: "Views") -> tuple["Network", "Method", "Rows"]:
        """The model as the strategy initialises it, its method, and the rows that it is fitted on."""
        from safetensors.torch import load_file

        from pipeline.transfer.methods import build_tune

        model, rows = self.learner.tune(views, self.strategy)
        method = build_tune(self.strategy.tune, self.dim)
        method.initialise(model, None if self.start is None else load_file(self.start))
        if self.start is not None:
            self.learner.carry(model, views, self.strategy)
        return model, method, rows

    def finished(
        self, chooser: "Chooser", model: "Network", finishes: "Sequence[Finish]"
    ) -> tuple["Finish", dict[str, float]]:
        """The finish that validation picks, the first of equal ones, and what validation says of the model with it."""
        if chooser.domain != model.target:  # what was learnt is judged where there are labels
            return finishes[0], chooser.metrics(self.learner.as_trained(model, chooser.view))
        few = chooser.few()
        finish = max(finishes, key=lambda one: few.score(self.learner.predictor(model, one)))
        return finish, chooser.metrics(self.learner.predictor(model, finish))
